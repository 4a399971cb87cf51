"""Shard files: the small index files by which a run knows its part of a store."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from halo.errors import HaloError
from halo.files import read_json, sha256_of_text, write_json
from halo.proteins.members import Member, read_hashes
from halo.store import Layout, Store
from halo.users import register, registration

PATIENCE = "HALO_LATENCY_WAIT"  # seconds that another node's files may come late


def write_shard(
    file: Path,
    store: Store,
    members: Mapping[str, Sequence[Member]],
    absent: Collection[str] = frozenset(),
) -> None:
    """Write which store the proteins of some buckets are in, and register in that store.

    The content is the same whenever the proteins and the store's fingerprint are, so
    that what stands on it is not done again. HaloError where the store does not hold a protein
    that is not among the `absent`.
    """
    hashes = sorted(member.seq_hash for found in members.values() for member in found)
    held = [name for name in hashes if name not in absent]
    store.refresh()
    missing = store.missing(held)
    if missing:
        raise HaloError(
            f"{store.path}: {len(missing):,} of {len(hashes):,} proteins are not there after all "
            f"was computed ({missing[0][:12]} is the first): another process has removed segments "
            "meanwhile; run again"
        )
    register(store.path, file, store.segments_of(held), sorted(absent))
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
            + "; delete these files and run again. If some of the jobs had a GPU and others had "
            "none, set embeddings.precision to one that both have (float32)"
        )
    return Store(Path(next(iter(found))), layout, float(os.environ.get(PATIENCE, 0)))


def is_lost(file: Path, members: Path) -> bool:
    """Whether a shard file names a store that does not hold its proteins any more.

    Parameters
    ----------
    file : the shard file, which exists
    members : folder of the run's member files, which are read only where the registration does
        not tell: where segments were joined, or the run was moved
    """
    try:
        content = read_json(file)
        store, buckets = Path(content["store"]), content["buckets"]
    except (HaloError, KeyError, TypeError):
        return True
    absent: Collection[str] = ()
    try:
        note = registration(store, file)
    except HaloError:
        note = None
    if note and note.segments is not None:
        if all(set(names) <= _names(store / bucket) for bucket, names in note.segments.items()):
            return False
        absent = note.absent
    wanted = read_hashes(members, buckets) - set(absent)
    return bool(Store(store, Layout({})).missing(wanted))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.h5")}
