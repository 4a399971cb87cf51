"""Maintenance of the store: compaction, integrity checks, and removal of unused stores.

All operations are safe while runs are active.
"""

import logging
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from halo.errors import HaloError
from halo.layout import Layout
from halo.segments import DamagedSegment, Record, Segment
from halo.store import BUCKETS, Store, number_of
from halo.users import Registration, registrations, unregister, write_registration

log = logging.getLogger(__name__)

PORTION = 1 << 28  # bytes of a compacted segment
DAY = 86_400.0  # seconds
REMOVED = ".removed-"  # in the name of a store that is being removed


def store_folders(root: Path) -> list[Path]:
    """The stores below `root`; HaloError if there is none."""
    folders = sorted(note.parent for note in Path(root).glob("*/[!.]*/fingerprint.json"))
    if not folders:
        raise HaloError(f"{root}: there is no store here; give the store's root: --store FOLDER")
    return folders


# ---------------------------------------------------------------------- joining


def compact(path: Path, layout: Layout) -> int:
    """Compact the segments of each bucket of a store into one; returns the number of removed ones.

    The new segment is complete before old ones are deleted, and has the highest of their numbers,
    so that segments that other processes add in the meantime take precedence. An interruption at
    any time loses nothing.
    """
    path = Path(path)
    joined: dict[str, tuple[set[str], set[str]]] = {}
    for bucket in BUCKETS:
        old = sorted((path / bucket).glob("*.h5"))
        if len(old) < 2:
            continue
        store = Store(path, layout)
        provenance, number = store.provenance(bucket), number_of(old[-1])
        new = {
            store.write_segment(bucket, records, provenance, number).name
            for records in _portions(store, store.hashes(bucket))
        }
        store.close()
        for segment in old:
            segment.unlink(missing_ok=True)
        store.save_index(bucket)
        joined[bucket] = {segment.name for segment in old}, new
    for note in registrations(path):
        if note.segments:
            write_registration(path, replace(note, segments=_renamed(note.segments, joined)))
    return sum(len(old) for old, _ in joined.values())


def _portions(store: Store, hashes: Sequence[str]) -> Iterator[list[Record]]:
    portion: list[Record] = []
    size = 0
    for name in hashes:
        record = Record(name, store.read(name), store.attributes(name))
        portion.append(record)
        size += sum(array.nbytes for array in record.arrays.values())
        if size > PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _renamed(
    segments: Mapping[str, Collection[str]], joined: Mapping[str, tuple[set[str], set[str]]]
) -> dict[str, list[str]]:
    """Segments of a registration, with the new name of compacted ones."""
    renamed = {}
    for bucket, names in segments.items():
        old, new = joined.get(bucket, (set(), set()))
        here = set(names)
        renamed[bucket] = sorted((here - old) | new if here & old else here)
    return renamed


# ---------------------------------------------------------------------- checking


@dataclass(frozen=True)
class Check:
    """Result of checking a store.

    Attributes
    ----------
    proteins : number of intact proteins
    damaged : segments whose content does not match its checksums, with messages
    unread : segments that cannot be read because of the file system, with messages
    """

    proteins: int
    damaged: Mapping[Path, str]
    unread: Mapping[Path, str]


def check(path: Path, layout: Layout) -> Check:
    """Read the whole content of a store and verify its checksums."""
    proteins, damaged, unread = 0, {}, {}
    for file in sorted(Path(path).glob("[0-9a-f][0-9a-f]/*.h5")):
        try:
            segment = Segment(file, layout)
            for row, name in enumerate(segment.hashes()):
                segment.read(name, row, layout.arrays)
                segment.attributes(name, row)
                proteins += 1
            segment.close()
        except FileNotFoundError:  # removed by a compaction in this moment
            continue
        except DamagedSegment as error:
            damaged[file] = str(error)
        except OSError as error:
            unread[file] = str(error)
    return Check(proteins, damaged, unread)


# ---------------------------------------------------------------------- removing


@dataclass(frozen=True)
class Garbage:
    """Removable folders of stores, and temporary files of killed jobs."""

    stores: tuple[Path, ...]
    leftovers: tuple[Path, ...]


def users_of(path: Path) -> list[Registration]:
    """The valid registrations of a store."""
    return [note for note in registrations(path) if note.in_use(path)]


def find_garbage(root: Path, days: float) -> Garbage:
    """Unused stores below `root`, and temporary files of killed jobs.

    A store is unused if no run is registered in it and it has not changed for `days`. Jobs of runs
    register when they start; predictions do not.
    """
    now = time.time()
    unused, leftovers = [], []
    for path in store_folders(root):
        users = users_of(path)
        age = (now - _changed(path)) / DAY
        if users:
            for run in sorted({f"{Path(n.shard).parent} ({n.user}, {n.host})" for n in users}):
                log.info("kept: %s, used by %s", path, run)
            leftovers += _leftovers(path, now)
        elif age < days:
            log.info("kept: %s, changed %.1f days ago", path, age)
            leftovers += _leftovers(path, now)
        else:
            unused.append(path)
    started = (path for path in Path(root).glob(f"*/.*{REMOVED}*") if path.is_dir())
    return Garbage((*unused, *started), tuple(leftovers))


def remove_garbage(garbage: Garbage) -> None:
    """Remove the result of `find_garbage`, except stores that are used in the meantime."""
    for file in garbage.leftovers:
        file.unlink(missing_ok=True)
    for path in garbage.stores:
        remove_store(path)


def remove_store(path: Path) -> int:
    """Remove a store without registrations, and return the size of its files in bytes.

    The store is renamed first, and renamed back if a run has registered in the meantime.
    """
    if users_of(path):
        return 0
    away = path
    if REMOVED not in path.name:
        away = path.with_name(f".{path.name}{REMOVED}{uuid.uuid4().hex[:8]}")
        path.rename(away)
        if users_of(away):
            with suppress(OSError):  # the run has created the store again
                away.rename(path)
            return 0
    size = sum(file.stat().st_size for file in away.rglob("*") if file.is_file())
    log.info("removing %s, %.3g GB", path, size / 1e9)
    shutil.rmtree(away)
    return size


def forget(root: Path, run: Path) -> int:
    """Remove the registrations of a deleted run; returns their number.

    Raises
    ------
    HaloError
        if no run in this folder is registered, or one of its files is still there
    """
    run = run.resolve()
    known = [
        (path, Path(note.shard)) for path in store_folders(root) for note in registrations(path)
    ]
    found = [(path, shard) for path, shard in known if shard.is_relative_to(run)]
    if not found:
        shards = sorted({str(shard) for _, shard in known})
        there = f"; registered are files such as {shards[0]}" if shards else "; it has none"
        raise HaloError(f"{root}: no run in {run} is registered{there}; correct the path")
    for _, shard in found:
        if shard.exists():
            raise HaloError(
                f"{run}: a run is still there ({shard}) and needs what it has in {root}; delete "
                "the run first"
            )
    for path, shard in found:
        unregister(path, shard)
    return len(found)


def _changed(path: Path) -> float:
    """Time of the last change of a store, in seconds since 1970."""
    return max(entry.stat().st_mtime for entry in (path, *path.iterdir()))


def _leftovers(path: Path, now: float) -> list[Path]:
    """Temporary files that are too old to be in use."""
    leftovers = []
    for file in path.rglob(".*.tmp"):
        with suppress(FileNotFoundError):
            if now - file.stat().st_mtime > DAY:
                leftovers.append(file)
    return leftovers
