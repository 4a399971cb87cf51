"""Patterns of the names of embedding files."""

from pathlib import Path

ID = "{id}"


def split_pattern(path: str | Path) -> tuple[Path, str | None]:
    """A path without its pattern of file names, and the pattern or None.

    Examples
    --------
    >>> split_pattern("folder/{id}_esm2.npy")
    (PosixPath('folder'), '{id}_esm2.npy')
    >>> split_pattern("embeddings.h5")
    (PosixPath('embeddings.h5'), None)
    """
    path = Path(path)
    return (path.parent, path.name) if ID in path.name else (path, None)
