"""Settings of glibc's malloc for freed memory."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEPT = 2**31 - 1  # free bytes at the top of the heap that are kept; the largest possible value
MMAP_MAX = 65536  # largest number of blocks allocated by mmap; the default of glibc

_kept = False  # whether `keep_freed_memory` is in force


def keep_freed_memory() -> None:
    """Keep freed memory for new arrays, for the rest of the process.

    PyTorch allocates memory for every result. By default, glibc returns large freed blocks to the
    system at once, which clears every page before it is used again. This takes a third of the time
    of a training on a CPU, and most of the time of writing a segment of the store. Keeping the
    memory increases the peak of the process by up to a quarter. Without glibc, this does nothing.
    """
    global _kept
    library = _glibc()
    if library is None:
        return
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, KEPT)
    _kept = True


@contextmanager
def give_back_freed_memory() -> Iterator[None]:
    """Suspend `keep_freed_memory` within the block, to avoid fragmentation.

    Use it for large, long-lived data that replace other data piece by piece, such as the weights
    of a language model while they are converted.
    """
    library = _glibc() if _kept else None
    if library is None:
        yield
        return
    library.mallopt(M_MMAP_MAX, MMAP_MAX)
    try:
        yield
    finally:
        library.mallopt(M_MMAP_MAX, 0)


def trim_freed_memory() -> None:
    """Return the freed memory of all threads to the system, once.

    glibc keeps freed blocks that lie below others in use, and those of one thread for that thread.
    Call it between two stages with many arrays, so that the second does not add to what the first
    no longer needs. Without glibc, this does nothing.
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
