"""Shard files: the small index files by which a run knows its part of a store.

Paths in them begin at the store's root, which each job is told: a store may be moved.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write which store the proteins of some buckets are in, and register in that store.

    The content is the same whenever the proteins, the store's fingerprint and the `versions`
    are, so that what stands on it is not done again. `versions` has, by sequence hash, what tells
    a protein's content in one store from another content in it. HaloError where the store does
    not hold a protein that is not among the `absent`.
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
    versions = versions or {}
    buckets = {
        bucket: _digest(f"{m.seq_hash} {versions.get(m.seq_hash, '')}" for m in found)
        for bucket, found in sorted(members.items())
    }
    name = f"{store.path.parent.name}/{store.fingerprint}"
    write_json(file, _content(name, len(hashes), buckets))


def join_shards(files: Sequence[Path], file: Path) -> None:
    """Write one shard file for all shards of a stage.

    It does not depend on how many shards there are. HaloError where they point to several stores.
    """
    found = [read_json(each) for each in files]
    buckets = {bucket: digest for each in found for bucket, digest in each["buckets"].items()}
    proteins = sum(each["proteins"] for each in found)
    write_json(file, _content(_one_store(files), proteins, dict(sorted(buckets.items()))))


def open_store(files: Iterable[Path], layout: Layout, root: Path) -> Store:
    """The one store below `root` that the shard files of a stage point to.

    HaloError where they point to several: parts of a run must not be mixed.
    """
    return Store(Path(root) / _one_store(files), layout, float(os.environ.get(PATIENCE, 0)))


def _content(store: str, proteins: int, buckets: Mapping[str, str]) -> dict[str, Any]:
    return {"store": store, "proteins": proteins, "buckets": buckets}


def _digest(lines: Iterable[str]) -> str:
    return sha256_of_text("\n".join(sorted(lines)))[:16]


def _one_store(files: Iterable[Path]) -> str:
    found = {read_json(file)["store"]: file for file in files}
    if len(found) != 1:
        raise HaloError(
            "the shards of one stage point to different stores: "
            + ", ".join(f"{file} to {store}" for store, file in sorted(found.items()))
            + "; delete these files and run again. If some of the jobs had a GPU and others had "
            "none, set embeddings.precision to one that both have (float32)"
        )
    return next(iter(found))


def is_lost(file: Path, members: Path, root: Path) -> bool:
    """Whether a shard file names a store that does not hold its proteins any more.

    Parameters
    ----------
    file : the shard file, which exists
    members : folder of the run's member files, which are read only where the registration does
        not tell: where segments were joined, or the run was moved
    root : the store's
    """
    try:
        content = read_json(file)
        store, buckets = Path(root) / content["store"], list(content["buckets"])
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
