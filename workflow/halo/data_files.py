"""Data files of the package that modules read."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def data_file(name: str) -> Path:
    """Path of a file or folder of the package, by its path from the package's folder.

    `name` is written as a literal text: `halo.code_digest` finds it there, so that the file
    belongs to the digest of each module that reads it.
    """
    return PACKAGE / name
