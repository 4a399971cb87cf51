"""Segments: the immutable HDF5 files of a store, each value of which is checked when it is read.

Layout of a segment: ``hash`` [n] (64 hexadecimal digits), and each array as the rows of its
proteins, one after the other, with ``<array>_offset`` int64 [n + 1] and ``<array>_crc`` uint32 [n].
An attribute is an array of its UTF-8 bytes. The file's own attributes say how its proteins were
computed.

A segment never changes once it has its name, so it is read without any lock: many file systems of
clusters have none.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from halo.errors import HaloError
from halo.layout import Layout

FORMAT = 2  # of the segments; part of every fingerprint


@dataclass(frozen=True)
class Record:
    """One protein of a store: arrays by name, shapes [rows, *row], and attributes by name."""

    sequence_hash: str
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, str]


class DamagedSegment(HaloError):
    """The content of a segment is not what was written."""


def checksum(sequence_hash: str, name: str, values: np.ndarray) -> int:
    """CRC-32 of one array of one protein: of whose and which it is, its shape, and its bytes."""
    start = zlib.crc32(f"{sequence_hash} {name} {values.dtype} {values.shape}".encode())
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8), start)


def segment_content(
    layout: Layout, records: Sequence[Record], provenance: Mapping[str, str]
) -> memoryview:
    """The bytes of a segment.

    It is made in memory: where HDF5 itself writes to a disk that is full, it ends the
    process with a segmentation fault.
    """
    content = BytesIO()
    hashes = [record.sequence_hash for record in records]
    with h5py.File(content, "w", libver="latest") as file:
        for name, value in provenance.items():
            text = value.encode()
            dtype = h5py.string_dtype(length=max(len(text), 1))
            file.attrs.create(name, text, dtype=dtype)
        file.create_dataset("hash", data=hashes, dtype=h5py.string_dtype(length=64))
        for name in layout.attributes:
            texts = [record.attributes[name].encode() for record in records]
            rows = [np.frombuffer(text, np.uint8) for text in texts]
            _write(file, name, hashes, rows, "uint8")
        for name, kind in layout.arrays.items():
            _write(file, name, hashes, [record.arrays[name] for record in records], kind.dtype)
    return content.getbuffer()


def _write(
    file: h5py.File, name: str, hashes: Sequence[str], rows: Sequence[np.ndarray], dtype: str
) -> None:
    offset = np.cumsum([0, *(len(part) for part in rows)], dtype=np.int64)
    data = np.concatenate(rows).astype(dtype, copy=False)
    parts = zip(hashes, offset[:-1], offset[1:], strict=True)
    crc = [checksum(sequence_hash, name, data[start:stop]) for sequence_hash, start, stop in parts]
    file.create_dataset(name, data=data)
    file.create_dataset(f"{name}_offset", data=offset)
    file.create_dataset(f"{name}_crc", data=np.array(crc, np.uint32))


class Segment:
    """An open segment.

    Every method raises `DamagedSegment` where the content is damaged, and the `OSError` of the
    file system (no such file, no permission, a stale handle) where it cannot be read.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._tables: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError:
            self._file = self._from_memory()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def hashes(self) -> list[str]:
        """Sequence hashes of its proteins, in the order of their rows."""
        return self._checked(lambda: list(self._file["hash"].asstr()[:]), "the hashes")

    def provenance(self) -> dict[str, str]:
        """How its proteins were computed."""
        return self._checked(
            lambda: {name: value.decode() for name, value in self._file.attrs.items()},
            "the attributes",
        )

    def read(self, sequence_hash: str, row: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Those arrays of the protein in `row`, whose hash is `sequence_hash`."""
        return self._checked(
            lambda: {name: self._array(sequence_hash, row, name) for name in names},
            f"protein {sequence_hash[:12]}",
        )

    def attributes(self, sequence_hash: str, row: int) -> dict[str, str]:
        """Attributes of the protein in `row`, whose hash is `sequence_hash`."""
        found = self.read(sequence_hash, row, self.layout.attributes)
        return {name: values.tobytes().decode() for name, values in found.items()}

    def _array(self, sequence_hash: str, row: int, name: str) -> np.ndarray:
        if name not in self._tables:
            self._tables[name] = self._file[f"{name}_offset"][:], self._file[f"{name}_crc"][:]
        offset, crc = self._tables[name]
        values = self._file[name][offset[row] : offset[row + 1]]
        if checksum(sequence_hash, name, values) != crc[row]:
            raise ValueError(f"{name}: the checksum does not match")
        return values

    def _checked(self, read, what: str):
        """The result of `read`; once more, from the file's bytes alone, where it fails.

        HDF5 answers a damaged content with exceptions of many kinds, and a fault of the file
        system with some of the same.
        """
        try:
            return read()
        except Exception:
            self._file.close()
            self._tables.clear()
            self._file = self._from_memory()
        try:
            return read()
        except Exception as error:
            raise self._damaged(f"{what}: {error}") from None

    def _from_memory(self) -> h5py.File:
        content = self.path.read_bytes()
        try:
            return h5py.File(BytesIO(content), "r")
        except OSError as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, why: str) -> DamagedSegment:
        return DamagedSegment(
            f"{self.path}: damaged segment ({why}); delete this file and run again, "
            "its proteins will be computed again"
        )
