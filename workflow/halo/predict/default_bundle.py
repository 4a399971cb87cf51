"""The model bundle that is part of the package."""

from pathlib import Path

from halo.data_files import PACKAGE
from halo.errors import HaloError

# Not through `data_file`: it would be in the digest of every job that predicts, and jobs of the
# workflow always name their bundle.
DEFAULT_BUNDLE = PACKAGE / "data/bundle"


def default_bundle() -> Path:
    """Folder of the bundle to predict with if the user names none.

    Raises
    ------
    HaloError
        if this installation has none
    """
    if not DEFAULT_BUNDLE.is_dir():
        raise HaloError(
            f"--bundle: not given, and this installation has no bundle in {DEFAULT_BUNDLE}; give "
            "the folder of a bundle"
        )
    return DEFAULT_BUNDLE
