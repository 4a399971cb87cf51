"""Registrations of runs in a store, which protect it from removal.

A registration is a file ``users/<digest of the shard file's path>.json`` in the folder of the
store, one for each shard file of a run. It lists the segments with the proteins of the shard.
Segments never change, so the shard file is valid as long as these segments exist.
"""

import getpass
import hashlib
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from halo.errors import HaloError
from halo.files import read_json, write_json

log = logging.getLogger(__name__)

FOLDER = "users"


@dataclass(frozen=True)
class Registration:
    """Registration of one shard file of a run.

    Attributes
    ----------
    shard : absolute path of the shard file
    user, host : user who registered it, and machine
    segments : names of the segments with its proteins, by bucket; None until the job has ended
    absent : sequence hashes of the shard that the store need not have
    """

    shard: str
    user: str
    host: str
    segments: Mapping[str, Sequence[str]] | None = None
    absent: Sequence[str] = ()

    def in_use(self, store: Path) -> bool:
        """Whether the run still uses the store, that is, its shard file refers to no other one.

        A missing shard file counts as in use: it may be on another machine or not written yet.
        """
        try:
            named = read_json(Path(self.shard))["store"]
        except (HaloError, OSError, KeyError, TypeError):
            return True
        return Path(named).parts[-2:] == store.parts[-2:]


def register(
    store: Path,
    shard: Path,
    segments: Mapping[str, Sequence[str]] | None = None,
    absent: Sequence[str] = (),
) -> None:
    """Register `shard` in the store.

    Without `segments`, at the start of a job, an existing registration is kept. Without permission
    to write to the store, a warning is logged.
    """
    if segments is None and _file(store, shard).exists():
        return
    note = Registration(str(shard.resolve()), _user(), socket.gethostname(), segments, absent)
    try:
        write_registration(store, note)
    except OSError as error:
        log.warning(
            "%s: this run cannot register here (%s), so its owner may remove it as unused",
            store,
            error.strerror,
        )


def write_registration(store: Path, note: Registration) -> None:
    """Write a registration, and replace an earlier one of the shard."""
    write_json(_file(store, Path(note.shard)), asdict(note), shared=True)


def unregister(store: Path, shard: Path) -> None:
    """Remove the registration of `shard`."""
    _file(store, shard).unlink(missing_ok=True)


def registration(store: Path, shard: Path) -> Registration | None:
    """The registration of a shard file, if there is one."""
    return _read(_file(store, shard))


def registrations(store: Path) -> list[Registration]:
    """All registrations of a store."""
    notes = map(_read, sorted((store / FOLDER).glob("*.json")))
    return [note for note in notes if note is not None]


def _read(file: Path) -> Registration | None:
    try:
        return Registration(**read_json(file))
    except FileNotFoundError:
        return None
    except TypeError:
        raise HaloError(f"{file}: not a registration; delete it and run again") from None


def _file(store: Path, shard: Path) -> Path:
    digest = hashlib.sha256(str(shard.resolve()).encode()).hexdigest()[:16]
    return store / FOLDER / f"{digest}.json"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user in a container that is not in passwd
        return "unknown"
