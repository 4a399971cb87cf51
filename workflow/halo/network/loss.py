"""Focal loss, and a threshold for each label that is learned and identified."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def focal_loss(logits: Tensor, targets: Tensor, gamma: float, label_weights: Tensor) -> Tensor:
    r"""Mean over proteins and labels of :math:`w_l (1 - p_t)^\gamma (-\log p_t)`.

    Binary, label by label (Lin 2017, arXiv 1708.02002). `logits` and `targets` (0 or 1)
    have the shape [G, L], `label_weights` [L] weighs the positives.
    """
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_true = torch.exp(-cross_entropy)
    weights = 1 + (label_weights - 1) * targets
    return (weights * (1 - p_true) ** gamma * cross_entropy).mean()


def softmax_focal_loss(logits: Tensor, targets: Tensor, gamma: float, weights: Tensor) -> Tensor:
    """The same for exactly one label a protein: over the softmax of the logits."""
    log_p = torch.log_softmax(logits, dim=1)
    return -(targets * weights * (1 - log_p.exp()) ** gamma * log_p).sum(dim=1).mean()


class LearnedThresholds(nn.Module):
    r"""A decision threshold a label, in logits, learned through a soft F1.

    A threshold inside of the focal loss would only be a shift of the logit: the bias of
    the last layer can undo it, and nothing fixes its value. Here it is fixed by what it
    is for. With the logits detached, :math:`q = \sigma((z - \tau) / T)` is a soft decision,
    and :math:`1 - F_1(q, y)`, a label at a time, has its minimum at a threshold of its own.
    A label with few positives is held near the common threshold: the penalty is
    :math:`\frac{k}{k + n_l} (\tau_l - \bar\tau)^2`.

    Args:
        positives: number of positives of each label in training, float :math:`(L)`.
        shrinkage: :math:`k`, the number of positives at which both pulls are of the same size.
        temperature: :math:`T`, in logits.
    """

    def __init__(self, positives: Tensor, shrinkage: float = 50.0, temperature: float = 0.5):
        super().__init__()
        self.tau = nn.Parameter(torch.zeros_like(positives))
        self.temperature = temperature
        self.register_buffer("pull", shrinkage / (shrinkage + positives), persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss that fixes the thresholds; it has no gradient with respect to the logits."""
        q = torch.sigmoid((logits.detach() - self.tau) / self.temperature)
        overlap = (q * targets).sum(dim=0)
        soft_f1 = (2 * overlap + 1e-3) / (q.sum(dim=0) + targets.sum(dim=0) + 1e-3)
        penalty = self.pull * (self.tau - self.tau.mean().detach()) ** 2
        return (1 - soft_f1).mean() + 0.1 * penalty.mean()

    @torch.no_grad()
    def probabilities(self) -> list[float]:
        """The thresholds as probabilities."""
        return torch.sigmoid(self.tau).tolist()
