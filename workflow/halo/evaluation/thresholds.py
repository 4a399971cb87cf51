"""From probabilities to decisions, and which thresholds are the better ones."""

import numpy as np

FIXED = 0.5


def decide(probabilities: np.ndarray, thresholds: np.ndarray, task: str) -> np.ndarray:
    """Decisions, bool [n, n_labels].

    A label is given where its probability [n, n_labels] reaches its threshold
    [n_labels]; in a single-label task, the label with the highest probability.
    """
    if task == "singlelabel":
        top = probabilities.argmax(axis=1)
        return top[:, None] == np.arange(probabilities.shape[1])
    return probabilities >= thresholds


def tuned_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, known: np.ndarray | None = None
) -> np.ndarray:
    """The threshold of each label with the best F1 on these proteins, float64 [n_labels].

    It lies halfway between two neighbouring probabilities, so that it does not hang on
    one protein. A label without a positive keeps `FIXED`. Pairs that are not `known`, bool
    [n, n_labels], do not count.
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
    from sklearn.metrics import precision_recall_curve  # a second, which predictions do not need

    precision, recall, cuts = precision_recall_curve(truth, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())  # the last pair is by definition precision 1, recall 0
    below = cuts[best - 1] if best else 0.0
    return float((cuts[best] + below) / 2)


def uncertainty(probabilities: np.ndarray, thresholds: np.ndarray, task: str) -> np.ndarray:
    """How near a decision is to another one, float64 [n] in [0, 1].

    1 where a label lies on its threshold, 0 where every label is as far from it as a
    probability can be. In a single-label task, 1 where the two best labels are equal.
    """
    if task == "singlelabel":
        ranked = np.sort(probabilities, axis=1)
        second = ranked[:, -2] if probabilities.shape[1] > 1 else 0.0
        return 1 - (ranked[:, -1] - second)
    above = probabilities >= thresholds
    room = np.where(above, 1 - thresholds, thresholds)
    distance = np.abs(probabilities - thresholds)
    margin = np.divide(distance, room, out=np.zeros_like(distance), where=room > 0)
    return 1 - margin.min(axis=1)
