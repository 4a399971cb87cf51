"""Probabilities that mean what they say, fitted on proteins that no training has seen."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax, logit, softmax

SHIFT_DEVIATION = 1.0  # of a label's shift from the common one, in logits: the prior's
TEMPERATURES = (0.05, 20.0)  # beyond it a model that knows nothing would get an infinite one
CLIP = 1e-6  # probabilities nearer to 0 or 1 are taken for this


@dataclass(frozen=True)
class Calibration:
    r"""Calibrated logits :math:`z_l / T + s + b_l`.

    A temperature (Guo 2017, arXiv 1706.04599) for all labels mends what focal loss does to
    the confidence, the common shift and those of the labels what the weights of rare labels do.

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
        """Calibrated probabilities of uncalibrated ones, float64 [n, n_labels]."""
        scaled = to_logits(probabilities, self.task) / self.temperature + self.shifts
        return to_probabilities(scaled, self.task)

    def thresholds(self, thresholds: np.ndarray) -> np.ndarray:
        """Thresholds of uncalibrated probabilities as thresholds of the calibrated ones.

        The decisions stay the same. For one label a protein there are none to be kept.
        """
        if self.task == "singlelabel":
            return thresholds
        return self(thresholds[None, :])[0]


def to_logits(probabilities: np.ndarray, task: str) -> np.ndarray:
    """The logits that `probabilities` are made of; of a softmax, up to a constant a row."""
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return np.log(clipped) if task == "singlelabel" else logit(clipped)


def to_probabilities(logits: np.ndarray, task: str) -> np.ndarray:
    """Softmax over the labels, or the sigmoid of each."""
    return softmax(logits, axis=1) if task == "singlelabel" else expit(logits)


def calibrate(
    probabilities: np.ndarray, truth: np.ndarray, task: str, known: np.ndarray | None = None
) -> Calibration:
    """The calibration of greatest posterior probability.

    Parameters
    ----------
    probabilities : [n, n_labels], of proteins that were not trained on
    truth : bool [n, n_labels]
    task : ``multilabel`` or ``singlelabel``
    known : bool [n, n_labels], the labels that count; None for all. Of one label a protein all do

    The labels' shifts have a normal prior about the common one, so that a label with few
    positives stays near it; without proteins nothing is changed.
    """
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
    from scipy.optimize import minimize  # half a second, which predictions do not need

    found = minimize(loss, np.zeros(2 + n_labels), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(float(np.exp(-found[0])), found[1] + found[2:], task)
