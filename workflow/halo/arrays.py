"""Arrays in ``.npz`` files."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path

import numpy as np


class DamagedArrays(ValueError):
    """A file is no ``.npz``, is damaged, or its arrays are not those that are wanted."""


@contextmanager
def open_arrays(file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """The arrays of a file, none of them an object.

    DamagedArrays where the file, or what the block makes of its arrays, is wrong: numpy has no
    common kind for what it raises at a damaged file. The `OSError` of the file system stays what
    it is, but for EINVAL: so ends a seek to before the file's start, where the offsets of the
    archive are damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except OSError as error:
        if error.errno != EINVAL:
            raise
        raise DamagedArrays("an offset of the archive lies outside of it") from None
    except Exception as error:
        raise DamagedArrays(str(error) or type(error).__name__) from None
