"""Focal loss for multi-label and single-label tasks."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from halo.label_groups import LabelGroup


def focal_loss(logits: Tensor, targets: Tensor, gamma: float, label_weights: Tensor) -> Tensor:
    r"""Mean over proteins and labels of :math:`w_l (1 - p_t)^\gamma (-\log p_t)`.

    Binary for each label (Lin 2017, arXiv 1708.02002). `logits` and `targets` (0 or 1) have the
    shape [G, L]; `label_weights` [L] weights the positives. Targets that are NaN are unknown and
    masked: the mean is over the others.
    """
    known = ~targets.isnan()
    targets = targets.nan_to_num()
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_true = torch.exp(-cross_entropy)
    weights = 1 + (label_weights - 1) * targets
    losses = weights * (1 - p_true) ** gamma * cross_entropy
    return (losses * known).sum() / known.sum().clamp(min=1)


def region_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the kind of region over residues.

    `logits` are [N, n_kinds + 1], `targets` int64 [N]. Residues whose target is negative are
    unknown and ignored; without others, the loss is 0.
    """
    known = (targets >= 0).sum().clamp(min=1)
    total = functional.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
    return total / known


def softmax_focal_loss(logits: Tensor, targets: Tensor, gamma: float, weights: Tensor) -> Tensor:
    """Focal loss of the softmax, for exactly one label per protein; see `focal_loss`.

    The mean is over the proteins whose label is known; targets of the others are NaN.
    """
    known = ~targets.isnan().any(dim=1)
    targets = targets.nan_to_num()
    log_p = torch.log_softmax(logits, dim=1)
    losses = -(targets * weights * (1 - log_p.exp()) ** gamma * log_p).sum(dim=1)
    return (losses * known).sum() / known.sum().clamp(min=1)


LOSSES = {"multilabel": focal_loss, "singlelabel": softmax_focal_loss}


def grouped_loss(
    logits: Tensor,
    targets: Tensor,
    gamma: float,
    weights: Tensor,
    groups: Sequence[LabelGroup],
    further_weight: float = 1.0,
) -> Tensor:
    """Loss of the main group of labels, plus `further_weight` times that of each further one.

    The labels of all groups are columns of `logits` and `targets`. Each loss is a mean over what
    is known of its group, so that few annotated proteins count as much as many.
    """
    losses = [
        LOSSES[group.task](
            logits[:, group.columns], targets[:, group.columns], gamma, weights[group.columns]
        )
        for group in groups
    ]
    return losses[0] + sum(further_weight * loss for loss in losses[1:])
