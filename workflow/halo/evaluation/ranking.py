"""AUROC and average precision for all resamples at once."""

from typing import TYPE_CHECKING

import numpy as np

from halo.evaluation.bootstrap import GroupBootstrap

if TYPE_CHECKING:
    from scipy.sparse import csr_array  # slow to import; predictions do not need it

EXACT = 2**24  # counts up to this are exact in single precision, which is twice as fast
CHUNK = 32  # resamples at a time, so that arrays of large data sets stay in the cache


def ranking_replicates(
    truth: np.ndarray,
    scores: np.ndarray,
    bootstrap: GroupBootstrap,
    known: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision of one label, float64 [1 + resamples] each.

    Proteins are sorted once. In every resample, the value is a sum over the scores of positives,
    weighted by how often their groups were drawn. The result is exact, includes ties, and equals
    that of scikit-learn for the data itself. NaN without positives or negatives.

    Parameters
    ----------
    truth : bool [n]
    scores : float [n]
    known : bool [n], proteins whose label is known; None for all
    """
    counted = np.ones(len(truth), dtype=bool) if known is None else known
    truth, scores = truth[counted], scores[counted]
    if not truth.any():
        undefined = np.full(1 + bootstrap.resamples, np.nan)
        return undefined, undefined
    segment, order = _segments(truth, scores)
    group = bootstrap.group[counted][order]
    positive = truth[order]
    ranked = np.unique(segment[positive], return_inverse=True)
    everyone = _incidence(segment, group, bootstrap.n_groups)
    positives = _incidence(ranked[1], group[positive], bootstrap.n_groups)
    largest = (everyone.sum(axis=0, dtype=np.float64) @ bootstrap.weights).max()
    precise = np.float32 if largest <= EXACT else np.float64
    results = []
    for start in range(0, bootstrap.weights.shape[1], CHUNK):
        weights = bootstrap.weights[:, start : start + CHUNK].astype(precise)
        results.append(_from_masses(everyone @ weights, positives @ weights, ranked[0]))
    auroc, precision = zip(*results, strict=True)
    return np.concatenate(auroc), np.concatenate(precision)


def _incidence(rows: np.ndarray, groups: np.ndarray, n_groups: int) -> "csr_array":
    """Number of proteins of each group in each row."""
    from scipy.sparse import csr_array

    ones = np.ones(len(rows), dtype=np.float32)
    return csr_array((ones, (rows, groups)), shape=(rows.max() + 1, n_groups))


def _segments(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Segment of each protein in the order of descending scores, and that order.

    Each score of a positive is a segment of its own. All scores between two of them are one
    segment, because their order does not influence the result.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    block = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])
    with_positive = np.bincount(block, weights=truth[order]) > 0
    starts = with_positive | np.concatenate([[True], with_positive[:-1]])
    return (np.cumsum(starts) - 1)[block], order


def _from_masses(
    everyone: np.ndarray, positives: np.ndarray, ranked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision from the weights of segments in each resample.

    Parameters
    ----------
    everyone : float [segments, resamples], weights of all proteins
    positives : float [positive segments, resamples], weights of positives
    ranked : int [positive segments], indices of the segments with positives
    """
    above = np.cumsum(everyone, axis=0)
    positives_above = np.cumsum(positives, axis=0)
    n_positives = positives_above[-1].astype(np.float64)
    n_negatives = above[-1] - n_positives
    above_ranked = above[ranked]
    tied = everyone[ranked] - positives
    below = above[-1] - positives_above[-1] - above_ranked + positives_above + tied / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(above_ranked > 0, positives_above / above_ranked, 0)
        auroc = _products(positives, below) / (n_positives * n_negatives)
        average = _products(positives, precision) / n_positives
    return auroc, np.where(n_negatives > 0, average, np.nan)


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sums of products over the rows, in double precision."""
    return np.einsum("ij,ij->j", one, other, dtype=np.float64)
