"""Databases of MMseqs2 with a k-mer index, kept in the user's cache folder.

To index millions of residues takes seconds, to search with a finished index a twentieth of one.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from halo.errors import HaloError
from halo.files import read_json, sha256_of_file, sync_folder, write_json

log = logging.getLogger(__name__)

CONTENT = "content.json"  # size and sha256 of each other file
CACHE = "HALO_CACHE"  # environment variable with the folder


def cache_folder() -> Path:
    """The folder of ``HALO_CACHE``, or ``halo`` in the cache folder of this user."""
    given = os.environ.get(CACHE)
    folder = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "halo")
    return folder.expanduser()


def cached_folder(name: str, make: Callable[[Path], None]) -> Path | None:
    """The folder `name` of the cache, which `make` fills if it does not exist or is not whole.

    It gets its name when it is complete, and then has the size and sha256 of each file. Several
    processes can make it at the same time; one of them wins, and all use its folder. None, with a
    message in the log, if it cannot be kept there.
    """
    folder = cache_folder() / name
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            made = Path(temporary, folder.name)
            made.mkdir()
            make(made)
            write_json(made / CONTENT, _content(made))
            sync_folder(made)
            if folder.is_dir() and not _is_whole(folder):
                log.warning("%s: damaged, or of an earlier version; made again", folder)
                folder.rename(Path(temporary, "damaged"))
            if not folder.is_dir():
                made.rename(folder)
    except (OSError, HaloError) as error:
        if _is_whole(folder):  # made by another process in the meantime
            return folder
        log.warning(
            "%s cannot be kept (%s); every call takes some seconds more, unless %s names a folder "
            "with 0.5 GB of space that can be written to", folder, error, CACHE,
        )  # fmt: skip
        return None
    return folder


def _content(folder: Path) -> dict[str, list[int | str]]:
    """Size in bytes and sha256 of each file, which takes 0.4 s for the package's bundle."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CONTENT)
    return {path.name: [path.stat().st_size, sha256_of_file(path)] for path in paths}


def _is_whole(folder: Path) -> bool:
    """Whether the files of a folder are those that were written."""
    try:
        return bool(read_json(folder / CONTENT) == _content(folder))
    except (OSError, HaloError):
        return False
