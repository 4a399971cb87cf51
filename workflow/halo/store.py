"""The store: what is expensive and belongs to one protein, computed once and kept.

A store lies in ``<root>/<kind>/<fingerprint>/``. The fingerprint is a digest of all that
the content depends on; another fingerprint is another store, so old and new are never
mixed. Proteins are named by the sha256 of their sequence and fall into 256 buckets by
its first two digits. A bucket is a set of immutable HDF5 segments; a segment appears
under its final name only when it is complete, so a killed job leaves whole proteins or
nothing. Within a bucket the newest segment that has a protein counts.

Layout of a segment: ``hash`` [n] (64 hexadecimal digits), each attribute [n], and each
array as the rows of its proteins, one after the other, with ``<array>_offset`` [n + 1]. The
file's own attributes say how its proteins were computed.
"""

import hashlib
import json
import os
import time
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from halo.errors import HaloError
from halo.files import atomic_path, read_json, write_json

BUCKETS = tuple(f"{number:02x}" for number in range(256))
OPEN_SEGMENTS = 64  # file handles a reader keeps; clusters often allow 1,024 a process


def bucket_of(sequence_hash: str) -> str:
    """Bucket of a protein: the first two hexadecimal digits of its hash."""
    return sequence_hash[:2]


def fingerprint_of(description: Mapping[str, Any]) -> str:
    """Digest of `description`: 16 hexadecimal digits of the sha256 of its canonical JSON."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Array:
    """An array of a protein: its dtype and the shape of one row (None: the same for all)."""

    dtype: str
    row: tuple[int, ...] | None = ()


@dataclass(frozen=True)
class Layout:
    """What a kind of store holds of a protein.

    `arrays` have any number of rows a protein; `attributes` are one string each.
    """

    arrays: Mapping[str, Array]
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One protein of a store: arrays by name, shapes [rows, *row], and attributes by name."""

    sequence_hash: str
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, str]


