"""The output folder: a lock for one prediction at a time, and protection of other files."""

import errno
import fcntl
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from halo import __version__
from halo.cli import log
from halo.errors import HaloError
from halo.files import read_json, write_json
from halo.predict.bundle import DESCRIPTION, MANIFEST

LOCK, MARK = ".halo-predict.lock", ".halo-predict.json"
CHUNKS, STORE, STRUCTURES = "chunks", "store", "structures"
SEQUENCES, FETCHED = "sequences.fasta", "fetched.json"
CSV_FILE, JSON_FILE, PAGE_FILE = "predictions.csv", "predictions.json", "predictions.html"
REJECTED_FILE = "rejected.csv"
VARIANTS_CSV, VARIANTS_JSON, VARIANTS_PAGE = "variants.csv", "variants.json", "variants.html"
SCAN_CSV, REJECTED_VARIANTS = "scan.csv", "rejected_variants.csv"
# Everything that predictions of proteins and variants write in their output folder.
NAMES = (
    CSV_FILE, JSON_FILE, PAGE_FILE, REJECTED_FILE, SEQUENCES, FETCHED, CHUNKS, STORE, STRUCTURES,
    VARIANTS_CSV, VARIANTS_JSON, VARIANTS_PAGE, SCAN_CSV, REJECTED_VARIANTS,
)  # fmt: skip
# What `halo.files.atomic_path` writes before the file with the name in parentheses, and chunks.
_UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{32}\.tmp")
_CHUNK = re.compile(r"[0-9a-f]{20}(?:\.variants)?\.(?:json|npz)")
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
# Errors that a wrong path of the user causes.
_OF_PATHS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ELOOP, errno.EEXIST, errno.EINVAL,
)  # fmt: skip


class OutputFolder:
    """A folder that this process has locked; see `output_folder`.

    The file `MARK` lists which of `NAMES`, and which scratch folders, predictions have written in
    this folder. Nothing else is replaced or removed.
    """

    def __init__(self, path: Path, locked: bool = False) -> None:
        self.path = path
        content = _refuse_foreign(path)
        self._made: list[str] = list(content.get("made", []))
        self._scratch: list[str] = list(content.get("scratch", []))
        self._remove_scratch()  # left by a killed process
        if locked:
            self._remove_temporary()

    def claim(self, name: str) -> Path:
        """Path of one of `NAMES`, to write to; raises a HaloError if another program wrote it."""
        path = self.path / name
        if name not in self._made:
            if _is_there(path):
                raise HaloError(f"{path}: made by another program in the meantime; move it away")
            self._made.append(name)
            self._write()
        return path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new temporary subfolder, which is removed in the end or by the next call."""
        path = self.path / f".scratch.{uuid.uuid4().hex}"
        self._scratch.append(path.name)
        self._write()  # before it is made, so that it is known however the process ends
        path.mkdir()
        try:
            yield path
        finally:
            self._remove_scratch()

    def _remove_scratch(self) -> None:
        for name in self._scratch:
            shutil.rmtree(self.path / Path(name).name, ignore_errors=True)
        if self._scratch:
            self._scratch = []
            self._write()

    def _remove_temporary(self) -> None:
        """Remove unfinished files of `halo.files.atomic_path` that a killed process has left.

        Only this process writes here, as it has the lock, and only what calls have made is looked
        at: their files, and the chunks.
        """
        for path in self.path.glob(".*.tmp"):
            name = _UNFINISHED.fullmatch(path.name)
            if name and name[1] in (*self._made, MARK):
                path.unlink(missing_ok=True)
        if CHUNKS in self._made:
            for path in (self.path / CHUNKS).glob(".*.tmp"):
                name = _UNFINISHED.fullmatch(path.name)
                if name and _CHUNK.fullmatch(name[1]):
                    path.unlink(missing_ok=True)

    def _write(self) -> None:
        content = {
            "about": "files that `halo` has written here, and may replace or remove",
            "halo": __version__,
            "made": self._made,
            "scratch": self._scratch,
        }
        write_json(self.path / MARK, content)


@contextmanager
def output_folder(path: Path, given: Sequence[Path] = ()) -> Iterator[OutputFolder]:
    """Hold the folder `path`, which is made.

    HaloError if it cannot be written to, is a model bundle, has files of others with one of
    `NAMES`, where one of the paths `given` by the user lies in what will be written, or where
    another process holds it; then it says who.
    """
    with path_faults():
        if path.exists() and not path.is_dir():
            raise HaloError(f"{path}: a file; give a folder to write to (-o)")
        if (path / DESCRIPTION).exists() and (path / MANIFEST).exists():
            raise HaloError(f"{path}: a model bundle; give another folder to write to (-o)")
        _require_outside(path, given)
        if not (path / LOCK).exists():
            _refuse_foreign(path)  # before anything is written there
        path.mkdir(parents=True, exist_ok=True)
        with _locked(path) as locked:
            yield OutputFolder(path, locked)


@contextmanager
def path_faults() -> Iterator[None]:
    """Convert an OSError with an external cause, such as no permission, to a HaloError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_PATHS or error.filename is None:
            raise
        raise HaloError(
            f"{error.filename}: {error.strerror}; give another path, or change what is there"
        ) from None


def _refuse_foreign(path: Path) -> dict[str, list[str]]:
    """The content of `MARK`; raises a HaloError if other files have one of `NAMES`."""
    content = read_json(path / MARK) if (path / MARK).exists() else {}
    made = content.get("made", [])
    foreign = [name for name in NAMES if name not in made and _is_there(path / name)]
    if foreign:
        raise HaloError(
            f"{path}: {', '.join(foreign)}: exists and was not written by a prediction in this "
            "folder; give another folder to write to (-o), or move it away"
        )
    return content


def _is_there(path: Path) -> bool:
    """Whether there is a file, a link, or a folder that is not empty."""
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return os.path.lexists(path)


def _require_outside(path: Path, given: Sequence[Path]) -> None:
    written = [(path / name).resolve() for name in NAMES if name != STORE]
    for place in given:
        inside = [name for name in written if name in (place.resolve(), *place.resolve().parents)]
        if inside:
            raise HaloError(
                f"{place}: the prediction would write {inside[0].name} there; give another output "
                "folder (-o)"
            )


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder until the process ends; the lock file is not removed.

    False on a file system without locks, and a warning is logged.
    """
    locked = True
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise HaloError(
                f"{folder}: another prediction is running here ({file.read().strip() or 'unknown'}"
                "); wait until it has ended, or give another folder"
            ) from None
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            locked = False
            log.warning("%s: no locks here (%s); start one prediction only", folder, error.strerror)
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}\n")
        file.flush()
        yield locked
