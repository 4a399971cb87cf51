"""Conformal sets: sets of labels with a guaranteed coverage of the true ones."""

import numpy as np


def risk_control(probabilities: np.ndarray, truth: np.ndarray, risk: float) -> float:
    r"""The highest cut at which sets miss on average at most `risk` of a protein's labels.

    Conformal risk control (Angelopoulos 2022, arXiv 2208.02814) of the share of a protein's
    labels that are not in its set :math:`\{l : p_l \ge \lambda\}`: the largest :math:`\lambda`
    with :math:`(\sum_i R_i(\lambda) + 1) / (n + 1) \le` `risk`. For one label per protein this
    is split conformal prediction. The guarantee holds if calibration and test proteins are
    exchangeable; with homology groups it is approximate and has to be verified on the test.

    Parameters
    ----------
    probabilities : [n, n_labels], of the calibration proteins
    truth : bool [n, n_labels]; proteins without a label are ignored
    risk : 0 to 1; 0.1 guarantees that 90 % of the labels are in the sets

    Returns
    -------
    the cut; 0 (all labels in every set) if there are too few proteins for any other guarantee
    """
    truth = np.asarray(truth, dtype=bool)
    number = truth.sum(axis=1, keepdims=True)
    n = np.count_nonzero(number)
    share = truth / np.maximum(number, 1)
    values, weights = np.asarray(probabilities)[truth], share[truth]
    order = np.argsort(values, kind="stable")
    values, missed = values[order], np.cumsum(weights[order])
    # A cut at values[k] misses the values that are strictly below it.
    below = np.concatenate([[0.0], missed])[np.searchsorted(values, values, side="left")]
    allowed = below + 1 <= risk * (n + 1) + 1e-9
    return float(values[allowed].max()) if allowed.any() else 0.0


def label_sets(probabilities: np.ndarray, cut: float | np.ndarray) -> np.ndarray:
    """The labels in each protein's set, bool [n, n_labels]; `cut` may be one for each label."""
    return np.asarray(probabilities) >= cut


def label_coverage(sets: np.ndarray, truth: np.ndarray) -> float:
    """Mean fraction of a protein's labels that are in its set; NaN without any label."""
    truth = np.asarray(truth, dtype=bool)
    labelled = truth.any(axis=1)
    if not labelled.any():
        return float("nan")
    covered = (sets & truth)[labelled].sum(axis=1) / truth[labelled].sum(axis=1)
    return float(covered.mean())