class Store:
    """One store, to write to and to read from.

    Several processes may write at once: the worst that can happen is that a protein is
    computed twice. A store may be pickled or forked (workers of a DataLoader): each
    process opens the segments for itself, HDF5 handles must not be shared.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = Path(path)
        self.layout = layout
        self._indices: dict[str, dict[str, tuple[str, int]]] = {}
        self._segments: OrderedDict[Path, h5py.File] = OrderedDict()
        self._process = os.getpid()

    @classmethod
    def create(
        cls, root: Path, kind: str, description: Mapping[str, Any], layout: Layout
    ) -> "Store":
        """Open the store for `description` below `root`, and make it where there is none."""
        path = Path(root) / kind / fingerprint_of(description)
        note = path / "fingerprint.json"
        if not note.exists():
            write_json(note, dict(description))
        return cls(path, layout)

    @property
    def fingerprint(self) -> str:
        """Name of the store's folder."""
        return self.path.name

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_segments": OrderedDict()}

    # ------------------------------------------------------------------ reading

    def __contains__(self, sequence_hash: str) -> bool:
        return sequence_hash in self._index(bucket_of(sequence_hash))

    def missing(self, sequence_hashes: Iterable[str]) -> list[str]:
        """Those of `sequence_hashes` that the store does not hold, in the order given."""
        return [name for name in dict.fromkeys(sequence_hashes) if name not in self]

    def hashes(self, bucket: str) -> list[str]:
        """Hashes of the proteins that a bucket holds, sorted."""
        return sorted(self._index(bucket))

    def read(self, sequence_hash: str, *names: str) -> dict[str, np.ndarray]:
        """Arrays of one protein, all or those named; KeyError where it is not held."""
        segment, row = self._find(sequence_hash)
        arrays = {}
        for name in names or self.layout.arrays:
            start, stop = segment[f"{name}_offset"][row : row + 2]
            arrays[name] = segment[name][start:stop]
        return arrays

    def attributes(self, sequence_hash: str) -> dict[str, str]:
        """Attributes of one protein; KeyError where it is not held."""
        segment, row = self._find(sequence_hash)
        return {name: segment[name].asstr()[row] for name in self.layout.attributes}

    def provenance(self, bucket: str) -> dict[str, str]:
        """How the proteins of a bucket were computed: each value that its segments have."""
        values: dict[str, set[str]] = defaultdict(set)
        for path in (self.path / bucket).glob("*.h5"):
            for name, value in self._open(path).attrs.items():
                values[name].add(value)
        return {name: "; ".join(sorted(found)) for name, found in values.items()}

    def close(self) -> None:
        """Close the open segments; the next read opens them again."""
        while self._segments:
            self._segments.popitem()[1].close()

    def _find(self, sequence_hash: str) -> tuple[h5py.File, int]:
        bucket = bucket_of(sequence_hash)
        try:
            name, row = self._index(bucket)[sequence_hash]
        except KeyError:
            raise KeyError(f"{sequence_hash} is not in {self.path}") from None
        return self._open(self.path / bucket / name), row

    def _open(self, path: Path) -> h5py.File:
        if self._process != os.getpid():
            self._segments = OrderedDict()
            self._process = os.getpid()
        if path in self._segments:
            self._segments.move_to_end(path)
            return self._segments[path]
        if len(self._segments) >= OPEN_SEGMENTS:
            self._segments.popitem(last=False)[1].close()
        try:
            self._segments[path] = h5py.File(path, "r")
        except OSError as error:
            raise HaloError(
                f"{path}: damaged segment ({error}); delete it and run again, "
                "its proteins will be computed anew"
            ) from None
        return self._segments[path]

    def _index(self, bucket: str) -> dict[str, tuple[str, int]]:
        """Hash to segment and row of one bucket.

        The file ``index.json`` only saves opening every segment: where it does not name
        exactly the segments that are there, it is made anew from them.
        """
        if bucket in self._indices:
            return self._indices[bucket]
        directory = self.path / bucket
        names = sorted(path.name for path in directory.glob("*.h5"))
        file = directory / "index.json"
        rows: dict[str, list[str]] = read_json(file) if file.exists() else {}
        if sorted(rows) != names:
            rows = {name: self._segment_hashes(directory / name) for name in names}
            if names:
                write_json(file, rows)
        self._indices[bucket] = {
            sequence_hash: (name, row)
            for name in names
            for row, sequence_hash in enumerate(rows[name])
        }
        return self._indices[bucket]

    def _segment_hashes(self, path: Path) -> list[str]:
        return list(self._open(path)["hash"].asstr()[:])

    # ------------------------------------------------------------------ writing

    @contextmanager
    def writer(
        self,
        flush_bytes: int = 1 << 28,
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
            writer.flush()

    def _write_segment(
        self, bucket: str, records: list[Record], provenance: Mapping[str, str]
    ) -> None:
        # The time in the name makes the newest segment the last in order.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.h5"
        path = self.path / bucket / name
        with atomic_path(path) as temporary:
            temporary.write_bytes(self._segment(records, provenance))
        self._indices.pop(bucket, None)

    def _segment(self, records: list[Record], provenance: Mapping[str, str]) -> memoryview:
        """Content of a segment.

        It is made in memory: where HDF5 itself writes to a disk that is full, it ends the
        process with a segmentation fault.
        """
        content = BytesIO()
        with h5py.File(content, "w", libver="latest") as file:
            file.attrs.update(provenance)
            hashes = [record.sequence_hash for record in records]
            file.create_dataset("hash", data=hashes, dtype=h5py.string_dtype(length=64))
            for attribute in self.layout.attributes:
                values = [record.attributes[attribute] for record in records]
                file.create_dataset(attribute, data=values, dtype=h5py.string_dtype())
            for array, kind in self.layout.arrays.items():
                rows = [record.arrays[array] for record in records]
                offsets = np.cumsum([0, *(len(part) for part in rows)], dtype=np.int64)
                data = np.concatenate(rows).astype(kind.dtype, copy=False)
                file.create_dataset(array, data=data)
                file.create_dataset(f"{array}_offset", data=offsets)
        return content.getbuffer()


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
        """Write what was added since the last flush, one segment a bucket."""
        for bucket in sorted(self._records):
            self.store._write_segment(bucket, self._records.pop(bucket), self.provenance)
        self._bytes = 0
        self._flushed = time.monotonic()
