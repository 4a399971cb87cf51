"""Shard files: small index files that refer to the content of a store that a run uses.

Paths in them are relative to the root of the store, which is an argument of each job, so that a
store can be moved.
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

PATIENCE = "HALO_LATENCY_WAIT"  # seconds to wait for files of other nodes


def write_shard(
    file: Path,
    store: Store,
    members: Mapping[str, Sequence[Member]],
    absent: Collection[str] = frozenset(),
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write a shard file for the proteins of some buckets, and register it in the store.

    The content depends only on the proteins, the store's fingerprint and the `versions`, so that
    dependent jobs do not run again without need. `versions` maps sequence hashes to a digest of a
    protein's content, where that can differ within one store.

    Raises
    ------
    HaloError
        if the store lacks a protein that is not `absent`
    """
    hashes = sorted(member.seq_hash for bucket in members.values() for member in bucket)
    held = [name for name in hashes if name not in absent]
    store.refresh()
    missing = store.missing(held)
    if missing:
        raise HaloError(
            f"{store.path}: {len(missing):,} of {len(hashes):,} proteins are missing although all "
            f"were computed ({missing[0][:12]} is the first): another process has removed segments "
            "in the meantime; run again"
        )
    register(store.path, file, store.segments_of(held), sorted(absent))
    versions = versions or {}
    buckets = {
        bucket: _digest(f"{m.seq_hash} {versions.get(m.seq_hash, '')}" for m in entries)
        for bucket, entries in sorted(members.items())
    }
    name = f"{store.path.parent.name}/{store.fingerprint}"
    write_json(file, _content(name, len(hashes), buckets))


def join_shards(files: Sequence[Path], file: Path) -> None:
    """Write one shard file for all shards of a stage, independent of their number.

    Raises
    ------
    HaloError
        if they refer to several stores
    """
    shards = [read_json(each) for each in files]
    buckets = {bucket: digest for each in shards for bucket, digest in each["buckets"].items()}
    proteins = sum(each["proteins"] for each in shards)
    write_json(file, _content(_one_store(files), proteins, dict(sorted(buckets.items()))))


def open_store(files: Iterable[Path], layout: Layout, root: Path) -> Store:
    """Open the store below `root` to which the shard files of a stage refer.

    Raises
    ------
    HaloError
        if they refer to several stores
    """
    return Store(Path(root) / _one_store(files), layout, float(os.environ.get(PATIENCE, 0)))


def _content(store: str, proteins: int, buckets: Mapping[str, str]) -> dict[str, Any]:
    return {"store": store, "proteins": proteins, "buckets": buckets}


def _digest(lines: Iterable[str]) -> str:
    return sha256_of_text("\n".join(sorted(lines)))[:16]


def _one_store(files: Iterable[Path]) -> str:
    stores = {read_json(file)["store"]: file for file in files}
    if len(stores) != 1:
        raise HaloError(
            "the shards of one stage refer to different stores: "
            + ", ".join(f"{file} to {store}" for store, file in sorted(stores.items()))
            + "; delete these files and run again. If some of the jobs had a GPU and others had "
            "none, set embeddings.precision to one that both have (float32)"
        )
    return next(iter(stores))


def is_lost(file: Path, members: Path, root: Path) -> bool:
    """Whether the store of a shard file no longer has its proteins.

    Parameters
    ----------
    file : shard file, which must exist
    members : folder of the run's member files, which are only read if the registration is not
        sufficient: after a compaction, or if the run was moved
    root : root of the store
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
