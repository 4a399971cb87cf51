"""Nearest neighbours in embedding space: label transfer between mean embeddings.

Embedding-based annotation transfer (Littmann 2021, 10.1038/s41598-020-80786-0) with several
neighbours, whose votes are weighted by similarity.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from halo.baselines.settings import NeighbourSettings

BLOCK = 2**23  # similarities that are in memory at the same time


@dataclass(frozen=True)
class Neighbourhood:
    """How neighbours are chosen: their number, the distance, and whether channels are scaled."""

    k: int
    distance: str
    standardize: bool


@dataclass(frozen=True)
class Annotated:
    """Proteins with mean embeddings and labels.

    Attributes
    ----------
    vectors : float32 [n, dim], mean embeddings
    labels : uint8 [n, n_labels]
    known : bool [n, n_labels], False for unknown labels
    """

    vectors: np.ndarray
    labels: np.ndarray
    known: np.ndarray

    @property
    def frequencies(self) -> np.ndarray:
        """Frequency of each label where it is known, float64 [n_labels]."""
        return (self.labels * self.known).sum(axis=0) / np.maximum(self.known.sum(axis=0), 1)


def nearest_neighbour(
    training: Annotated, queries: np.ndarray, neighbourhood: Neighbourhood
) -> np.ndarray:
    """Probabilities of proteins by their mean embeddings, float64 [n, n_labels].

    A probability is the share of the neighbours with the label, weighted by similarity: the cosine
    (0 if negative) or :math:`0.5 / (0.5 + d)` of a Euclidean distance :math:`d`. Neighbours whose
    label is unknown do not vote; without a vote, it is the frequency in training.
    """
    rows, similarities = neighbours(training.vectors, queries, neighbourhood)
    return vote(training, rows, similarities)


def candidates(
    training: Annotated, queries: np.ndarray, settings: NeighbourSettings
) -> Iterator[tuple[Neighbourhood, np.ndarray]]:
    """Each neighbourhood that the settings allow, with `nearest_neighbour` of the queries.

    More neighbours than training proteins are the same as all of them, and left out.
    """
    numbers = sorted({min(k, len(training.vectors)) for k in settings.k})
    for distance, standardize in product(settings.distance, settings.standardize):
        widest = Neighbourhood(numbers[-1], distance, standardize)
        rows, similarities = neighbours(training.vectors, queries, widest)
        for k in numbers:
            yield replace(widest, k=k), vote(training, rows[:, :k], similarities[:, :k])


def neighbours(
    references: np.ndarray, queries: np.ndarray, neighbourhood: Neighbourhood
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest references of each query, nearest first, equal ones in the table's order.

    An exact search in float64, in blocks of queries: float32 does not distinguish the cosines of
    embeddings that a few channels dominate.

    Parameters
    ----------
    references, queries : float32 [n, dim] and [m, dim]

    Returns
    -------
    rows of `references`, int64 [m, k], and similarities, float64 [m, k]
    """
    cosine = neighbourhood.distance == "cosine"
    k = min(neighbourhood.k, len(references))
    table, asked = references.astype(np.float64), queries.astype(np.float64)
    if neighbourhood.standardize:
        mean, spread = table.mean(axis=0), table.std(axis=0)
        scale = np.where(spread > 0, spread, 1)
        table, asked = (table - mean) / scale, (asked - mean) / scale
    if cosine:
        table, asked = _normalized(table), _normalized(asked)
    blocks = []
    for block in np.array_split(asked, -(-len(asked) * len(table) // BLOCK) or 1):
        similar = block @ table.T
        if not cosine:
            squares = [np.square(part).sum(axis=1) for part in (block, table)]
            distance = np.sqrt(np.maximum(squares[0][:, None] + squares[1] - 2 * similar, 0))
            similar = 0.5 / (0.5 + distance)
        chosen = _nearest(similar, k)
        values = np.take_along_axis(similar, chosen, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        blocks.append([np.take_along_axis(part, order, axis=1) for part in (chosen, values)])
    rows, similarities = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return rows, np.maximum(similarities, 0)


def vote(training: Annotated, rows: np.ndarray, similarities: np.ndarray) -> np.ndarray:
    """Weighted share of the neighbours with each label, float64 [m, n_labels].

    Parameters
    ----------
    rows, similarities : int64 and float64 [m, k]
    """
    weights = similarities[:, :, None] * training.known[rows]
    total = weights.sum(axis=1)
    shares = (weights * training.labels[rows]).sum(axis=1) / np.where(total > 0, total, 1)
    return np.where(total > 0, np.clip(shares, 0, 1), training.frequencies)


def _nearest(similar: np.ndarray, k: int) -> np.ndarray:
    """Columns of the `k` largest values of each row, int64 [m, k], in the order of the table.

    Of values that are equal at the last place, the first ones: those that `argpartition` leaves on
    either side of it are in no order. (To sort whole rows takes several times longer.)
    """
    last = -np.partition(-similar, k - 1, axis=1)[:, k - 1 : k]
    nearer, equal = similar > last, similar == last
    room = k - nearer.sum(axis=1, keepdims=True)
    taken = nearer | (equal & (equal.cumsum(axis=1) <= room))
    return np.nonzero(taken)[1].reshape(-1, k)


def _normalized(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)
