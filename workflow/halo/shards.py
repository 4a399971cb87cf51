"""Shard files: the small index files by which a run knows its part of a store."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from halo.errors import HaloError
from halo.files import read_json, sha256_of_text, write_json
from halo.proteins.members import Member
from halo.store import Layout, Store


def write_shard(file: Path, store: Store, members: Mapping[str, Sequence[Member]]) -> None:
    """Write which store the proteins of some buckets are in.

    The content is the same whenever the proteins and the store's fingerprint are, so
    that what stands on it is not done again.
    """
    hashes = sorted(member.seq_hash for found in members.values() for member in found)
    write_json(
        file,
        {
            "store": str(store.path),
            "buckets": sorted(members),
            "proteins": len(hashes),
            "members": sha256_of_text("\n".join(hashes)),
        },
    )


def open_store(files: Iterable[Path], layout: Layout) -> Store:
    """The one store that the shard files of a stage point to.

    HaloError where they point to several: parts of a run must not be mixed.
    """
    found = {read_json(file)["store"]: file for file in files}
    if len(found) != 1:
        raise HaloError(
            "the shards of one stage point to different stores: "
            + ", ".join(f"{file} to {store}" for store, file in sorted(found.items()))
            + "; delete these files and run again"
        )
    return Store(Path(next(iter(found))), layout)
