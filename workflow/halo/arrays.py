"""Read arrays from ``.npz`` files."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path

import numpy as np


class DamagedArrays(ValueError):
    """A file is not ``.npz``, is damaged, or has other arrays than expected."""


@contextmanager
def open_arrays(file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open the arrays of a file, without pickled objects.

    Raises
    ------
    DamagedArrays
        if the file is damaged, or the block cannot use its arrays; numpy raises exceptions of
        many types for damaged files
    OSError
        if the file system fails, except for EINVAL: a seek before the start of the file means
        damaged offsets in the archive
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except OSError as error:
        if error.errno != EINVAL:
            raise
        raise DamagedArrays("an offset of the archive is outside of the file") from None
    except Exception as error:
        raise DamagedArrays(str(error) or type(error).__name__) from None
