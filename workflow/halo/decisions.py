"""From scores to decisions: the one rule that every stage applies."""

import numpy as np


def decide(scores: np.ndarray, thresholds: np.ndarray, task: str) -> np.ndarray:
    """Decisions, bool [n, n_labels].

    A label is given where its score [n, n_labels], a probability or a logit, reaches its threshold
    [n_labels] on the same scale, so that equal is enough: thresholds are fitted by this rule, and
    the frequency of the most frequent label is its own threshold. In a single-label task, it is the
    label with the highest score.
    """
    if task == "singlelabel":
        top = scores.argmax(axis=1)
        return top[:, None] == np.arange(scores.shape[1])
    return scores >= thresholds


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
