"""Macro-F1, by which stages choose epochs and settings."""

import numpy as np


def macro_f1(decisions: np.ndarray, truth: np.ndarray, known: np.ndarray) -> float:
    """The mean over the labels of each label's own F1.

    Also of a single label this is the F1 of its positives, as in the evaluation. (scikit-learn
    takes one column for two classes, and averages them.) A label that neither occurs nor is
    predicted has the F1 0, as in scikit-learn.

    Parameters
    ----------
    decisions, truth : bool [n, n_labels]
    known : bool [n, n_labels], pairs that are not are ignored
    """
    decisions, truth = decisions & known, truth & known
    hits = (decisions & truth).sum(axis=0)
    return float(f1_of(hits, decisions.sum(axis=0) + truth.sum(axis=0)).mean())


def f1_of(hits: np.ndarray, given: np.ndarray) -> np.ndarray:
    """F1, float64 in the shape of both: of `hits` among the `given`, predicted and true ones."""
    return 2 * hits / np.maximum(given, 1)
