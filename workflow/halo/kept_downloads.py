"""Downloads that a store keeps for all runs, and the record that a run has of each.

The record is what a job makes for its run. The file is of other runs, too, and nothing that fails
or is repeated in one of them removes it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from halo.content_digest import content_digest
from halo.errors import HaloError
from halo.files import read_json, sha256_of_file


def kept_download(file: Path, sha256: str | None, fetch: Callable[[], Any]) -> dict[str, Any]:
    """The record of a file in a store; `fetch` downloads it there if it is missing.

    Raises
    ------
    HaloError
        if a file that was there does not have the expected `sha256`; it stays, for other runs
    """
    file = Path(file)
    if not file.exists():
        fetch()
    found = sha256_of_file(file)
    if sha256 is not None and found != sha256:
        raise HaloError(
            f"{file}: the sha256 of this download is {found}, but {sha256} is expected; if the "
            "file at the source has changed, delete this one, it is then downloaded again (other "
            "runs with this store may use it); else correct the sha256"
        )
    return {"name": file.name, "bytes": file.stat().st_size, "sha256": found}


def is_outdated(record: Path, file: Path, notes: Path) -> bool:
    """Whether a store lacks the file of a record, or has another; `notes`: see `content_digest`."""
    if not Path(record).exists():
        return False
    if not Path(file).exists():
        return True
    return bool(read_json(record).get("sha256") != content_digest(file, notes))


def with_advice(error: HaloError, downloads: list[Path]) -> HaloError:
    """The error of a data set and, for a file that HALO has downloaded, how to get it again."""
    named = [file for file in downloads if str(file) in str(error)]
    if not named:
        return error
    files = " and ".join(map(str, named))
    return HaloError(
        f"{error}\n{files} was downloaded: if it is not the data set, such as a message of the "
        "server, delete it and correct the address; it is then downloaded again"
    )
