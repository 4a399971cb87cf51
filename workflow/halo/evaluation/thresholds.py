"""Tuned thresholds: those with the best F1."""

import numpy as np

FIXED = 0.5
GRID = tuple(round(0.02 * step, 2) for step in range(1, 50))  # common to all labels


def tuned_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, known: np.ndarray | None = None
) -> np.ndarray:
    """The threshold of each label with the best F1 on these proteins, float64 [n_labels].

    A threshold is halfway between two adjacent probabilities, so that it does not depend on one
    protein only. Labels without positives have the threshold `FIXED`. Pairs that are not `known`,
    bool [n, n_labels], are ignored.
    """
    known = np.ones_like(truth, dtype=bool) if known is None else known
    return np.array(
        [
            _best_threshold(truth[known[:, label], label], probabilities[known[:, label], label])
            for label in range(truth.shape[1])
        ]
    )


def _best_threshold(truth: np.ndarray, probabilities: np.ndarray) -> float:
    if not truth.any():
        return FIXED
    from sklearn.metrics import precision_recall_curve  # slow to import

    precision, recall, cuts = precision_recall_curve(truth, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())  # the last pair is precision 1, recall 0 by definition
    below = cuts[best - 1] if best else 0.0
    return float((cuts[best] + below) / 2)
