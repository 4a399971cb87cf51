"""Combine the probability of a model with the labels of a homologue."""

from dataclasses import dataclass, replace

import numpy as np

from halo.cascade.calibration import to_logits, to_probabilities
from halo.evaluation.conformal import risk_control
from halo.evaluation.thresholds import FIXED, GRID

FEWEST = 30  # homology groups; with fewer, no rule is fitted
DEVIATION = 1.0  # standard deviation of the prior of each parameter, around the model alone


@dataclass(frozen=True)
class Evidence:
    """Homologues of n proteins.

    Attributes
    ----------
    identity : float64 [n], identity of the optimal alignment, 0 to 1
    labels : bool [n, n_labels], of the homologue
    known : bool [n, n_labels], False for unknown labels, which are no evidence
    """

    identity: np.ndarray
    labels: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class HomologueRule:
    r"""Logistic combination of a model and a homologue.

    The logit of a label is :math:`a z + b_0 + b_1 s` if the homologue has the label and
    :math:`a z - c_0 - c_1 s` otherwise, where :math:`z` is the model's calibrated logit and
    :math:`s` the identity, from 0 at `least` to 1 at identical sequences. All parameters are
    non-negative and shared by the labels: a label of the homologue never makes the label less
    likely, and a higher identity never weakens the evidence.

    Attributes
    ----------
    scale : :math:`a`
    present, present_by_identity : :math:`b_0`, :math:`b_1`
    absent, absent_by_identity : :math:`c_0`, :math:`c_1`
    least : smallest identity of similar proteins
    threshold : a label is given if its combined probability is at least this
    cut : cut of the conformal sets of proteins with a homologue
    proteins, groups : number of proteins and homology groups that it was fitted to
    """

    scale: float
    present: float
    present_by_identity: float
    absent: float
    absent_by_identity: float
    least: float
    threshold: float
    cut: float
    proteins: int
    groups: int

    def __call__(self, probabilities: np.ndarray, evidence: Evidence, task: str) -> np.ndarray:
        """Combined probabilities, float64 [n, n_labels]; those of unknown labels stay the same."""
        logits = to_logits(probabilities, task)
        weights = (
            *(self.scale, self.present, self.present_by_identity),
            *(self.absent, self.absent_by_identity),
        )
        joint = _features(logits, evidence, self.least) @ np.array(weights)
        return to_probabilities(np.where(evidence.known, joint, logits), task)

    def thresholds(self, alone: np.ndarray, evidence: Evidence) -> np.ndarray:
        """Thresholds of the combined probabilities, float64 [n, n_labels].

        With a homologue, another threshold is the best than those of the model alone
        (`alone` [n_labels]), which stay where the label of the homologue is unknown.
        """
        return np.where(evidence.known, self.threshold, alone)


def fit_rule(
    probabilities: np.ndarray,
    evidence: Evidence,
    truth: np.ndarray,
    known: np.ndarray,
    groups: np.ndarray,
    task: str,
    least: float,
    risk: float,
) -> HomologueRule | None:
    """Fit the rule by maximum a posteriori estimation; the loss is convex.

    Each homology group has the weight 1, since large families would decide otherwise. None with
    fewer than `FEWEST` groups.

    Parameters
    ----------
    probabilities : float64 [n, n_labels], calibrated, of a model that was not trained on them
    truth, known : bool [n, n_labels], labels of the same proteins, and which of them are known
    groups : text [n], homology groups
    task : ``multilabel`` or ``singlelabel``
    least : smallest identity of similar proteins
    risk : share of a protein's labels that the conformal sets may miss
    """
    # Slow to import, and predictions do not need them.
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit, log_softmax, softmax

    _, group, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    if len(sizes) < FEWEST:
        return None
    weight = (1 / sizes)[group][:, None]
    features = _features(to_logits(probabilities, task), evidence, least)
    used = known & evidence.known
    alone = np.array([1.0, 0.0, 0.0, 0.0, 0.0])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scores = features @ parameters
        if task == "singlelabel":
            losses = -log_softmax(scores, axis=1) * truth
            residuals = softmax(scores, axis=1) - truth
        else:
            losses = -log_expit(np.where(truth, scores, -scores)) * used
            residuals = (expit(scores) - truth) * used
        away = (parameters - alone) / DEVIATION
        slope = np.einsum("nl,nlp->p", weight * residuals, features)
        return (weight * losses).sum() + (away**2).sum() / 2, slope + away / DEVIATION

    bounds = [(0, None)] * len(alone)
    best = minimize(loss, alone, jac=True, method="L-BFGS-B", bounds=bounds).x
    scale, present, by_identity, absent, absent_by_identity = map(float, best)
    fitted = HomologueRule(
        scale=scale,
        present=present,
        present_by_identity=by_identity,
        absent=absent,
        absent_by_identity=absent_by_identity,
        least=least,
        threshold=FIXED,
        cut=0.0,
        proteins=len(truth),
        groups=len(sizes),
    )
    joint = fitted(probabilities, evidence, task)
    return replace(
        fitted,
        threshold=_best_threshold(joint, truth & used, used),
        cut=risk_control(joint, np.asarray(truth, dtype=bool), risk),
    )


def _best_threshold(joint: np.ndarray, truth: np.ndarray, used: np.ndarray) -> float:
    """The common threshold with the best macro-F1; of equal ones the nearest to `FIXED`."""

    def macro_f1(threshold: float) -> float:
        given = (joint >= threshold) & used
        occurs = truth.any(axis=0)
        size = np.maximum(given.sum(axis=0) + truth.sum(axis=0), 1)
        return float((2 * (given & truth).sum(axis=0) / size)[occurs].mean()) if occurs.any() else 0

    return max(GRID, key=lambda threshold: (macro_f1(threshold), -abs(threshold - FIXED)))


def _features(logits: np.ndarray, evidence: Evidence, least: float) -> np.ndarray:
    """What each parameter is multiplied by, float64 [n, n_labels, 5]."""
    span = max(1 - least, 1e-9)
    closeness = np.clip((evidence.identity - least) / span, 0, 1)[:, None]
    has = evidence.labels.astype(float)
    return np.stack([logits, has, has * closeness, has - 1, (has - 1) * closeness], axis=-1)
