"""One model decides what it is sure of; the rest goes to another."""

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
    """What the second model is asked, and how much its word counts.

    Attributes
    ----------
    certainty
        The first model decides alone where its uncertainty (`halo.decisions.uncertainty`)
        is at most this.
    weight
        Of the second model's logits elsewhere, 0 to 1; the first one's have the rest.
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
        """How near each protein's decision is to another one, float64 [n] in 0 to 1."""
        return uncertainty(self.probabilities, self.thresholds, self.task)


def combine(
    first: MemberPrediction, second: MemberPrediction, band: Band
) -> tuple[MemberPrediction, np.ndarray]:
    """The joint prediction, with the thresholds of the first, and who decided.

    The second model's logits are shifted by the difference of the thresholds, so that it
    decides as it would alone where its weight is 1.

    Returns
    -------
    the prediction, and bool [n]: whether the second model was asked
    """
    task = first.task
    asked = first.uncertainty > band.certainty
    mine, theirs = to_logits(first.probabilities, task), to_logits(second.probabilities, task)
    if task == "multilabel":
        theirs = theirs + to_logits(first.thresholds, task) - to_logits(second.thresholds, task)
    joint = np.where(asked[:, None], (1 - band.weight) * mine + band.weight * theirs, mine)
    return MemberPrediction(to_probabilities(joint, task), first.thresholds, task), asked


def average(first: MemberPrediction, second: MemberPrediction) -> MemberPrediction:
    """The mean of both in logits, for every protein."""
    return combine(first, second, Band(-1.0, 0.5))[0]


def choose_band(
    first: MemberPrediction,
    second: MemberPrediction,
    truth: np.ndarray,
    known: np.ndarray | None = None,
    shares: Sequence[float] = SHARES,
    weights: Sequence[float] = WEIGHTS,
) -> Band:
    """The widest band that is as good as the best on these proteins, as far as they can tell.

    The best is that of the highest macro-F1. Another one is as good if it is below by no more than
    the standard error of the difference, in bootstrap samples of the proteins. Of as many
    proteins that are asked about, the better weight counts. The widest, since few proteins make
    some band the best by chance, and the second model is to be the one that knows more.

    Parameters
    ----------
    first, second : of the same proteins, which neither was trained on
    truth : bool [n, n_labels]
    known : bool [n, n_labels], the labels that count; None for all
    shares : shares of the proteins that the second model may be asked about
    weights : see `Band`
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
    # No score is defined where no protein has a label: then no band is worse.
    as_good = np.flatnonzero(~(below[:, 0] > np.nanstd(below[:, 1:], axis=1)))
    return bands[min(as_good, key=lambda index: (bands[index].certainty, below[index, 0]))]
