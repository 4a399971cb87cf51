"""Macro-F1 of validation decisions, and weights of rare labels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from halo.label_groups import LabelGroup
from halo.macro_f1 import f1_of
from halo.macro_f1 import macro_f1 as macro_f1_of_known

RESAMPLES = 200


def macro_f1(decisions: np.ndarray, targets: np.ndarray) -> float:
    """Macro-F1 of 0/1 decisions [n, n_labels]: the mean over the labels of all groups.

    Targets that are NaN are unknown and ignored.
    """
    return macro_f1_of_known(decisions > 0, targets > 0, ~np.isnan(targets))


def macro_f1_error(decisions: np.ndarray, targets: np.ndarray) -> float:
    """Standard error of the macro-F1 of 0/1 decisions [n, n_labels], by the bootstrap.

    Targets that are NaN are ignored.
    """
    targets, decisions = _known(targets, decisions)
    count = len(targets)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    hits, given = drawn @ (decisions * targets), drawn @ (decisions + targets)
    return float(f1_of(hits, given).mean(axis=1).std())


def _known(targets: np.ndarray, decisions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets and decisions with 0 for unknown targets, which then do not contribute to F1."""
    known = ~np.isnan(targets)
    return np.where(known, targets, 0), decisions * known


def probabilities(logits: Tensor, groups: Sequence[LabelGroup]) -> Tensor:
    """Probability of each label, [n, n_labels]: a sigmoid, or a softmax over a group."""
    parts = [
        torch.softmax(logits[:, group.columns], dim=1)
        if group.task == "singlelabel"
        else torch.sigmoid(logits[:, group.columns])
        for group in groups
    ]
    return torch.cat(parts, dim=1)


def label_weights(targets: Tensor) -> Tensor:
    """Weight of the positives of each label: the square root of negatives over positives.

    `targets` [n, n_labels] that are NaN count as neither.
    """
    positives = targets.nansum(dim=0).clamp(min=1)
    known = (~targets.isnan()).sum(dim=0)
    return torch.sqrt((known - positives).clamp(min=1) / positives)


def label_frequencies(targets: Tensor) -> Tensor:
    """Fraction of positives among the known `targets` [n, n_labels] of each label."""
    return targets.nansum(dim=0) / (~targets.isnan()).sum(dim=0).clamp(min=1)
