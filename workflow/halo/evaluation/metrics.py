"""Metrics of decisions and of probabilities, for the data and every resample.

Values agree with scikit-learn, which cannot compute a thousand resamples at once. A metric of a
label is not defined (NaN) if no protein has the label; macro averages are over the labels for
which it is defined.
"""

from dataclasses import dataclass

import numpy as np

from halo.evaluation.bootstrap import GroupBootstrap
from halo.evaluation.ranking import ranking_replicates

BINS = 10  # equal-width bins of probability in the calibration error
BIASED = frozenset({"calibration_error"})  # metrics with a positive bias in finite samples


@dataclass(frozen=True)
class Replicates:
    """Metrics by name, of all labels together and of each.

    Attributes
    ----------
    overall : each float64 [1 + resamples]
    labels : each float64 [n_labels, 1 + resamples]
    """

    overall: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]

    def __or__(self, other: "Replicates") -> "Replicates":
        return Replicates(self.overall | other.overall, self.labels | other.labels)

    def resampled(self, several: np.ndarray) -> "Replicates":
        """The same with NaN for the resamples of all labels other than `several`, bool [n_labels].

        For labels that only proteins of one homology group have, which are drawn together.
        """
        labels = {name: values.copy() for name, values in self.labels.items()}
        for values in labels.values():
            values[~several, 1:] = np.nan
        return Replicates(self.overall, labels)


def mean_of(replicates: list[Replicates]) -> Replicates:
    """Mean of each metric over the seeds of a method."""

    def mean(tables: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.mean([table[name] for table in tables], axis=0) for name in tables[0]}

    return Replicates(mean([r.overall for r in replicates]), mean([r.labels for r in replicates]))


def decision_replicates(
    truth: np.ndarray,
    decisions: np.ndarray,
    bootstrap: GroupBootstrap,
    known: np.ndarray | None = None,
) -> Replicates:
    """Metrics of decisions; `truth`, `decisions` and `known` are bool [n, n_labels].

    Labels that are not `known` are ignored, except in ``labels_predicted``. Two empty sets of
    labels have a Jaccard index of 1. Precision, F1 and MCC are 0 if their denominator is 0, as in
    scikit-learn.
    """
    known = np.ones_like(truth) if known is None else known
    given = decisions.sum(axis=1)
    truth, decisions = truth & known, decisions & known
    both, either = truth & decisions, truth | decisions
    size = np.maximum(either.sum(axis=1), 1)
    jaccard = np.where(either.any(axis=1), both.sum(axis=1) / size, 1.0)
    exact = (truth == decisions).all(axis=1)
    one = np.ones(len(truth))
    sums = bootstrap.sums(np.column_stack([one, exact, jaccard, given]))
    n, exact_sum, jaccard_sum, predicted_sum = sums
    hits, predicted, positive = (bootstrap.sums(array) for array in (both, decisions, truth))
    defined = positive > 0
    labels = {
        "f1": _ratio(2 * hits, predicted + positive),
        "precision": _ratio(hits, predicted),
        "recall": _ratio(hits, positive),
        "mcc": _mcc(hits, predicted, positive, bootstrap.sums(known)),
    }
    labels = {name: np.where(defined, values, np.nan) for name, values in labels.items()}
    all_hits, all_predicted, all_positive = (a.sum(axis=0) for a in (hits, predicted, positive))
    overall = {
        "exact_match": exact_sum / n,
        "jaccard": jaccard_sum / n,
        "micro_f1": _ratio(2 * all_hits, all_predicted + all_positive),
        "micro_precision": _ratio(all_hits, all_predicted),
        "micro_recall": _ratio(all_hits, all_positive),
        "micro_mcc": _mcc(all_hits, all_predicted, all_positive, bootstrap.sums(known).sum(axis=0)),
        **macro(labels),
        "labels_predicted": predicted_sum / n,
    }
    return Replicates(overall, labels)


def probability_replicates(
    truth: np.ndarray,
    probabilities: np.ndarray,
    bootstrap: GroupBootstrap,
    known: np.ndarray | None = None,
) -> Replicates:
    """Metrics of probabilities: AUROC, average precision, expected calibration error.

    The micro-AUROC ranks all pairs of protein and label together.

    The calibration error is the mean, over `BINS` equal-width bins weighted by their size, of the
    difference between mean probability and frequency of the label; overall, all pairs of protein
    and label are binned together. Labels that are not `known`, bool [n, n_labels], are ignored.
    """
    known = np.ones_like(truth) if known is None else known
    n, n_labels = truth.shape
    ranked = [
        ranking_replicates(truth[:, label], probabilities[:, label], bootstrap, known[:, label])
        for label in range(n_labels)
    ]
    micro_auroc, _ = ranking_replicates(
        truth.ravel(), probabilities.ravel(), bootstrap.repeated(n_labels), known.ravel()
    )
    excess = bootstrap.sums(_binned((probabilities - truth) * known, probabilities).reshape(n, -1))
    excess = excess.reshape(n_labels, BINS, -1)
    count = bootstrap.sums(known)
    labels = {
        "auroc": np.stack([auroc for auroc, _ in ranked]),
        "average_precision": np.stack([average for _, average in ranked]),
    }
    with np.errstate(invalid="ignore"):
        error = np.abs(excess).sum(axis=1) / count
        pooled = np.abs(excess.sum(axis=0)).sum(axis=0) / count.sum(axis=0)
    return Replicates(
        {**macro(labels), "micro_auroc": micro_auroc, "calibration_error": pooled},
        {**labels, "calibration_error": error},
    )


def reliability_replicates(
    truth: np.ndarray,
    probabilities: np.ndarray,
    bootstrap: GroupBootstrap,
    known: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The reliability curve: by bin, ``count``, ``probability`` and ``observed``.

    Each is float64 [bins, 1 + resamples], over the `known` pairs of protein and label; the latter
    two are the mean probability and the frequency of true labels, NaN in an empty bin.
    """
    known = np.ones_like(truth) if known is None else known
    count, probability, observed = (
        bootstrap.sums(_binned(values * known, probabilities).sum(axis=1))
        for values in (np.ones_like(probabilities), probabilities, truth)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"count": count, "probability": probability / count, "observed": observed / count}


def macro(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means over the labels for which a metric is defined, named ``macro_<metric>``."""
    means = {}
    for name, values in labels.items():
        defined = np.isfinite(values)
        count = defined.sum(axis=0)
        total = np.where(defined, values, 0.0).sum(axis=0)
        means[f"macro_{name}"] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means


def _binned(values: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """`values` [n, n_labels] in the column of their bin, float64 [n, n_labels, BINS]."""
    index = np.clip((probabilities * BINS).astype(int), 0, BINS - 1)
    return np.where(index[..., None] == np.arange(BINS), values[..., None], 0.0)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _mcc(
    hits: np.ndarray, predicted: np.ndarray, positive: np.ndarray, n: np.ndarray
) -> np.ndarray:
    covariance = hits * n - predicted * positive
    variance = predicted * (n - predicted) * positive * (n - positive)
    return _ratio(covariance, np.sqrt(variance))
