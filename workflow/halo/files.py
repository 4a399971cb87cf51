"""Reading and writing files so that a reader never meets a half-written one."""

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

# What a file system answers to what it does not offer: CIFS and some FUSE mounts refuse the fsync
# of a folder, or keep no permissions.
UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM}


@contextmanager
def atomic_path(path: Path, shared: bool = False, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path` and rename it to `path` on success.

    The content is fsynced before the rename and the directory after it, so that after a
    crash `path` holds either the old content, the new content, or nothing; not so with
    `durable` False, for what can be made again. On an exception the temporary file is removed
    and `path` stays as it was. With `shared`, who may read and write the folder may do so with
    the file, whatever the umask; else the umask decides.
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
    """Make `folder`, and what is missing above it, with the permissions of the folder above.

    So those of the topmost folder, the store's, hold for all below, whatever the umask of who
    makes them: the group's right to write, and the bit by which files get the folder's group.
    """
    folder = Path(folder)
    if not folder.is_dir():
        above = shared_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:  # another process has made it
            return folder
        _set_mode(folder, above.stat().st_mode & 0o2777)
    return folder


def adopt_folder(folder: Path) -> None:
    """Give a new folder in a store the permissions of the folder above.

    For the folder of an output, which Snakemake makes with those of the umask. One that has
    something in it, or belongs to another user, stays as it is.
    """
    folder = Path(folder)
    own = folder.is_dir() and folder.stat().st_uid == os.geteuid()
    if own and not any(folder.iterdir()):
        _set_mode(folder, folder.parent.stat().st_mode & 0o2777)


def _set_mode(path: Path, mode: int) -> None:
    """Set the permissions of what this process has made, where the file system keeps some."""
    if path.stat().st_mode & 0o7777 != mode:
        try:
            path.chmod(mode)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise


def _folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _sync(path: Path) -> None:
    """fsync a file or a folder, where the file system offers that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder that can be written to and not be listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, shared: bool = False, durable: bool = True) -> None:
    """Write UTF-8 text atomically; see `atomic_path`."""
    with atomic_path(path, shared, durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, shared: bool = False, durable: bool = True) -> None:
    """Write JSON atomically, in the order of the keys given; see `atomic_path`."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_text(path, text, shared, durable)


def read_json(path: Path) -> Any:
    """Read JSON; a damaged file is an error that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested too deeply
        raise HaloError(
            f"{path}: not readable as JSON ({error}); delete it and run again"
        ) from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV with a header and without the index, atomically."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def sha256_of_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing_digest(places: Iterable[Path]) -> str:
    """Digest of the names, sizes and times of files, and of those in folders among `places`."""
    digest = hashlib.sha256()
    for place in places:
        paths = sorted(Path(place).rglob("*")) if Path(place).is_dir() else [Path(place)]
        for path in paths:
            if path.is_file():
                status = path.stat()
                digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def sha256_of_text(text: str) -> str:
    """Hexadecimal sha256 of the UTF-8 bytes of `text`."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
