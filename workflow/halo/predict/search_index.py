"""Databases of MMseqs2 with a k-mer index, kept in the user's cache folder.

To index millions of residues takes seconds, to search with a finished index a twentieth of one.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from halo.errors import HaloError
from halo.files import sync_folder

log = logging.getLogger(__name__)

CACHE = "HALO_CACHE"  # environment variable with the folder


def cache_folder() -> Path:
    """The folder of ``HALO_CACHE``, or ``halo`` in the cache folder of this user."""
    given = os.environ.get(CACHE)
    folder = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "halo")
    return folder.expanduser()


def cached_folder(name: str, make: Callable[[Path], None]) -> Path | None:
    """The folder `name` of the cache, which `make` fills if it does not exist.

    It gets its name when it is complete. Several processes can make it at the same time; one of
    them wins, and all use its folder. None, with a message in the log, if it cannot be kept there.
    """
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            made = Path(temporary, folder.name)
            made.mkdir()
            make(made)
            sync_folder(made)
            if not folder.is_dir():
                made.rename(folder)
    except (OSError, HaloError) as error:
        if folder.is_dir():  # made by another process in the meantime
            return folder
        log.warning(
            "%s cannot be kept (%s); every call takes some seconds more, unless %s names a folder "
            "with 0.5 GB of space that can be written to", folder, error, CACHE,
        )  # fmt: skip
        return None
    return folder
