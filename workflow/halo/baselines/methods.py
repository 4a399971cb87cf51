"""Baselines: functions from labelled training proteins to probabilities of other proteins.

A baseline gets only the labels of the training part. To add one, write such a function and add it
to `halo.methods.BASELINES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Training:
    """Training data of a baseline.

    Attributes
    ----------
    ids : object [n], ids of the training proteins
    labels : uint8 [n, n_labels]
    hits
        Alignments of pairs of proteins: columns query, target, bits and others.
    known : bool [n, n_labels], False for unknown labels; None if all are known
    """

    ids: np.ndarray
    labels: np.ndarray
    hits: pd.DataFrame
    known: np.ndarray | None = None

    @property
    def frequencies(self) -> np.ndarray:
        """Frequency of each label among the training proteins where it is known, [n_labels]."""
        if self.known is None:
            return self.labels.mean(axis=0)
        return (self.labels * self.known).sum(axis=0) / np.maximum(self.known.sum(axis=0), 1)


Baseline = Callable[[Training, np.ndarray], np.ndarray]


def majority(training: Training, queries: np.ndarray) -> np.ndarray:
    """Label frequencies of the training part for every protein, float64 [n, n_labels]."""
    return np.tile(training.frequencies, (len(queries), 1))


def homology(training: Training, queries: np.ndarray) -> np.ndarray:
    """The labels of the training protein with the best alignment, float64 [n, n_labels].

    Proteins without a hit in the training part get the label frequencies, as do labels that are
    unknown for the hit.
    """
    probabilities = majority(training, queries)
    best = best_hits(training.hits, queries, training.ids)
    hit = best >= 0
    known = True if training.known is None else training.known[best[hit]]
    probabilities[hit] = np.where(known, training.labels[best[hit]], probabilities[hit])
    return probabilities


def best_hits(hits: pd.DataFrame, queries: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Row in `targets` of the best hit of each query, int64 [n_queries], -1 without one.

    See `best_pairs`.
    """
    return best_pairs(hits, queries, targets)[0]


def best_pairs(
    hits: pd.DataFrame, queries: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best hit of each query: its row in `targets`, and that in `hits`.

    The best one has the highest bit score; of equal ones the first counts. Identical sequences,
    which have no bit score, come first. A hit counts in both directions: the search may have found
    it from either of the two proteins. Both are int64 [n_queries], -1 without a hit.
    """
    order = np.argsort(-hits["bits"].fillna(np.inf).to_numpy(dtype=float), kind="stable")
    query_index, target_index = pd.Index(queries), pd.Index(targets)
    tables = []
    for source, aim in (("query", "target"), ("target", "query")):
        query = query_index.get_indexer(hits[source].to_numpy()[order])
        target = target_index.get_indexer(hits[aim].to_numpy()[order])
        pairs = pd.DataFrame({"query": query, "target": target, "rank": np.arange(len(hits))})
        tables.append(pairs[(query >= 0) & (target >= 0)])
    best = pd.concat(tables).sort_values("rank", kind="stable").drop_duplicates("query")
    rows, hit_rows = (np.full(len(queries), -1, dtype=np.int64) for _ in range(2))
    rows[best["query"]] = best["target"]
    hit_rows[best["query"]] = order[best["rank"]]
    return rows, hit_rows
