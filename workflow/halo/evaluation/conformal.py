"""Sets of labels that miss no more of the true ones than stated."""

import numpy as np


def risk_control(probabilities: np.ndarray, truth: np.ndarray, risk: float) -> float:
    r"""The highest cut whose sets miss on average at most `risk` of a protein's labels.

    Conformal risk control (Angelopoulos 2022, arXiv 2208.02814) of the share of a protein's
    labels that are not in its set :math:`\{l : p_l \ge \lambda\}`: the largest :math:`\lambda`
    with :math:`(\sum_i R_i(\lambda) + 1) / (n + 1) \le` `risk`. For one label a protein this
    is split conformal prediction. The promise holds where calibration and test proteins are
    exchangeable; homology groups make it approximate, so it has to be measured on the test.

    Parameters
    ----------
    probabilities : [n, n_labels], of the calibration proteins
    truth : bool [n, n_labels]; proteins without a label tell nothing
    risk : 0 to 1; 0.1 promises that 90 % of the labels are in the sets

    Returns
    -------
    the cut; 0, by which every label is in every set, where so few proteins promise no more
    """
    truth = np.asarray(truth, dtype=bool)
    number = truth.sum(axis=1, keepdims=True)
    n = np.count_nonzero(number)
    share = truth / np.maximum(number, 1)
    values, weights = np.asarray(probabilities)[truth], share[truth]
    order = np.argsort(values, kind="stable")
    values, missed = values[order], np.cumsum(weights[order])
    # A cut at values[k] misses what lies below it, equal values excepted.
    below = np.concatenate([[0.0], missed])[np.searchsorted(values, values, side="left")]
    allowed = below + 1 <= risk * (n + 1) + 1e-9
    return float(values[allowed].max()) if allowed.any() else 0.0


def label_sets(probabilities: np.ndarray, cut: float) -> np.ndarray:
    """The labels in each protein's set, bool [n, n_labels]."""
    return np.asarray(probabilities) >= cut


def coverage(sets: np.ndarray, truth: np.ndarray) -> float:
    """Mean share of a protein's labels that are in its set; NaN without any label."""
    truth = np.asarray(truth, dtype=bool)
    labelled = truth.any(axis=1)
    if not labelled.any():
        return float("nan")
    found = (sets & truth)[labelled].sum(axis=1) / truth[labelled].sum(axis=1)
    return float(found.mean())
