"""What freed memory is used for next."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEPT = 2**31 - 1  # bytes at the heap's end that are not given back, the most that can be said
MMAP_MAX = 65536  # large blocks that are taken from the system one by one: glibc's default

_kept = False  # whether `keep_freed_memory` is in force


def keep_freed_memory() -> None:
    """Let new arrays use the memory of those that are gone, for the rest of the process.

    PyTorch asks for memory for every result. glibc takes large blocks from the system and gives
    them back at once, and the system clears every page before a process gets it again: a third
    of the time of a training on a CPU, and most of that of making a segment of the store. The
    process holds up to a quarter more at its peak. Where the C library is another one than glibc
    nothing changes.
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
    """Undo `keep_freed_memory` for what is large, replaced piece by piece, and kept for long.

    So are the weights of a language model while they are loaded: the gaps that their first form
    leaves between the pieces of their last one would fit nothing else.
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


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
