"""Learn a decision threshold for each label."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from halo.label_groups import LabelGroup

TEMPERATURE = 0.2  # of soft decisions, in logits
PENALTY = 0.1  # weight of the penalty on the ratios, relative to F1
USUAL_RATIO = math.log(2)  # prior of the common log ratio of odds
RAREST = 1e-4  # frequencies are clipped to this distance from 0 and 1
STEPS, RATE = 150, 0.05  # of Adam


class ThresholdLoss(nn.Module):
    r"""Loss of decision thresholds on held-out logits, with the thresholds as its parameters.

    A threshold inside the focal loss would only shift the logit, which the bias of the last layer
    can undo. Here each threshold minimizes :math:`1 - F_1(q, y)` of its label, with the soft
    decisions :math:`q = \sigma((z - \tau) / T)`.

    The parameters are log odds ratios :math:`u_l` of the predicted to the true frequency:
    :math:`\tau_l` is the quantile of the label's logits above which a fraction
    :math:`\sigma(\sigma^{-1}(f_l) + u_l)` lies, with the frequency :math:`f_l` in training. Both
    are of proteins whose label is known, because others may have quite different logits, as where
    only the proteins of one class are annotated. A label that is known of no held-out protein has
    the threshold 0. Unlike logits, these ratios are comparable between labels, so that the ratios
    of labels with few positives can be shrunk towards the common one by
    :math:`\frac{k}{k + n_l} (u_l - u)^2`, and the common ratio towards 2 by
    :math:`\frac{k}{k + n} (u - \ln 2)^2`, where :math:`n` is the number of held-out positives.

    Args:
        logits: of held-out proteins, float32 :math:`(N, L)`. Logits of training proteins would
            give thresholds that are too high, because the network has been fitted to them.
        targets: their labels, float32 :math:`(N, L)`; those that are NaN are unknown and ignored.
        frequencies: fraction of the training proteins with each label, float :math:`(L)`.
        shrinkage: :math:`k`, the number of positives at which data and penalty weigh the same.
    """

    def __init__(
        self, logits: Tensor, targets: Tensor, frequencies: Tensor, shrinkage: float
    ) -> None:
        super().__init__()
        self.known = ~targets.isnan()
        self.logits, self.targets = logits, targets.nan_to_num()
        self.odds = torch.logit(frequencies, eps=RAREST)
        counts = self.known.sum(dim=0)
        # Known logits first; the threshold of a label without one is 0, a probability of 0.5.
        ranked = logits.masked_fill(~self.known, torch.inf).sort(dim=0).values
        self.ranked = ranked.masked_fill(counts == 0, 0.0)
        self.last = (counts - 1).clamp(min=0)
        positives = self.targets.sum(dim=0)
        self.occurs = positives > 0
        self.pull = shrinkage / (shrinkage + positives)
        self.common_pull = shrinkage / (shrinkage + positives.sum())
        self.ratios = nn.Parameter(torch.full_like(frequencies, USUAL_RATIO))
        self.common = nn.Parameter(torch.tensor(USUAL_RATIO))

    def thresholds(self) -> Tensor:
        """Thresholds in logits, float32 :math:`(L)`, each between two adjacent known logits."""
        position = (1 - torch.sigmoid(self.odds + self.ratios)) * self.last
        below = position.detach().floor().long()
        low = self.ranked.gather(0, below[None])[0]
        high = self.ranked.gather(0, (below + 1).clamp(max=self.last)[None])[0]
        return torch.lerp(low, high, position - below)

    def forward(self) -> Tensor:
        """One minus the mean soft F1 of the labels that occur, plus the penalties."""
        q = torch.sigmoid((self.logits - self.thresholds()) / TEMPERATURE) * self.known
        overlap = (q * self.targets).sum(dim=0)
        f1 = 2 * overlap / (q.sum(dim=0) + self.targets.sum(dim=0)).clamp(min=1e-6)
        pulls = (self.pull * (self.ratios - self.common) ** 2).mean()
        common = self.common_pull * (self.common - USUAL_RATIO) ** 2
        missed = (1 - f1[self.occurs]).sum() / len(f1)
        return missed + PENALTY * (pulls + common)


def learn_thresholds(
    logits: Tensor, targets: Tensor, frequencies: Tensor, shrinkage: float
) -> Tensor:
    """Minimize `ThresholdLoss`; returns thresholds in logits, float32 [n_labels].

    The result is deterministic, and that of the known pairs alone.
    """
    # Copies, because autograd does not accept tensors from inference mode.
    loss = ThresholdLoss(logits.clone(), targets.clone(), frequencies, shrinkage)
    optimizer = torch.optim.Adam(loss.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return loss.thresholds().detach()


def learn_by_group(
    groups: Sequence[LabelGroup],
    logits: Tensor,
    targets: Tensor,
    frequencies: Tensor,
    shrinkage: float,
) -> Tensor:
    """`learn_thresholds` of each group of labels; float32 [n_labels] of all groups."""
    parts = [
        learn_thresholds(logits[:, at], targets[:, at], frequencies[at], shrinkage)
        for at in (group.columns for group in groups)
    ]
    return torch.cat(parts)
