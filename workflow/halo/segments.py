"""Segments: the immutable HDF5 files of a store, with checksums that are verified on reading.

Layout of a segment with n proteins: ``hash`` [n] (64 hexadecimal digits), and each array as the
concatenated rows of its proteins; an attribute is stored as an array of its UTF-8 bytes. ``offset``
int64 [n + 1, arrays] is the first row of each protein, ``crc`` uint32 [n, arrays] the checksum of
its rows; columns are in the order of the file attribute ``arrays``. The other file attributes are
the provenance of the proteins.

A segment never changes after it was renamed to its final name, so reading needs no lock, which many
cluster file systems do not support. HDF5 is only used to locate the arrays, which are then read
directly.
"""

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, FileIO
from math import prod
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
from isal import isal_zlib

from halo.errors import HaloError
from halo.layout import Array, Layout

FORMAT = 2  # format of segments; part of every fingerprint
ARRAYS = "arrays"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Record:
    """One protein of a store: arrays by name, shapes [rows, *row], and attributes by name."""

    sequence_hash: str
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class OptionalArray(Array):
    """An array with one row for a protein, which is `default` where a record has none."""

    default: float = 0.0

    @property
    def absent(self) -> np.ndarray:
        """The array of a record without it, [1, *row]."""
        return np.full((1, *(self.row or ())), self.default, self.dtype)


class DamagedSegment(HaloError):
    """The content of a segment does not match its checksums."""


def checksum(sequence_hash: str, name: str, values: np.ndarray) -> int:
    """CRC-32 of one array of one protein: hash of the protein, name, dtype, shape and bytes."""
    # isal computes the checksums of zlib in a third of the time.
    start = isal_zlib.crc32(f"{sequence_hash} {name} {values.dtype} {values.shape}".encode())
    return isal_zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, start)


def segment_content(
    layout: Layout, records: Sequence[Record], provenance: Mapping[str, str]
) -> memoryview:
    """The bytes of a segment.

    It is created in memory, because HDF5 ends the process with a segmentation fault if the disk is
    full.
    """
    hashes = [record.sequence_hash for record in records]
    names = (*layout.attributes, *layout.arrays)
    offset = np.zeros((len(records) + 1, len(names)), np.int64)
    crc = np.zeros((len(records), len(names)), np.uint32)
    content = BytesIO()
    with h5py.File(content, "w", libver="latest") as file:
        for key, value in {**provenance, ARRAYS: " ".join(names)}.items():
            text = value.encode()
            file.attrs.create(key, text, dtype=h5py.string_dtype(length=max(len(text), 1)))
        for column, name in enumerate(names):
            rows = [_rows(layout, record, name) for record in records]
            offset[1:, column] = np.cumsum([len(part) for part in rows])
            crc[:, column] = [
                checksum(sequence_hash, name, part)
                for sequence_hash, part in zip(hashes, rows, strict=True)
            ]
            file.create_dataset(name, data=np.concatenate(rows))
        file.create_dataset("hash", data=hashes, dtype=h5py.string_dtype(length=64))
        file.create_dataset("offset", data=offset)
        file.create_dataset("crc", data=crc)
    return content.getbuffer()


def _rows(layout: Layout, record: Record, name: str) -> np.ndarray:
    if name in layout.attributes:
        return np.frombuffer(record.attributes[name].encode(), np.uint8)
    kind = layout.arrays[name]
    if isinstance(kind, OptionalArray) and name not in record.arrays:
        return kind.absent
    return record.arrays[name].astype(kind.dtype, copy=False)


@dataclass(frozen=True)
class _Block:
    """Location of an array in the file: first byte, dtype, and shape of a row."""

    start: int
    dtype: np.dtype
    row: tuple[int, ...]
    column: int  # of the tables


@dataclass(frozen=True)
class _Tables:
    """Metadata of a segment without its arrays; small, and kept when the file is closed."""

    size: int
    provenance: dict[str, str]
    offset: np.ndarray
    crc: np.ndarray
    blocks: dict[str, _Block]


