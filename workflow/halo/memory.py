"""What freed memory is used for next."""

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEPT = 2**31 - 1  # bytes at the heap's end that are not given back, the most that can be said


def keep_freed_memory() -> None:
    """Let new arrays use the memory of those that are gone, for the rest of the process.

    PyTorch asks for memory for every result. glibc takes large blocks from the system and gives
    them back at once, and the system clears every page before a process gets it again: a third
    of the time of a training on a CPU, and most of that of making a segment of the store. The
    process holds up to a quarter more at its peak. Where the C library is another one than glibc
    nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, KEPT)
