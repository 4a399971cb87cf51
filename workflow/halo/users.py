"""Who uses a store: its runs register in it, and nothing that a registered run names is removed.

A registration is a file ``users/<digest of the shard file's path>.json`` in the store's folder,
for each shard file of a run. It also names the segments that have the shard's proteins: segments
never change, so the store bears the shard file out as long as these are there.
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
    """One shard file of a run that uses a store.

    Attributes
    ----------
    shard : absolute path of the shard file
    user, host : who registered it, and on which machine
    segments : names of the segments, by bucket, that have its proteins; None as long as the job
        has not ended
    absent : sequence hashes of the shard that the store need not hold
    """

    shard: str
    user: str
    host: str
    segments: Mapping[str, Sequence[str]] | None = None
    absent: Sequence[str] = ()

    def in_use(self, store: Path) -> bool:
        """Whether the run still uses the store: its shard file does not name another one.

        A shard file that is not there may be on another machine, or not be written yet.
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
    """Note that `shard` uses the store.

    Without `segments`, at the start of a job, a registration that is there already is kept. Who
    may not write to the store is told that it is unprotected.
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
    """Write a registration, in the place of the shard's earlier one."""
    write_json(_file(store, Path(note.shard)), asdict(note), shared=True)


def unregister(store: Path, shard: Path) -> None:
    """Note that `shard` does not use the store any more."""
    _file(store, shard).unlink(missing_ok=True)


def registration(store: Path, shard: Path) -> Registration | None:
    """The registration of a shard file, if there is one."""
    return _read(_file(store, shard))


def registrations(store: Path) -> list[Registration]:
    """All registrations of a store."""
    found = map(_read, sorted((store / FOLDER).glob("*.json")))
    return [note for note in found if note is not None]


def _read(file: Path) -> Registration | None:
    try:
        return Registration(**read_json(file))
    except FileNotFoundError:
        return None
    except TypeError:
        raise HaloError(f"{file}: no registration; delete it and run again") from None


def _file(store: Path, shard: Path) -> Path:
    digest = hashlib.sha256(str(shard.resolve()).encode()).hexdigest()[:16]
    return store / FOLDER / f"{digest}.json"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return "unknown"
