"""Parse PDB, mmCIF and BinaryCIF into backbones of protein chains."""

import bz2
import lzma
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, cast

import zstandard
from isal import isal_zlib

from halo.errors import HaloError
from halo.files import GZIP_MAGIC
from halo.structures.atoms import Atoms, Chain, Header, chains_of
from halo.structures.bcif import is_bcif
from halo.structures.cif import read_bcif, read_cif
from halo.structures.pdb import read_pdb

# The largest model of AlphaFold DB has some 3 MB as mmCIF; what is much larger is no model.
MAX_BYTES = 32 << 20
MAX_MODELS = 100  # that are looked through for a protein
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_STEP = 1 << 10  # bytes; what one of them unpacks to has a bound
# isal takes a third of zlib's time, which is a third of that of reading a PDB file.
_PACKED: dict[bytes, tuple[str, Callable[[], Any]]] = {
    GZIP_MAGIC: ("gzip", lambda: isal_zlib.decompressobj(wbits=31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", lambda: lzma.LZMADecompressor(memlimit=MAX_BYTES * 8)),
    _ZSTD_MAGIC: ("zstd", lambda: _Zstd()),
}
# The stubs of isal take its class of errors for one of them.
_ISAL_ERROR: type[Exception] = cast(type[Exception], isal_zlib.error)
_UNPACK_ERRORS = (_ISAL_ERROR, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError)
# First bytes of other files, their type, and the fix.
_OTHERS = {
    b"PK\x03\x04": "a zip archive; unpack it",
    b"FCMP": "a file of Foldcomp; unpack it: foldcomp decompress",
    b"MMTF": "MMTF, which is no longer made; get the entry as mmCIF",
    b"\x93NUMPY": "an array of numpy; give the model's PDB or mmCIF file",
    b"\x89HDF": "HDF5; give the model's PDB or mmCIF file",
    b"\x80\x04": "a pickle of Python; give the model's PDB or mmCIF file",
    b"{": "JSON; give the model's PDB or mmCIF file",
    b">": "FASTA or an alignment; give the model's PDB or mmCIF file",
    b"<": "HTML or XML; give the model's PDB or mmCIF file",
}
_CIF = re.compile(rb"^[ \t]*data_", re.IGNORECASE | re.MULTILINE)
_PDB = re.compile(rb"^(?:ATOM  |HETATM)", re.MULTILINE)
_PDB_STARTS = (b"ATOM  ", b"HETATM", b"HEADER", b"TITLE ", b"REMARK", b"MODEL ", b"CRYST1")
# Exceptions of gemmi and the readers for damaged files.
_READ_ERRORS = (RuntimeError, ValueError, IndexError, OverflowError)


class StructureError(HaloError):
    """The bytes are not a usable structure: damaged, truncated, or something else."""


class TooLargeError(StructureError):
    """The file has more bytes or atoms than any model."""


def parse_structure(data: bytes, name: str) -> list[Chain]:
    """Protein chains of the first model that has one; PDB, mmCIF or BinaryCIF, also compressed.

    `name` is for messages.

    Raises
    ------
    StructureError
        if there is no protein chain, or the text has more than `MAX_BYTES`
    """
    text = expand(data, name)
    try:
        for atoms, header in islice(_models(text, name), MAX_MODELS):
            if chains := chains_of(atoms, header):
                return chains
    except OverflowError as error:
        raise TooLargeError(f"{name}: {error}") from None
    except _READ_ERRORS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StructureError(f"{name}: not readable ({reason})") from None
    raise StructureError(f"{name}: no protein chain in it")


def expand(data: bytes, name: str) -> bytes:
    """`data` as plain bytes, decompressed if necessary, at most `MAX_BYTES`."""
    packer = _packer(data)
    if packer is None:
        if len(data) > MAX_BYTES:
            raise TooLargeError(f"{name}: larger than {MAX_BYTES >> 20} MiB")
        return data
    parts: list[bytes] = []
    room = MAX_BYTES
    while packer is not None:
        kind, make = packer
        member = make()
        try:
            part = member.decompress(data, room + 1)
        except _UNPACK_ERRORS as error:
            raise StructureError(f"{name}: damaged {kind} ({error}); get it again") from None
        room -= len(part)
        if room < 0:
            raise TooLargeError(f"{name}: larger than {MAX_BYTES >> 20} MiB when unpacked")
        if not member.eof:
            raise StructureError(f"{name}: {kind} is truncated; get it again")
        parts.append(part)
        data = member.unused_data
        packer = _packer(data)
        if packer is None and data.strip(b"\0"):  # zeros are padding
            raise StructureError(
                f"{name}: after the end of the {kind} is something else ({data[:20]!r}); get it "
                "again"
            )
    return b"".join(parts)


def _packer(data: bytes) -> tuple[str, Callable[[], Any]] | None:
    """Name and constructor of the decompressor for `data`, by its first bytes."""
    return next((kind for magic, kind in _PACKED.items() if data.startswith(magic)), None)


class _Zstd:
    """Decompressor of a zstd frame with the interface and bound of the other decompressors."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=MAX_BYTES * 4).decompressobj()
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return self._frame.eof

    def decompress(self, data: bytes, most: int) -> bytes:
        """Decompress at most one step more than `most` bytes."""
        parts, size, start = [], 0, 0
        while start < len(data) and size < most and not self._frame.eof:
            parts.append(self._frame.decompress(data[start : start + _ZSTD_STEP]))
            size += len(parts[-1])
            start += _ZSTD_STEP
        if self._frame.eof:
            self.unused_data = self._frame.unused_data + data[start:]
        return b"".join(parts)


def _models(text: bytes, name: str) -> Iterator[tuple[Atoms, Header]]:
    """The models of a structure, whose format is recognized by its first bytes."""
    if is_bcif(text):
        return read_bcif(text)
    text = _plain(text)
    if text.startswith(_PDB_STARTS) and _PDB.search(text):
        return read_pdb(text)
    start = text.lstrip()[:40]
    if not start.strip(b"\x00") and not text.strip(b"\x00 \r\n\t"):
        raise StructureError(f"{name}: the file is empty; get it again")
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise StructureError(f"{name}: neither PDB nor mmCIF: {what}")
    if _CIF.search(text, 0, 1 << 16):
        return read_cif(text)
    if _PDB.search(text):
        return read_pdb(text)
    if start.startswith(_PDB_STARTS):
        raise StructureError(f"{name}: a PDB file without atoms; get it again")
    raise StructureError(f"{name}: neither PDB nor mmCIF: it starts with {start!r}")


def _plain(text: bytes) -> bytes:
    """Remove a byte-order mark, and convert line ends to one byte."""
    if text.startswith(b"\xef\xbb\xbf"):
        text = text[3:]
    elif text.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = text.decode("utf-16", "replace").encode()
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text
