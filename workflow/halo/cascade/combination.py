"""Combine two models: the second one is used where the first is uncertain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halo.cascade.calibration import to_logits, to_probabilities
from halo.decisions import decide, uncertainty
from halo.evaluation.bootstrap import GroupBootstrap
from halo.evaluation.metrics import decision_replicates

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
WEIGHTS = (0.5, 1.0)
RESAMPLES = 200


@dataclass(frozen=True)
class Band:
    """When the second model is used, and its weight.

    Attributes
    ----------
    certainty
        The first model decides alone if its uncertainty (`halo.decisions.uncertainty`) is at most
        this.
    weight
        Weight of the second model's logits otherwise, 0 to 1; the first one has the rest.
    """

    certainty: float
    weight: float


@dataclass(frozen=True)
class MemberPrediction:
    """Calibrated probabilities of a model, float64 [n, n_labels], and its thresholds."""

    probabilities: np.ndarray
    thresholds: np.ndarray
    task: str

    @property
    def uncertainty(self) -> np.ndarray:
        """Uncertainty of each protein's decision, float64 [n], 0 to 1."""
        return uncertainty(self.probabilities, self.thresholds, self.task)


def combine(
    first: MemberPrediction, second: MemberPrediction, band: Band
) -> tuple[MemberPrediction, np.ndarray]:
    """Combine the predictions of two models; the result has the thresholds of the first.

    The second model's logits are shifted by the difference of the thresholds, so that with a
    weight of 1 its decisions are those that it makes alone.

    Returns
    -------
    the prediction, and bool [n]: whether the second model was used
    """
    task = first.task
    asked = first.uncertainty > band.certainty
    mine, theirs = to_logits(first.probabilities, task), to_logits(second.probabilities, task)
    if task == "multilabel":
        theirs = theirs + to_logits(first.thresholds, task) - to_logits(second.thresholds, task)
    joint = np.where(asked[:, None], (1 - band.weight) * mine + band.weight * theirs, mine)
    return MemberPrediction(to_probabilities(joint, task), first.thresholds, task), asked


def average(first: MemberPrediction, second: MemberPrediction) -> MemberPrediction:
    """Mean of the logits of both models, for every protein."""
    return combine(first, second, Band(-1.0, 0.5))[0]


def choose_band(
    first: MemberPrediction,
    second: MemberPrediction,
    truth: np.ndarray,
    known: np.ndarray | None = None,
    shares: Sequence[float] = SHARES,
    weights: Sequence[float] = WEIGHTS,
) -> Band:
    """Choose the widest band whose macro-F1 is within one standard error of the best.

    The standard error is that of the difference to the best band, over bootstrap samples of the
    proteins. For bands of equal width, the better weight is chosen. The widest band is preferred
    because with few proteins a narrow band is often the best by chance, and because the second
    model is expected to be the better one.

    Parameters
    ----------
    first, second : predictions of the same held-out proteins
    truth : bool [n, n_labels]
    known : bool [n, n_labels], known labels; None for all
    shares : candidate fractions of proteins for which the second model is used
    weights : candidate weights, see `Band`
    """
    unsure = first.uncertainty
    bootstrap = GroupBootstrap(np.arange(len(truth)), RESAMPLES, seed=0)
    bands, scores = [], []
    for share in sorted(shares):
        certainty = 1.0 if share == 0 else float(np.quantile(unsure, 1 - share))
        for weight in weights:
            bands.append(Band(-1.0 if share == 1 else certainty, weight))
            joint, _ = combine(first, second, bands[-1])
            decisions = decide(joint.probabilities, joint.thresholds, joint.task)
            measured = decision_replicates(truth, decisions, bootstrap, known)
            scores.append(measured.overall["macro_f1"])
    below = max(scores, key=lambda score: score[0]) - np.array(scores)
    # If no protein has a label, no score is defined, and no band is worse than another.
    as_good = np.flatnonzero(~(below[:, 0] > np.nanstd(below[:, 1:], axis=1)))
    return bands[min(as_good, key=lambda index: (bands[index].certainty, below[index, 0]))]
