"""One prediction at a time in an output folder."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from halo.errors import HaloError
from halo.job import log

FILE = ".lock"
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold `folder`, which is made; HaloError, saying who is there, where another process does.

    The lock ends with the process, however it ends; the file stays. On a file system without
    locks there is a warning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise HaloError(
                f"{folder}: another prediction is at work here ({file.read().strip() or 'unknown'}"
                "); wait until it has ended, or give another folder"
            ) from None
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            log.warning("%s: no locks here (%s); start one prediction only", folder, error.strerror)
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}\n")
        file.flush()
        yield
