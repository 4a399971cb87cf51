"""Text files as users have them: compressed or not, in whatever encoding they were saved."""

import bz2
import codecs
import gzip
import io
import logging
import lzma
import re
import zlib
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

from halo.errors import HaloError

log = logging.getLogger(__name__)

MARKS = (  # byte-order marks; UTF-32's before UTF-16's, which they begin with
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FALLBACK = "cp1252"  # Windows-1252, of which Latin-1's letters are a part
CHUNK = 1 << 20
SNIFFED = 4096  # bytes that tell UTF-16 without a mark
ZIP_MAGIC = b"PK\x03\x04"
# First bytes of files that are often given in place of a text, and what to do with them.
NO_TEXT = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file; save it as .xlsx or CSV"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; decompress it, or use gzip or xz"),
    (b"PAR1", "a Parquet file; write it as CSV"),
    (b"\x89HDF", "an HDF5 file; a table or a FASTA is wanted"),
    (b"%PDF", "a PDF; a table or a FASTA is wanted"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f]")
_UNREADABLE = (EOFError, OSError, zlib.error, lzma.LZMAError, BadZipFile)


def open_text(path: Path) -> IO[str]:
    """Open a text, told apart by its first bytes: plain, gzip, xz, bzip2 or zip.

    The encoding is that of the byte-order mark, else UTF-8, else UTF-16 where every other byte
    is zero, else `FALLBACK`, which the log says. Line ends become ``\\n``. The whole file is read
    once before it is opened, so that a damaged or binary file is a HaloError here.
    """
    path = Path(path)
    try:
        encoding = _encoding(path)
        return io.TextIOWrapper(open_bytes(path), encoding=encoding)
    except FileNotFoundError:
        raise HaloError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise HaloError(f"{path}: is a folder; give a file") from None
    except UnicodeError as error:
        raise HaloError(f"{path}: not a readable text ({error}); save it as UTF-8") from None
    except _UNREADABLE as error:
        raise HaloError(
            f"{path}: not a readable text or compressed text, it is damaged or was cut off "
            f"({error}); get it again"
        ) from None


def open_bytes(path: Path) -> IO[bytes]:
    """The decompressed bytes of a file; HaloError for a zip of more than one file."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, what in NO_TEXT:
        if start.startswith(magic):
            raise HaloError(f"{path}: {what}")
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(path, "rb")
    if start.startswith(b"BZh"):
        return bz2.open(path, "rb")
    if start.startswith(ZIP_MAGIC):
        return _open_zip(path)
    return path.open("rb")


def zip_members(path: Path) -> list[str]:
    """Names of the files in a zip, without the notes that macOS adds; [] where it is no zip."""
    try:
        with ZipFile(path) as archive:
            return [
                name
                for name in archive.namelist()
                if not name.endswith("/") and not name.startswith("__MACOSX/")
            ]
    except (BadZipFile, OSError):
        return []


def _open_zip(path: Path) -> IO[bytes]:
    members = zip_members(path)
    if len(members) != 1:
        some = ", ".join(members[:5])
        raise HaloError(
            f"{path}: a zip with {len(members)} files ({some}); extract the one that is wanted"
        )
    with ZipFile(path) as archive:
        try:
            return archive.open(members[0])
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or of another method
            raise HaloError(f"{path}: {error}; extract it by hand") from None


def _encoding(path: Path) -> str:
    """The encoding of a file all of whose bytes it can decode."""
    with open_bytes(path) as file:
        start = file.read(SNIFFED)
    marked = next((name for mark, name in MARKS if start.startswith(mark)), None)
    encoding = marked or _utf16_without_mark(start) or "utf-8"
    try:
        _check(path, encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise
        _check(path, FALLBACK)
        log.warning(
            "%s: is not UTF-8 (byte 0x%02x): read as Windows-1252 (Latin-1); save it as UTF-8 "
            "where letters look wrong",
            path,
            error.object[error.start],
        )
        return FALLBACK
    return encoding


def _utf16_without_mark(start: bytes) -> str | None:
    even, odd = start[0::2], start[1::2]
    if len(odd) > 1 and odd.count(0) > 0.9 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(odd) > 1 and even.count(0) > 0.9 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def _check(path: Path, encoding: str) -> None:
    """Decode the whole file; UnicodeDecodeError, or HaloError where it is no text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_bytes(path) as file:
        while True:
            chunk = file.read(CHUNK)
            found = _CONTROL.search(decoder.decode(chunk, final=not chunk))
            if found:
                raise HaloError(
                    f"{path}: not a readable text, it holds the control character "
                    f"{found.group()!r}; give a table (CSV, TSV, xlsx) or a FASTA"
                )
            if not chunk:
                return
