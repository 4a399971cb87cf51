"""Read text files of users: compressed or not, in several encodings."""

import bz2
import codecs
import gzip
import io
import logging
import lzma
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast
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
FALLBACK = "cp1252"  # Windows-1252, which includes the letters of Latin-1
CHUNK = 1 << 20
PACKED = 1 << 16  # compressed bytes that are read at once
SNIFFED = 4096  # bytes that tell UTF-16 without a mark
ZIP_MAGIC = b"PK\x03\x04"
ZIP_END, ZIP_END_BYTES = b"PK\x05\x06", 22  # of its last record, which a comment may follow
XZ_MAGIC, XZ_PADDING = b"\xfd7zXZ\x00", 4  # streams of xz may have n x 4 zeros between them
BZIP2_MAGIC = b"BZh"
# First bytes of files that are often given in place of a text, and what to do with them.
NO_TEXT = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file; save it as .xlsx or CSV"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; decompress it, or use gzip or xz"),
    (b"PAR1", "a Parquet file; write it as CSV"),
    (b"\x89HDF", "an HDF5 file; give a table or a FASTA"),
    (b"%PDF", "a PDF; give a table or a FASTA"),
    (b"\x89PNG", "an image; give a table or a FASTA"),
    (b"\xff\xd8\xff", "an image; give a table or a FASTA"),
    (b"SQLite ", "an SQLite database; write it as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; extract the file"),
    (b"Rar!", "a RAR archive; extract the file"),
)
MOST_CONTROLS = 0.05  # largest fraction of control characters in a text; random bytes have 1/8
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f]")
# A zip may need a version of the format, or a compression method, that Python does not support.
_ZIP_FAULTS = (BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError)
_UNREADABLE = (EOFError, OSError, zlib.error, lzma.LZMAError, BadZipFile, NotImplementedError)


def open_text(path: Path) -> IO[str]:
    r"""Open a text file: plain, gzip, xz, bzip2 or zip, recognized by its first bytes.

    The encoding is that of the byte-order mark, else UTF-16 if every other byte is zero, else
    UTF-8. Bytes that are not valid UTF-8 are decoded as `FALLBACK`, with a warning; undefined bytes
    become U+FFFD, which only affects their record. Line ends become ``\n``. The whole file is
    decoded once before it is returned.

    Raises
    ------
    HaloError
        if the file is missing, damaged or binary
    """
    path = Path(path)
    try:
        encoding = _encoding(path)
        return io.TextIOWrapper(open_bytes(path), encoding, _errors(encoding))
    except FileNotFoundError:
        raise HaloError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise HaloError(f"{path}: is a folder; give a file") from None
    except UnicodeError as error:
        raise HaloError(f"{path}: not a readable text ({error}); save it as UTF-8") from None
    except _UNREADABLE as error:
        raise HaloError(
            f"{path}: not a readable text or compressed text, it is damaged or incomplete "
            f"({error}); get it again"
        ) from None


