"""Arrays in ``.npz`` files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


class DamagedArrays(ValueError):
    """A file is no ``.npz``, is damaged, or its arrays are not those that are wanted."""


@contextmanager
def open_arrays(file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """The arrays of a file, none of them an object.

    DamagedArrays where the file, or what the block makes of its arrays, is wrong: numpy has no
    common kind for what it raises at a damaged file. The `OSError` of the file system stays what
    it is.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except OSError:
        raise
    except Exception as error:
        raise DamagedArrays(str(error) or type(error).__name__) from None
