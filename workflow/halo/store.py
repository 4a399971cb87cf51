"""The store: what is expensive and belongs to one protein, computed once and kept.

A store lies in ``<root>/<kind>/<fingerprint>/``. The fingerprint is a digest of all that
the content depends on; another fingerprint is another store, so old and new are never
mixed. Proteins are named by the sha256 of their sequence and fall into 256 buckets by
its first two digits. A bucket is a set of immutable segments (`halo.segments`); a segment
appears under its final name only when it is complete, so a killed job leaves whole proteins
or nothing. Within a bucket the last segment, in the order of their numbers, that has a
protein counts.
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
from typing import Any, TypeVar

import numpy as np

from halo.canonical import canonical
from halo.errors import HaloError
from halo.files import atomic_path, read_json, write_json
from halo.layout import Array, Layout
from halo.segments import FORMAT, Record, Segment, segment_content
from halo.users import register

__all__ = ["BUCKETS", "Array", "Layout", "Record", "Store", "Writer", "bucket_of", "fingerprint_of"]

BUCKETS = tuple(f"{number:02x}" for number in range(256))
INDEX = "index.json"
WRITERS = 8  # segments that are written at a time: the disk has several waits side by side
OPEN_SEGMENTS = 64  # file handles a reader keeps; clusters often allow 1,024 a process


Answer = TypeVar("Answer")


def bucket_of(sequence_hash: str) -> str:
    """Bucket of a protein: the first two hexadecimal digits of its hash."""
    return sequence_hash[:2]


def number_of(segment: Path) -> int:
    """The number by which a segment stands in the order of its bucket."""
    return int(segment.name.partition("-")[0])


def fingerprint_of(description: Mapping[str, Any]) -> str:
    """Digest of `description`: 16 hexadecimal digits of the sha256 of its canonical JSON.

    Numbers that are equal count as one, 10.0 as 10: settings reach the stages in either form.
    """
    text = json.dumps(canonical(description), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def store_name(description: Mapping[str, Any]) -> str:
    """Name of the store's folder: the fingerprint of `description` and of the segments' format."""
    return fingerprint_of({"format": FORMAT, **description})


class MissingProtein(HaloError, KeyError):
    """A store does not hold a protein."""

    __str__ = Exception.__str__  # not KeyError's, which quotes the message


class Store:
    """One store, to write to and to read from.

    Several processes may write at once: the worst that can happen is that a protein is
    computed twice. A store may be pickled or forked (workers of a DataLoader).

    `patience` is how many seconds a protein that should be there is waited for: file systems
    show some time later what another node has written.
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
        """Open the store for `description` below `root`, and make it where there is none.

        With `shard`, a shard file that is to be written, the run is registered in the store
        before anything is computed.
        """
        Path(root).mkdir(parents=True, exist_ok=True)
        path = Path(root) / kind / store_name(description)
        if shard is not None:  # first: what has a fingerprint and no user is garbage
            register(path, shard)
        note = path / "fingerprint.json"
        if not note.exists():
            write_json(note, dict(description), shared=True)
        with suppress(OSError):
            os.utime(note)  # in use: not to be removed for some days
        return cls(path, layout)

    @property
    def fingerprint(self) -> str:
        """Name of the store's folder."""
        return self.path.name

    # ------------------------------------------------------------------ reading

    def __contains__(self, sequence_hash: str) -> bool:
        return sequence_hash in self._index(bucket_of(sequence_hash))

    def missing(self, sequence_hashes: Iterable[str]) -> list[str]:
        """Those of `sequence_hashes` that the store does not hold, in the order given."""
        return [name for name in dict.fromkeys(sequence_hashes) if name not in self]

    def hashes(self, bucket: str) -> list[str]:
        """Hashes of the proteins that a bucket holds, sorted."""
        return sorted(self._index(bucket))

    def segments_of(self, sequence_hashes: Iterable[str]) -> dict[str, list[str]]:
        """Names of the segments, by bucket, that have these proteins; all of them are held."""
        found: dict[str, set[str]] = defaultdict(set)
        for name in sequence_hashes:
            bucket = bucket_of(name)
            found[bucket].add(self._index(bucket)[name][0])
        return {bucket: sorted(names) for bucket, names in sorted(found.items())}

    def read(self, sequence_hash: str, *names: str) -> dict[str, np.ndarray]:
        """Arrays of one protein, all or those named; MissingProtein where it is not held."""
        wanted = names or tuple(self.layout.arrays)
        return self._ask(
            sequence_hash, lambda segment, row: segment.read(sequence_hash, row, wanted)
        )

    def attributes(self, sequence_hash: str) -> dict[str, str]:
        """Attributes of one protein; MissingProtein where it is not held."""
        return self._ask(sequence_hash, lambda segment, row: segment.attributes(sequence_hash, row))

    def provenance(self, bucket: str) -> dict[str, str]:
        """How the proteins of a bucket were computed: each value that its segments have."""
        values: dict[str, set[str]] = defaultdict(set)
        for path in (self.path / bucket).glob("*.h5"):
            for name, value in self._open(path).provenance().items():
                values[name].add(value)
        return {name: "; ".join(sorted(found)) for name, found in values.items()}

    def refresh(self) -> None:
        """Look at the folders again at the next question: other processes write too."""
        self._indices.clear()

    def close(self) -> None:
        """Close the open segments; the next read opens them again."""
        for segment in self._segments.values():
            segment.close()
        self._open_files.clear()

    def _ask(self, sequence_hash: str, question: Callable[[Segment, int], Answer]) -> Answer:
        """What `question` finds in the segment and the row of a protein.

        Where it is not found, or its segment has gone since (into a larger one), the folder is
        read again, for as long as `patience` says.
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
        """Look at a bucket's folder again, and open its segments again."""
        self._indices.pop(bucket, None)
        for path in [path for path in self._segments if path.parent.name == bucket]:
            self._segments.pop(path).close()
            self._open_files.pop(path, None)

    def _open(self, path: Path) -> Segment:
        """A segment; of those that were read longest ago the files are closed."""
        if path not in self._segments:
            self._segments[path] = Segment(path, self.layout)
        self._open_files[path] = None
        self._open_files.move_to_end(path)
        if len(self._open_files) > OPEN_SEGMENTS:
            self._segments[self._open_files.popitem(last=False)[0]].close()
        return self._segments[path]

    def _index(self, bucket: str) -> dict[str, tuple[str, int]]:
        """Hash to segment and row of one bucket."""
        if bucket not in self._indices:
            self._indices[bucket] = {
                sequence_hash: (name, row)
                for name, hashes in self._rows(bucket).items()
                for row, sequence_hash in enumerate(hashes)
            }
        return self._indices[bucket]

    def _rows(self, bucket: str) -> dict[str, list[str]]:
        """Hashes in each segment of a bucket, in the order of the segments.

        The file ``index.json`` only saves opening the segments that it names: where it is
        missing, damaged or old, they are opened.
        """
        directory = self.path / bucket
        names = sorted(path.name for path in directory.glob("*.h5"))
        known: dict[str, list[str]] = {}
        with suppress(OSError, HaloError):
            found = read_json(directory / INDEX) if names else {}
            known = found if isinstance(found, dict) else {}
        rows = {}
        for name in names:
            with suppress(FileNotFoundError):  # joined into another one at this moment
                rows[name] = (
                    self._hashes.get(name)
                    or known.get(name)
                    or self._open(directory / name).hashes()
                )
        self._hashes |= rows
        return rows

    def save_index(self, bucket: str) -> None:
        """Write ``index.json`` of a bucket, where the folder can be written to."""
        with suppress(OSError):
            rows = self._rows(bucket)
            write_json(self.path / bucket / INDEX, rows, shared=True, durable=False)

    # ------------------------------------------------------------------ writing

    def require_writable(self, sequence_hashes: Iterable[str]) -> None:
        """HaloError, before anything is computed, where these proteins cannot be put here."""
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

        What was added becomes segments, one a bucket, when it exceeds `flush_bytes`, when
        `flush_seconds` have passed since the last time, and at the end, also when the
        block ends with an exception: finished proteins are never lost. `provenance` says how
        they were computed; it becomes the attributes of the segments.
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
        """Write one segment, after those that are there, or with that number.

        The number is the time, or one more than the highest where that is later: by another
        node's clock.
        """
        folder = self.path / bucket
        if number is None:
            numbers = map(number_of, folder.glob("*.h5"))
            number = max(time.time_ns(), 1 + max(numbers, default=0))
        path = folder / f"{number:020d}-{uuid.uuid4().hex[:8]}.h5"
        content = segment_content(self.layout, records, provenance)
        with atomic_path(path, shared=True) as temporary, temporary.open("r+b") as file:
            # Not "wb": a file that is emptied and written anew is one that ext4 writes to the disk
            # when it is closed, before the fsync that does so anyway.
            file.write(content)
            file.flush()
        self._hashes[path.name] = [record.sequence_hash for record in records]
        self._indices.pop(bucket, None)
        return path


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # an id without an entry in passwd
        return f"user {path.stat().st_uid}"


class Writer:
    """Collects records until there are enough for segments; made by `Store.writer`."""

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
        """Add one protein; ValueError where its arrays do not have the layout's rows."""
        for name, kind in self.store.layout.arrays.items():
            if kind.row is not None and arrays[name].shape[1:] != kind.row:
                raise ValueError(f"{name}: rows of shape {arrays[name].shape[1:]}, not {kind.row}")
        record = Record(sequence_hash, arrays, attributes or {})
        self._records[bucket_of(sequence_hash)].append(record)
        self._bytes += sum(array.nbytes for array in arrays.values())
        overdue = time.monotonic() - self._flushed > self.flush_seconds
        if self._bytes > self.flush_bytes or overdue:
            self.flush()

    def flush(self) -> None:
        """Write what was added since the last flush, one segment a bucket, `WRITERS` at a time.

        A bucket that cannot be written keeps no other from being written; its records stay for
        the next flush, and the first such error is raised at the end.
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
        """Write what is left, and the indices of the buckets that were written."""
        try:
            self.flush()
        finally:
            for bucket in sorted(self._written):
                self.store.save_index(bucket)