def open_bytes(path: Path) -> IO[bytes]:
    """Open the decompressed bytes of a file; raises a HaloError for a zip with several files."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, what in NO_TEXT:
        if start.startswith(magic):
            raise HaloError(f"{path}: {what}")
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if start.startswith(XZ_MAGIC):
        return _buffered(_Streams(path, "xz", XZ_MAGIC, _xz, XZ_PADDING))
    if start.startswith(BZIP2_MAGIC):
        return _buffered(_Streams(path, "bzip2", BZIP2_MAGIC, bz2.BZ2Decompressor))
    if start.startswith(ZIP_MAGIC):
        return _open_zip(path)
    return path.open("rb")


class _Streams(io.RawIOBase):
    """The decompressed bytes of a file that consists of streams of one kind.

    Python's `bz2` and `lzma` leave out all from the first byte after a stream that begins no other
    one; here it is an error.

    Parameters
    ----------
    path : the file
    kind : name of the kind, for messages
    magic : its first bytes
    make : returns a decompressor of one stream
    padding : streams may be followed by zeros, in a multiple of this number; 0 for none
    """

    def __init__(
        self, path: Path, kind: str, magic: bytes, make: Callable[[], Any], padding: int = 0
    ) -> None:
        self._path, self._kind, self._magic = path, kind, magic
        self._make, self._padding = make, padding
        self._file = path.open("rb")
        self._stream = make()
        self._next = b""  # read from the file, and not yet decompressed

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        part = b""
        while not part:
            if self._stream.eof and not self._begin():
                return 0
            data, self._next = self._next, b""
            if not data and self._stream.needs_input:
                data = self._file.read(PACKED)
                if not data:
                    raise EOFError(f"it ends within a stream of {self._kind}")
            part = self._stream.decompress(data, len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def _begin(self) -> bool:
        """Begin the next stream; False if there is none, and a HaloError if it is no stream."""
        data, zeros = self._stream.unused_data, 0
        if self._padding:
            data, zeros = self._without_zeros(data)
        data += self._file.read(max(len(self._magic) - len(data), 0))
        whole = not zeros or zeros % self._padding == 0
        if whole and not data:
            return False
        # A stream may be cut within its first bytes; then it ends within itself.
        if not whole or not (data.startswith(self._magic) or self._magic.startswith(data)):
            place = self._file.tell() - len(data)
            raise HaloError(
                f"{self._path}: at byte {place:,}, after the end of a stream of {self._kind}, is "
                f"something else, {data[:20]!r}; decompress the files that were joined, and join "
                "the texts, or get it again"
            )
        self._stream, self._next = self._make(), data
        return True

    def _without_zeros(self, data: bytes) -> tuple[bytes, int]:
        """`data`, or what follows it in the file, from the first byte that is not 0 on.

        The second value is the number of zeros before it.
        """
        zeros = 0
        while data or (data := self._file.read(PACKED)):
            rest = data.lstrip(b"\0")
            zeros += len(data) - len(rest)
            if rest:
                return rest, zeros
            data = b""
        return b"", zeros


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ)


def _buffered(streams: _Streams) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(streams, CHUNK))


def zip_members(path: Path) -> list[str]:
    """Names of the files in a zip, without metadata of macOS; [] if the file is not a zip.

    Raises
    ------
    HaloError
        if there is more in the file than the zip, of which readers of zips say nothing
    """
    try:
        with ZipFile(path) as archive:
            if not _is_alone(path, archive):
                raise HaloError(
                    f"{path}: a zip, or a workbook, and something else before or after it; give "
                    "the files that were joined one by one, or get it again"
                )
            return [
                name
                for name in archive.namelist()
                if not name.endswith("/") and not name.startswith("__MACOSX/")
            ]
    except _ZIP_FAULTS:
        return []


def _is_alone(path: Path, archive: ZipFile) -> bool:
    """Whether a zip begins and ends where its file does."""
    first = min((member.header_offset for member in archive.infolist()), default=0)
    with path.open("rb") as file:
        file.seek(-ZIP_END_BYTES - len(archive.comment), os.SEEK_END)
        return first == 0 and file.read(len(ZIP_END)) == ZIP_END


def _open_zip(path: Path) -> IO[bytes]:
    members = zip_members(path)
    if not members:
        raise HaloError(f"{path}: a zip that is empty, damaged or incomplete; get it again")
    if len(members) > 1:
        some = ", ".join(members[:5])
        raise HaloError(f"{path}: a zip with {len(members)} files ({some}); extract the one to use")
    with ZipFile(path) as archive:
        try:
            return archive.open(members[0])
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unsupported method
            raise HaloError(f"{path}: {error}; extract it by hand") from None


def _encoding(path: Path) -> str:
    """The encoding of a file, which is decoded completely."""
    with open_bytes(path) as file:
        start = file.read(SNIFFED)
    if start[257:262] == b"ustar":
        raise HaloError(f"{path}: a tar archive; extract the file")
    marked = next((name for mark, name in MARKS if start.startswith(mark)), None)
    encoding = marked or _utf16_without_mark(start) or "utf-8"
    try:
        _check(path, encoding, "strict")
    except UnicodeDecodeError as error:
        _check(path, encoding, _errors(encoding))
        log.warning(
            "%s: byte 0x%02x is not valid in %s%s; save it as UTF-8 if letters look wrong",
            path,
            error.object[error.start],
            encoding.upper(),
            ": such bytes are read as Windows-1252 (Latin-1)" if encoding == "utf-8" else "",
        )
    return encoding


def _errors(encoding: str) -> str:
    """Name of the `codecs` error handler for bytes that are not valid in `encoding`."""
    return f"halo.{FALLBACK}" if encoding.startswith("utf-8") else "replace"


def _in_fallback(error: UnicodeError) -> tuple[str, int]:
    """`codecs` error handler that decodes bytes that are not valid UTF-8 as `FALLBACK`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode(FALLBACK, "replace"), error.end


codecs.register_error(f"halo.{FALLBACK}", _in_fallback)


def _utf16_without_mark(start: bytes) -> str | None:
    even, odd = start[0::2], start[1::2]
    if len(odd) > 1 and odd.count(0) > 0.9 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(odd) > 1 and even.count(0) > 0.9 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def _check(path: Path, encoding: str, errors: str) -> None:
    """Decode the whole file; raises a UnicodeDecodeError, or a HaloError if it is not a text.

    A few control characters are allowed, since they only affect their record.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    with open_bytes(path) as file:
        while True:
            chunk = file.read(CHUNK)
            text = decoder.decode(chunk, final=not chunk)
            controls = _CONTROL.findall(text)
            if len(controls) > max(1, MOST_CONTROLS * len(text)):
                raise HaloError(
                    f"{path}: not a readable text, it has control characters such as "
                    f"{controls[0]!r}; give a table (CSV, TSV, xlsx) or a FASTA"
                )
            if not chunk:
                return
