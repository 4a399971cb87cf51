"""The workflow's files: those of the checkout, or those that an installed package carries."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from halo import __version__
from halo.data_files import PACKAGE
from halo.errors import HaloError

CARRIED = PACKAGE / "repository"  # in a wheel
CHECKOUT = PACKAGE.parents[1]
COPIES = Path(".snakemake/halo")  # below the working folder
_NO_CODE = shutil.ignore_patterns("__pycache__", CARRIED.name)


def packaged_file(name: str) -> Path:
    """A file or folder of the repository that the workflow needs, such as ``slurm``."""
    return (CARRIED if CARRIED.is_dir() else CHECKOUT) / name


def workflow_folder(directory: Path) -> Path:
    """A folder with the whole workflow, for runs in `directory`.

    That of a checkout is used as it is. An installed package is copied below `directory`, once for
    each version: there the nodes of a cluster and containers find it, and jobs in conda
    environments import the package from it without the other packages beside it.

    Raises
    ------
    HaloError
        if the package is neither in a checkout nor a complete installation
    """
    if not CARRIED.is_dir():
        if not (CHECKOUT / "Snakefile").is_file():
            raise HaloError(
                f"{PACKAGE}: the installation has no workflow files; install the package "
                "halo-localization again, or call the command in a clone of the repository"
            )
        return CHECKOUT
    folder = Path(directory).resolve() / COPIES / f"{__version__}-{_digest(PACKAGE)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            work = Path(scratch) / "work"
            shutil.copytree(CARRIED, work, ignore=_NO_CODE)
            shutil.copytree(PACKAGE, work / "workflow" / PACKAGE.name, ignore=_NO_CODE)
            try:
                work.rename(folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return folder


def _digest(folder: Path) -> str:
    """Digest of names and contents of the files below a folder, without compiled ones."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            name = file.relative_to(folder).as_posix()
            digest.update(f"{name}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
