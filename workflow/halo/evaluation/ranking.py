"""AUROC and average precision in every resample at once."""

import numpy as np
from scipy.sparse import csr_array

from halo.evaluation.bootstrap import GroupBootstrap

CHUNK = 128  # resamples at a time: keeps the arrays of a large data set in the cache


def ranking_replicates(
    truth: np.ndarray, scores: np.ndarray, bootstrap: GroupBootstrap
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision of one label, float64 [1 + resamples] each.

    The proteins are sorted once. In every resample, the value is then a sum over the
    scores of positives, weighted by how often their groups were drawn: exact, with ties,
    and for the data itself equal to scikit-learn's. NaN without positives or negatives.

    Parameters
    ----------
    truth : bool [n]
    scores : float [n]
    """
    segment, order = _segments(truth, scores)
    group = bootstrap.group[order]
    count = segment[-1] + 1
    shape = (count, bootstrap.n_groups)
    everyone = csr_array((np.ones(len(order)), (segment, group)), shape=shape)
    positive = truth[order]
    positives = csr_array(
        (np.ones(positive.sum()), (segment[positive], group[positive])), shape=shape
    )
    results = [
        _from_masses(everyone @ weights, positives @ weights)
        for weights in np.array_split(
            bootstrap.weights, range(CHUNK, bootstrap.weights.shape[1], CHUNK), axis=1
        )
    ]
    auroc, precision = zip(*results, strict=True)
    return np.concatenate(auroc), np.concatenate(precision)


def _segments(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Segment of each protein in the order of falling scores, and that order.

    A score that positives have is a segment of its own; what lies between two of them
    is one segment, since its inner order has no influence.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    block = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])
    with_positive = np.bincount(block, weights=truth[order]) > 0
    starts = with_positive | np.concatenate([[True], with_positive[:-1]])
    return (np.cumsum(starts) - 1)[block], order


def _from_masses(everyone: np.ndarray, positives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the weights of all and of the positives in each segment [segments, resamples]."""
    negatives = everyone - positives
    all_above, positives_above = np.cumsum(everyone, axis=0), np.cumsum(positives, axis=0)
    negatives_above = all_above - positives_above
    n_positives, n_negatives = positives_above[-1], negatives_above[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        below = n_negatives - negatives_above + 0.5 * negatives
        auroc = (positives * below).sum(axis=0) / (n_positives * n_negatives)
        precision = np.where(positives > 0, positives_above / all_above, 0.0)
        average = (positives * precision).sum(axis=0) / n_positives
    return auroc, np.where(n_negatives > 0, average, np.nan)
