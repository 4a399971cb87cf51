"""Pairs of sequences, by their indices."""

import numpy as np


def distinct_pairs(pairs: np.ndarray) -> np.ndarray:
    """Distinct pairs of different indices, smaller index first, sorted.

    Argument and result are int64 [n_pairs, 2].
    """
    size = pairs.max(initial=0) + 1
    keys = np.unique(pairs.min(axis=1) * size + pairs.max(axis=1))
    pairs = np.stack([keys // size, keys % size], axis=1)
    return pairs[pairs[:, 0] != pairs[:, 1]]
