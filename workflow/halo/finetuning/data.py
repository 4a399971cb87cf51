"""From sequences to batches of tokens: in which order, how much of a protein, how padded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from halo.embeddings.tokens import SPECIAL_TOKENS

# Proteins of which those of similar length come together; a pass has many of these.
POOL = 512
# Streams of random numbers that must not be one another's.
ORDER, CROP, DROPOUT = range(3)


@dataclass(frozen=True)
class Examples:
    """Sequences and their labels, float32 [n, n_labels], NaN where it is unknown."""

    sequences: Sequence[str]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def lengths(self) -> np.ndarray:
        """Residues of each, int64 [n]."""
        return np.fromiter(map(len, self.sequences), dtype=np.int64, count=len(self))


def token_batches(lengths: np.ndarray, rows: np.ndarray, budget: int) -> list[np.ndarray]:
    """`rows` in batches of at most `budget` tokens, padding included, the shortest first.

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
    """The batches of one pass over all proteins, in the order in which they are trained on.

    The proteins are shuffled and cut into pools, within a pool those of similar length come
    into one batch, and the batches are shuffled: little padding, and never the same batches.
    """
    rng = np.random.default_rng((seed, ORDER, epoch))
    rows = rng.permutation(len(lengths))
    pools = np.array_split(rows, max(1, round(len(rows) / POOL)))
    batches = [batch for pool in pools for batch in token_batches(lengths, pool, budget)]
    return [batches[number] for number in rng.permutation(len(batches))]


def cropped(sequence: str, window: int, seed: int, epoch: int, row: int) -> str:
    """A window of a protein that is longer than the model's: another one at every pass."""
    if len(sequence) <= window:
        return sequence
    start = np.random.default_rng((seed, CROP, epoch, row)).integers(len(sequence) - window + 1)
    return sequence[start : start + window]
