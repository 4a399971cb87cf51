"""Batches of sequences for fine-tuning: order, cropping and padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from halo.embeddings.tokens import SPECIAL_TOKENS

# Proteins of a pool, within which batches have similar lengths; an epoch has many pools.
POOL = 512
# Separate streams of random numbers.
ORDER, CROP, DROPOUT = range(3)


@dataclass(frozen=True)
class Examples:
    """Sequences and their labels, float32 [n, n_labels], NaN if unknown."""

    sequences: Sequence[str]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def lengths(self) -> np.ndarray:
        """Lengths in residues, int64 [n]."""
        return np.fromiter(map(len, self.sequences), dtype=np.int64, count=len(self))


def token_batches(lengths: np.ndarray, rows: np.ndarray, budget: int) -> list[np.ndarray]:
    """Batches of `rows` with at most `budget` tokens including padding, shortest first.

    `lengths` are in residues. A protein that is longer than the budget is a batch of its own.
    """
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    batches, start = [], 0
    for stop, length in enumerate(lengths[rows]):
        if stop > start and (length + SPECIAL_TOKENS) * (stop + 1 - start) > budget:
            batches.append(rows[start:stop])
            start = stop
    return [*batches, rows[start:]] if len(rows) else []


def epoch_batches(lengths: np.ndarray, budget: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch, in the order of training.

    Proteins are shuffled and divided into pools; within a pool, batches have proteins of similar
    length, and batches are shuffled. This needs little padding and gives new batches every epoch.
    """
    rng = np.random.default_rng((seed, ORDER, epoch))
    rows = rng.permutation(len(lengths))
    pools = np.array_split(rows, max(1, round(len(rows) / POOL)))
    batches = [batch for pool in pools for batch in token_batches(lengths, pool, budget)]
    return [batches[number] for number in rng.permutation(len(batches))]


def cropped(sequence: str, window: int, seed: int, epoch: int, row: int) -> str:
    """A random window of a protein that is longer than `window`; a new one every epoch."""
    if len(sequence) <= window:
        return sequence
    start = np.random.default_rng((seed, CROP, epoch, row)).integers(len(sequence) - window + 1)
    return sequence[start : start + window]
