"""Data files of the package."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def data_file(name: str) -> Path:
    """Path of a data file or folder, from its path relative to the package.

    `name` must be a string literal: `halo.code_digest` finds it in the source, so that the digest
    of a module includes its data files.
    """
    return PACKAGE / name
