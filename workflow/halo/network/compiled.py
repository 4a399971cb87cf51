"""Kernels for a CPU, and the random numbers that they draw.

They are compiled by Numba when a process first uses them, and kept on disk.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

# Sums in any order and fused products; infinities stay what they are.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


def splitmix(seed, place):
    """A random number of 64 bits, SplitMix64 (Steele 2014); uint64, for the kernels."""
    z = seed + (np.uint64(place) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@lru_cache
def compiler() -> Callable:
    """What compiles a kernel, and keeps it on disk where it can."""
    from numba import njit  # takes half a second: only for trainings and scans
    from numba.extending import register_jitable

    # Not a compiled function: in the closure of a kernel it would be a part of the key under which
    # that is kept, and it is another one in each process.
    register_jitable(splitmix)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}

    def compiled(function: Callable) -> Callable:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to keep it in can be written to
            return njit(**options)(function)

    return compiled
