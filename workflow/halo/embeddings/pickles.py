"""Look into files of PyTorch without loading them.

A file is a zip archive with the pickle ``data.pkl``, or several pickles and then the tensors
(PyTorch before 1.6).
"""

import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from errno import EINVAL
from io import BytesIO
from pathlib import Path
from typing import IO

ZIP, LEGACY = b"PK\x03\x04", b"\x80"
CONTENT = "/data.pkl"
IMPORTS_NO_PROGRAM = "damaged, it imports a name of no program"
LEGACY_PICKLES = 5  # before the tensors: magic number, version, machine, content, keys
LEGACY_BYTES = 16 << 20  # largest size of these
LONGEST_NAME = 1000  # longest name that a pickle may import


def import_fault(path: Path) -> str | None:
    """The fault of a file that is damaged or imports an impossibly long name, or None.

    PyTorch needs time quadratic in the length to refuse such a name. A file that is whole can
    still hold anything.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:  # as PyTorch distinguishes them
            file.seek(0)
            return _legacy_fault(BytesIO(file.read(LEGACY_BYTES)))
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(CONTENT):
                    with archive.open(entry) as pickled:
                        if imports_long_name(pickled):
                            return IMPORTS_NO_PROGRAM
    except OSError as error:
        if error.errno != EINVAL:  # zipfile's of a truncated archive: a position before its start
            raise
        return f"damaged ({error})"
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        return f"damaged ({error})"
    return None


def imports_long_name(file: IO[bytes]) -> bool:
    """Whether the next pickle of `file` imports an impossibly long name; see `import_fault`."""
    return any(
        opcode.name in ("GLOBAL", "INST") and len(value or "") > LONGEST_NAME
        for opcode, value, _ in pickletools.genops(file)
    )


def parameters(pickled: bytes) -> Iterator[tuple[str, list[int]]]:
    """Strings of a pickle, and the integers between each string and the next one.

    After the name of a tensor, these are the size of its storage, an offset, and its shape.
    """
    name = ""
    numbers: list[int] = []
    for opcode, value, _ in pickletools.genops(pickled):
        if "UNICODE" in opcode.name and isinstance(value, str):
            if "." in value:
                yield name, numbers
                name, numbers = value, []
        elif isinstance(value, int) and opcode.name.startswith("BININT"):
            numbers.append(value)
    yield name, numbers


def _legacy_fault(pickles: IO[bytes]) -> str | None:
    with suppress(ValueError, EOFError, IndexError, OverflowError):  # PyTorch tells what it is
        try:
            damaged = any(imports_long_name(pickles) for _ in range(LEGACY_PICKLES))
        except ValueError as error:
            # The name of an import that is not ASCII, or that ends with the file.
            damaged = isinstance(error, UnicodeDecodeError) or "newline" in str(error)
        if damaged:
            return IMPORTS_NO_PROGRAM
    return None
