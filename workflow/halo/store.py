"""The store: expensive results of single proteins, computed once and shared by runs.

A store is a folder ``<root>/<kind>/<fingerprint>/``. The fingerprint is a digest of everything that
the content depends on; another fingerprint is another store, so that old and new results are never
mixed. Proteins are identified by the SHA-256 of their sequence and belong to one of 256 buckets by
its first two digits. A bucket is a set of immutable segments (`halo.segments`). A segment gets its
final name when it is complete, so that a killed job leaves no incomplete data. If several segments
of a bucket have a protein, the one with the highest number is used.
"""

import errno
import hashlib
import json
import os
import time
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from halo.canonical import canonical
from halo.errors import HaloError
from halo.files import atomic_path, read_json, write_json
from halo.layout import Array, Layout
from halo.segments import FORMAT, OptionalArray, Record, Segment, segment_content
from halo.users import register

__all__ = ["BUCKETS", "Array", "Layout", "Record", "Store", "Writer", "bucket_of", "fingerprint_of"]

BUCKETS = tuple(f"{number:02x}" for number in range(256))
INDEX = "index.json"
WRITERS = 8  # segments written concurrently, to overlap the waits for fsync
# Their content is built one by one: threads that compete for the lock of HDF5 take twice as long.
_building = Lock()
OPEN_SEGMENTS = 64  # open files per reader; clusters often allow 1,024 per process


Answer = TypeVar("Answer")


def bucket_of(sequence_hash: str) -> str:
    """Bucket of a protein: the first two hexadecimal digits of its hash."""
    return sequence_hash[:2]


def number_of(segment: Path) -> int:
    """Number of a segment, which determines the order within its bucket."""
    number = segment.name.partition("-")[0]
    if not (number.isascii() and number.isdecimal()):
        raise HaloError(f"{segment}: not a file that HALO writes; move it out of the store")
    return int(number)


