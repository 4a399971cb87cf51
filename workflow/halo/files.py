"""Read and write files; writing is atomic."""

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from halo.errors import HaloError

GZIP_MAGIC = b"\x1f\x8b"

# Errors of file systems for unsupported operations: CIFS and some FUSE mounts do not support fsync
# of a folder, or permissions.
UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM}


@contextmanager
def atomic_path(path: Path, shared: bool = False, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, and rename it to `path` on success.

    The file is fsynced before the rename and the folder after it, so that after a crash `path` has
    the old content, the new content, or does not exist. `durable` False skips fsync, for files that
    can be written again. On an exception, the temporary file is removed and `path` is unchanged.
    With `shared`, the file gets the permissions of its folder, else those of the umask.
    """
    path = Path(path)
    (shared_folder if shared else _folder)(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.touch(0o666, exist_ok=False)
        yield temporary
        if shared:
            _set_mode(temporary, path.parent.stat().st_mode & 0o666)
        if durable:
            _sync(temporary)
        temporary.replace(path)
        if durable:
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def shared_folder(folder: Path) -> Path:
    """Create `folder` and its missing parents with the permissions of the existing parent.

    All folders of a store thereby get the permissions of its root, independent of the umask: the
    write permission of the group and the setgid bit.
    """
    folder = Path(folder)
    if not folder.is_dir():
        above = shared_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:  # created by another process
            return folder
        _set_mode(folder, above.stat().st_mode & 0o2777)
    return folder


def _set_mode(path: Path, mode: int) -> None:
    """Set permissions, if the file system supports them."""
    if path.stat().st_mode & 0o7777 != mode:
        try:
            path.chmod(mode)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise


def _folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _sync(path: Path) -> None:
    """fsync a file or a folder, if the file system supports it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder with permission to write, but not to list
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """fsync a folder and the files in it, so that a crash leaves them whole."""
    for path in (*folder.iterdir(), folder):
        _sync(path)


def write_text(path: Path, text: str, shared: bool = False, durable: bool = True) -> None:
    """Write UTF-8 text atomically; see `atomic_path`."""
    with atomic_path(path, shared, durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, shared: bool = False, durable: bool = True) -> None:
    """Write JSON atomically, in the given order of keys; see `atomic_path`.

    ValueError for NaN and infinity, which are no JSON and which other programs refuse.
    """
    try:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        raise ValueError(f"{path}: {error}; write None where a value is not defined") from None
    write_text(path, text, shared, durable)


def read_json(path: Path) -> Any:
    """Read JSON; raises a HaloError with the path if the file is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested too deeply
        raise HaloError(
            f"{path}: not readable as JSON ({error}); delete it and run again"
        ) from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV with a header and without the index, atomically."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV with every value as text, blanks as empty text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing_digest(places: Iterable[Path]) -> str:
    """Digest of names, sizes and modification times of files, including files of folders.

    The name of a file in a folder is its path from there, so that it may not move in it.
    """
    digest = hashlib.sha256()
    for place in map(Path, places):
        above = place if place.is_dir() else place.parent
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                status, name = path.stat(), os.fsencode(path.relative_to(above))
                digest.update(name + f" {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def sha256_of_text(text: str) -> str:
    """Hexadecimal sha256 of the UTF-8 bytes of `text`."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