class Segment:
    """Reader of a segment.

    The file is opened on demand. Instances can be pickled and used after a fork. Methods raise
    `DamagedSegment` if the content is damaged, and `OSError` if the file cannot be read (no such
    file, no permission, stale handle).
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._tables: _Tables | None = None
        self._memory: bytes | None = None
        self._file: FileIO | None = None

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_file": None}

    def hashes(self) -> list[str]:
        """Sequence hashes of the proteins, in the order of their rows."""
        return self._checked(
            lambda: self._ask_hdf5(lambda file: list(file["hash"].asstr()[:])), "the hashes"
        )

    def provenance(self) -> dict[str, str]:
        """Provenance of the proteins."""
        return self._checked(lambda: self._metadata().provenance, "the attributes")

    def read(self, sequence_hash: str, row: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Read arrays of the protein in `row`, whose hash is `sequence_hash`."""
        return self._checked(
            lambda: {name: self._array(sequence_hash, row, name) for name in names},
            f"protein {sequence_hash[:12]}",
        )

    def attributes(self, sequence_hash: str, row: int) -> dict[str, str]:
        """Attributes of the protein in `row`, whose hash is `sequence_hash`."""
        arrays = self.read(sequence_hash, row, self.layout.attributes)
        return {name: values.tobytes().decode() for name, values in arrays.items()}

    def _array(self, sequence_hash: str, row: int, name: str) -> np.ndarray:
        tables = self._metadata()
        kind = self.layout.arrays.get(name)
        if isinstance(kind, OptionalArray) and name not in tables.blocks:
            return kind.absent
        block = tables.blocks[name]
        first, last = tables.offset[row : row + 2, block.column].tolist()
        size = prod(block.row) * block.dtype.itemsize
        if not 0 <= first <= last or block.start + last * size > tables.size:
            raise ValueError(f"{name}: no such rows")
        values = np.empty((last - first, *block.row), block.dtype)
        self._fill(values, block.start + first * size)
        if checksum(sequence_hash, name, values) != tables.crc[row, block.column]:
            raise ValueError(f"{name}: the checksum does not match")
        return values

    def _fill(self, values: np.ndarray, start: int) -> None:
        """Read bytes from `start` on into `values`."""
        todo = values.reshape(-1).view(np.uint8).data
        if self._memory is not None:
            todo[:] = self._memory[start : start + len(todo)]
            return
        if self._file is None:
            self._file = FileIO(self.path)
        while todo:
            count = os.preadv(self._file.fileno(), [todo], start)
            if not count:
                raise ValueError("the file is too short")
            todo, start = todo[count:], start + count

    def _metadata(self) -> _Tables:
        if self._tables is None:
            self._tables = self._ask_hdf5(self._read_tables)
        return self._tables

    def _read_tables(self, file: h5py.File) -> _Tables:
        texts = {name: value.decode() for name, value in file.attrs.items()}
        names = texts.pop(ARRAYS).split()
        blocks = {}
        for column, name in enumerate(names):
            data = file[name]
            start = data.id.get_offset() or 0  # None if there are no rows
            blocks[name] = _Block(start, data.dtype, data.shape[1:], column)
        size = self.path.stat().st_size if self._memory is None else len(self._memory)
        return _Tables(size, texts, file["offset"][:], file["crc"][:], blocks)

    def _ask_hdf5(self, question: Callable[[h5py.File], Answer]) -> Answer:
        if self._memory is None:
            with h5py.File(self.path, "r", locking=False) as file:
                return question(file)
        with h5py.File(BytesIO(self._memory), "r") as file:
            return question(file)

    def _checked(self, read: Callable[[], Answer], what: str) -> Answer:
        """The result of `read`, which is repeated from the file's bytes in memory if it fails.

        HDF5 raises exceptions of many types for damaged files, and some of the same types for
        errors of the file system.
        """
        try:
            return read()
        except Exception:
            self.close()
            self._memory, self._tables = self.path.read_bytes(), None
        try:
            return read()
        except Exception as error:
            raise DamagedSegment(
                f"{self.path}: damaged segment ({what}: {error}); remove the file and run again, "
                f"its proteins are computed again: rm {shlex.quote(str(self.path))}"
            ) from None
        finally:
            self._memory = None