def fingerprint_of(description: Mapping[str, Any]) -> str:
    """Digest of `description`: 16 hexadecimal digits of the sha256 of its canonical JSON.

    Equal numbers have the same digest (10.0 and 10), since stages can get settings in either form.
    """
    text = json.dumps(canonical(description), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def store_name(description: Mapping[str, Any]) -> str:
    """Name of a store's folder: the fingerprint of `description` and the format of segments."""
    return fingerprint_of({"format": FORMAT, **description})


class MissingProtein(HaloError, KeyError):
    """A store does not have a protein."""

    __str__ = Exception.__str__  # not KeyError's, which quotes the message


class Store:
    """Reader and writer of one store.

    Several processes can write concurrently; at worst, a protein is computed twice. Instances can
    be pickled and used after a fork (workers of a DataLoader).

    `patience` is the number of seconds to wait for a missing protein, because network file systems
    show what another node has written with a delay.
    """

    def __init__(self, path: Path, layout: Layout, patience: float = 0.0) -> None:
        self.path = Path(path)
        self.layout = layout
        self.patience = patience
        self._indices: dict[str, dict[str, tuple[str, int]]] = {}
        self._hashes: dict[str, list[str]] = {}  # by the names of segments, which are unique
        self._segments: dict[Path, Segment] = {}
        self._open_files: OrderedDict[Path, None] = OrderedDict()

    @classmethod
    def create(
        cls,
        root: Path,
        kind: str,
        description: Mapping[str, Any],
        layout: Layout,
        shard: Path | None = None,
    ) -> "Store":
        """Open the store for `description` below `root`, or create it.

        With `shard`, the path of a shard file to be written, the run is registered in the store
        before anything is computed.
        """
        Path(root).mkdir(parents=True, exist_ok=True)
        path = Path(root) / kind / store_name(description)
        if shard is not None:  # first, since a store without users is garbage
            register(path, shard)
        note = path / "fingerprint.json"
        if not note.exists():
            write_json(note, dict(description), shared=True)
        with suppress(OSError):
            os.utime(note)  # marks the store as in use for some days
        return cls(path, layout)

    @property
    def fingerprint(self) -> str:
        """Name of the store's folder."""
        return self.path.name

    # ------------------------------------------------------------------ reading

    def __contains__(self, sequence_hash: str) -> bool:
        return sequence_hash in self._index(bucket_of(sequence_hash))

    def missing(self, sequence_hashes: Iterable[str]) -> list[str]:
        """The `sequence_hashes` that the store does not have, in the given order."""
        return [name for name in dict.fromkeys(sequence_hashes) if name not in self]

    def hashes(self, bucket: str) -> list[str]:
        """Sorted hashes of the proteins in a bucket."""
        return sorted(self._index(bucket))

    def segments_of(self, sequence_hashes: Iterable[str]) -> dict[str, list[str]]:
        """Names of the segments with these proteins, by bucket; the store must have all of them."""
        segments: dict[str, set[str]] = defaultdict(set)
        for name in sequence_hashes:
            bucket = bucket_of(name)
            segments[bucket].add(self._index(bucket)[name][0])
        return {bucket: sorted(names) for bucket, names in sorted(segments.items())}

    def read(self, sequence_hash: str, *names: str) -> dict[str, np.ndarray]:
        """All or the named arrays of one protein; raises `MissingProtein` if there is none."""
        wanted = names or tuple(self.layout.arrays)
        return self._ask(
            sequence_hash, lambda segment, row: segment.read(sequence_hash, row, wanted)
        )

    def attributes(self, sequence_hash: str) -> dict[str, str]:
        """Attributes of one protein; raises `MissingProtein` if there is none."""
        return self._ask(sequence_hash, lambda segment, row: segment.attributes(sequence_hash, row))

    def provenance(self, bucket: str) -> dict[str, str]:
        """Provenance of the proteins in a bucket: all values in its segments."""
        values: dict[str, set[str]] = defaultdict(set)
        for path in (self.path / bucket).glob("*.h5"):
            for name, value in self._open(path).provenance().items():
                values[name].add(value)
        return {name: "; ".join(sorted(distinct)) for name, distinct in values.items()}

    def refresh(self) -> None:
        """Read the folders again on the next access, because other processes may have written."""
        self._indices.clear()

    def close(self) -> None:
        """Close the open segments; the next read opens them again."""
        for segment in self._segments.values():
            segment.close()
        self._open_files.clear()

    def _ask(self, sequence_hash: str, question: Callable[[Segment, int], Answer]) -> Answer:
        """Result of `question` for the segment and the row of a protein.

        If the protein is missing, or its segment was removed (by a compaction), the folder is read
        again, for at most `patience` seconds.
        """
        bucket = bucket_of(sequence_hash)
        end = time.monotonic() + self.patience
        for attempt in count():
            try:
                name, row = self._index(bucket)[sequence_hash]
                return question(self._open(self.path / bucket / name), row)
            except (KeyError, FileNotFoundError):
                pass
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
            if attempt and time.monotonic() > end:
                raise MissingProtein(
                    f"{sequence_hash} is not in {self.path}; if a segment was removed, run again: "
                    "its proteins are computed again"
                )
            time.sleep(min(1.0, 0.1 * attempt))
            self._forget(bucket)
        raise AssertionError

    def _forget(self, bucket: str) -> None:
        """Forget the listing and the open segments of a bucket."""
        self._indices.pop(bucket, None)
        for path in [path for path in self._segments if path.parent.name == bucket]:
            self._segments.pop(path).close()
            self._open_files.pop(path, None)

    def _open(self, path: Path) -> Segment:
        """Open a segment; the least recently used segments are closed."""
        if path not in self._segments:
            self._segments[path] = Segment(path, self.layout)
        self._open_files[path] = None
        self._open_files.move_to_end(path)
        if len(self._open_files) > OPEN_SEGMENTS:
            self._segments[self._open_files.popitem(last=False)[0]].close()
        return self._segments[path]

    def _index(self, bucket: str) -> dict[str, tuple[str, int]]:
        """Segment and row of each hash in a bucket."""
        if bucket not in self._indices:
            self._indices[bucket] = {
                sequence_hash: (name, row)
                for name, hashes in self._rows(bucket).items()
                for row, sequence_hash in enumerate(hashes)
            }
        return self._indices[bucket]

    def _rows(self, bucket: str) -> dict[str, list[str]]:
        """Hashes in each segment of a bucket, in the order of the segments.

        ``index.json`` is a cache that avoids opening segments; segments that it does not list, or
        all of them if it is damaged, are opened.
        """
        directory = self.path / bucket
        names = sorted(path.name for path in directory.glob("*.h5"))
        known: dict[str, list[str]] = {}
        with suppress(OSError, HaloError):
            content = read_json(directory / INDEX) if names else {}
            known = content if isinstance(content, dict) else {}
        rows = {}
        for name in names:
            with suppress(FileNotFoundError):  # removed by a compaction in this moment
                rows[name] = (
                    self._hashes.get(name)
                    or known.get(name)
                    or self._open(directory / name).hashes()
                )
        self._hashes |= rows
        return rows

    def save_index(self, bucket: str) -> None:
        """Write ``index.json`` of a bucket, if the folder is writable."""
        with suppress(OSError):
            rows = self._rows(bucket)
            write_json(self.path / bucket / INDEX, rows, shared=True, durable=False)

    # ------------------------------------------------------------------ writing

    def require_writable(self, sequence_hashes: Iterable[str]) -> None:
        """Raise a HaloError, before anything is computed, if these proteins cannot be written."""
        for bucket in sorted(set(map(bucket_of, sequence_hashes))):
            folder = self.path / bucket
            while not folder.exists():
                folder = folder.parent
            if not os.access(folder, os.W_OK | os.X_OK):
                raise HaloError(
                    f"{folder}: no permission to write here, it belongs to {_owner(folder)}; for a "
                    "store of several users give all its folders to their group, with the right to "
                    "write: chgrp -R GROUP STORE; chmod -R g+rwX STORE; "
                    "find STORE -type d -exec chmod g+s {} +"
                )

    @contextmanager
    def writer(
        self,
        flush_bytes: int = 1 << 29,
        flush_seconds: float = 300.0,
        provenance: Mapping[str, str] | None = None,
    ) -> Iterator["Writer"]:
        """A writer for any proteins.

        Added proteins are written as segments, one per bucket, when they exceed `flush_bytes`, when
        `flush_seconds` have passed since the last flush, and at the end of the block, even after an
        exception. `provenance` becomes attributes of the segments.
        """
        writer = Writer(self, flush_bytes, flush_seconds, provenance or {})
        try:
            yield writer
        finally:
            writer.close()

    def write_segment(
        self,
        bucket: str,
        records: Sequence[Record],
        provenance: Mapping[str, str],
        number: int | None = None,
    ) -> Path:
        """Write one segment, with the given number or after all existing segments.

        The default number is the current time, or the highest number plus one if that is later,
        because the clocks of nodes differ.
        """
        folder = self.path / bucket
        if number is None:
            numbers = map(number_of, folder.glob("*.h5"))
            number = max(time.time_ns(), 1 + max(numbers, default=0))
        path = folder / f"{number:020d}-{uuid.uuid4().hex[:8]}.h5"
        with _building:
            content = segment_content(self.layout, records, provenance)
        with atomic_path(path, shared=True) as temporary, temporary.open("r+b") as file:
            # Not "wb": ext4 flushes a truncated and rewritten file when it is closed, in addition
            # to the fsync.
            file.write(content)
            file.flush()
        self._hashes[path.name] = [record.sequence_hash for record in records]
        self._indices.pop(bucket, None)
        return path


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a user id that is not in passwd
        return f"user {path.stat().st_uid}"


class Writer:
    """Collects records and writes them as segments; see `Store.writer`."""

    def __init__(
        self, store: Store, flush_bytes: int, flush_seconds: float, provenance: Mapping[str, str]
    ) -> None:
        self.store = store
        self.provenance = provenance
        self.flush_bytes = flush_bytes
        self.flush_seconds = flush_seconds
        self._records: dict[str, list[Record]] = defaultdict(list)
        self._written: set[str] = set()
        self._bytes = 0
        self._flushed = time.monotonic()

    def add(
        self,
        sequence_hash: str,
        arrays: Mapping[str, np.ndarray],
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Add one protein; raises a ValueError if its arrays do not match the layout."""
        for name, kind in self.store.layout.arrays.items():
            if name not in arrays and isinstance(kind, OptionalArray):
                continue
            if kind.row is not None and arrays[name].shape[1:] != kind.row:
                raise ValueError(f"{name}: rows of shape {arrays[name].shape[1:]}, not {kind.row}")
        record = Record(sequence_hash, arrays, attributes or {})
        self._records[bucket_of(sequence_hash)].append(record)
        self._bytes += sum(array.nbytes for array in arrays.values())
        overdue = time.monotonic() - self._flushed > self.flush_seconds
        if self._bytes > self.flush_bytes or overdue:
            self.flush()

    def flush(self) -> None:
        """Write the records since the last flush, one segment per bucket, `WRITERS` at a time.

        If a bucket cannot be written, the others still are; its records are kept for the next
        flush, and the first error is raised at the end.
        """
        errors = []
        with ThreadPoolExecutor(WRITERS) as threads:
            running = {
                bucket: threads.submit(self.store.write_segment, bucket, records, self.provenance)
                for bucket, records in sorted(self._records.items())
            }
        for bucket, segment in running.items():
            try:
                segment.result()
            except OSError as error:
                errors.append(error)
            else:
                del self._records[bucket]
                self._written.add(bucket)
        self._flushed = time.monotonic()
        if errors:
            raise errors[0]
        self._bytes = 0

    def close(self) -> None:
        """Write the remaining records, and the indices of changed buckets."""
        try:
            self.flush()
        finally:
            for bucket in sorted(self._written):
                self.store.save_index(bucket)
