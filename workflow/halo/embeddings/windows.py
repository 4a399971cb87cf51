"""Divide long proteins into overlapping windows, and blend their embeddings."""

import math

import numpy as np


def windows(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Start and stop of windows that cover a protein of `length` residues.

    A protein of at most `size` residues has one window. Otherwise, the result is the smallest
    number of evenly spaced windows of equal length, at most `size`, that overlap by at least
    `overlap` residues. The last window ends at the C-terminus.

    Examples
    --------
    >>> windows(100, size=128, overlap=16)
    [(0, 100)]
    >>> windows(250, size=128, overlap=16)
    [(0, 94), (78, 172), (156, 250)]
    """
    if length <= size:
        return [(0, length)]
    count = 1 + math.ceil((length - size) / (size - overlap))
    size = math.ceil((length + (count - 1) * overlap) / count)
    starts = [number * (length - size) // (count - 1) for number in range(count)]
    return [(start, start + size) for start in starts]


def blend(length: int, parts: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """Blend the embeddings of overlapping windows.

    `parts` are (start, stop, rows [stop - start, dim]). Overlapping rows are averaged, weighted by
    the distance to the nearer end of the window, because residues at an end have less context.
    Returns float32 [length, dim], or the unchanged rows of a single window.

    Examples
    --------
    >>> first, second = np.full((4, 1), 1.0), np.full((4, 1), 3.0)
    >>> blend(6, [(0, 4, first), (2, 6, second)]).ravel().round(2)
    array([1.  , 1.  , 1.67, 2.33, 3.  , 3.  ], dtype=float32)
    """
    if len(parts) == 1:
        return parts[0][2]
    total = np.zeros((length, parts[0][2].shape[1]), dtype=np.float32)
    weights = np.zeros((length, 1), dtype=np.float32)
    for start, stop, rows in parts:
        size = stop - start
        ramp = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).astype(np.float32)[
            :, None
        ]
        total[start:stop] += rows * ramp
        weights[start:stop] += ramp
    return total / weights
