"""Decisions from scores, and their uncertainty: the rule for all stages."""

import numpy as np


def decide(scores: np.ndarray, thresholds: np.ndarray, task: str) -> np.ndarray:
    """Decisions, bool [n, n_labels].

    A label is predicted if its score [n, n_labels], a probability or a logit, is at least its
    threshold [n_labels] or [n, n_labels] on the same scale. Equality is sufficient: thresholds are
    fitted by this rule, and the frequency of the most frequent label is its own threshold. In a
    single-label task, the label with the highest score is predicted.
    """
    if task == "singlelabel":
        top = scores.argmax(axis=1)
        return top[:, None] == np.arange(scores.shape[1])
    return scores >= thresholds


def rounded(scores: np.ndarray, thresholds: np.ndarray, task: str, digits: int) -> np.ndarray:
    """Probabilities and thresholds, float64 [2, n, n_labels], rounded to a number of `digits`.

    They lead to the same decisions as the exact ones, which are as for `decide`: where rounding
    would move a probability across its threshold, it is moved back by a unit of the last digit.
    """
    chosen, unit = decide(scores, thresholds, task), 10.0**-digits
    values = scores.round(digits)
    # A threshold of 0 could not be missed.
    limits = np.maximum(np.broadcast_to(thresholds, scores.shape).round(digits), unit)
    reach = values.max(axis=1, keepdims=True) if task == "singlelabel" else limits
    values = np.where(chosen, np.maximum(values, reach), np.minimum(values, reach - unit))
    return np.stack([values, limits]).round(digits)


def uncertainty(probabilities: np.ndarray, thresholds: np.ndarray, task: str) -> np.ndarray:
    """How near a decision is to another one, float64 [n] in [0, 1].

    1 if a label is on its threshold, 0 if every label is as far from it as possible. In a
    single-label task, 1 if the two highest probabilities are equal. The arguments are as for
    `decide`.
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
