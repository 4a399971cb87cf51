"""Calibration of probabilities, fitted on held-out proteins."""

from dataclasses import dataclass

import numpy as np

SHIFT_DEVIATION = 1.0  # standard deviation of the prior of labels' shifts, in logits
TEMPERATURES = (0.05, 20.0)  # bounds; without them, an uninformative model has no finite optimum
CLIP = 1e-6  # probabilities are clipped to this distance from 0 and 1


@dataclass(frozen=True)
class Calibration:
    r"""Calibrated logits :math:`z_l / T + s + b_l`.

    The temperature (Guo 2017, arXiv 1706.04599) corrects the confidence, which focal loss biases;
    the common shift and those of the labels correct the effect of weighting rare labels.

    Attributes
    ----------
    temperature
        :math:`T > 0`.
    shifts
        :math:`s + b_l`, float64 [n_labels].
    task
        ``multilabel`` (sigmoid) or ``singlelabel`` (softmax).
    """

    temperature: float
    shifts: np.ndarray
    task: str

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrate probabilities, float64 [n, n_labels]."""
        scaled = to_logits(probabilities, self.task) / self.temperature + self.shifts
        return to_probabilities(scaled, self.task)

    def thresholds(self, thresholds: np.ndarray) -> np.ndarray:
        """Thresholds of uncalibrated probabilities as thresholds of the calibrated ones.

        Decisions stay the same. A single-label task has no thresholds.
        """
        if self.task == "singlelabel":
            return thresholds
        return self(thresholds[None, :])[0]


def to_logits(probabilities: np.ndarray, task: str) -> np.ndarray:
    """Logits of `probabilities`; those of a softmax are defined up to a constant per row."""
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return np.log(clipped) if task == "singlelabel" else np.log(clipped / (1 - clipped))


def to_probabilities(logits: np.ndarray, task: str) -> np.ndarray:
    """Softmax over the labels, or the sigmoid of each."""
    if task == "singlelabel":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return np.exp(-np.logaddexp(0, -logits))


def calibrate(
    probabilities: np.ndarray, truth: np.ndarray, task: str, known: np.ndarray | None = None
) -> Calibration:
    """Fit a calibration by maximum a posteriori estimation.

    The shifts of labels have a normal prior centered at the common shift, so that those of labels
    with few positives stay near it. Without proteins, the calibration is the identity.

    Parameters
    ----------
    probabilities : [n, n_labels], of held-out proteins
    truth : bool [n, n_labels]
    task : ``multilabel`` or ``singlelabel``
    known : bool [n, n_labels], known labels; None for all. Ignored in a single-label task
    """
    # Slow to import, and predictions do not need them.
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit, log_softmax, softmax

    logits, truth = to_logits(probabilities, task), np.asarray(truth, dtype=bool)
    known = np.ones_like(truth) if known is None else known
    n_labels = logits.shape[1]
    if not len(logits):
        return Calibration(1.0, np.zeros(n_labels), task)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, common, shifts = np.exp(parameters[0]), parameters[1], parameters[2:]
        scaled = logits * scale + common + shifts
        if task == "singlelabel":
            cross_entropy = -log_softmax(scaled, axis=1)[truth].sum()
            residual = softmax(scaled, axis=1) * truth.sum(axis=1, keepdims=True) - truth
        else:
            cross_entropy = -log_expit(np.where(truth, scaled, -scaled))[known].sum()
            residual = (expit(scaled) - truth) * known
        by_label = residual.sum(axis=0)
        prior = (shifts**2).sum() / (2 * SHIFT_DEVIATION**2)
        slope = [(residual * logits).sum() * scale, by_label.sum()]
        return cross_entropy + prior, np.array([*slope, *(by_label + shifts / SHIFT_DEVIATION**2)])

    scales = tuple(-np.log(TEMPERATURES)[::-1])
    bounds = [scales, *[(None, None)] * (1 + n_labels)]
    best = minimize(loss, np.zeros(2 + n_labels), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(float(np.exp(-best[0])), best[1] + best[2:], task)
