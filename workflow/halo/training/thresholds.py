"""A decision threshold for each label, learned and identified."""

import math

import torch
from torch import Tensor, nn

TEMPERATURE = 0.2  # of a soft decision, in logits
PENALTY = 0.1  # weight of the pull on the ratios beside F1
USUAL_RATIO = math.log(2)  # of the odds: where few positives leave the common ratio
RAREST = 1e-4  # frequency that a label is taken to have at least, and to lack
STEPS, RATE = 150, 0.05  # of Adam


class ThresholdLoss(nn.Module):
    r"""What the thresholds of held-out logits cost; its parameters are what is learned.

    A threshold inside of the focal loss would only be a shift of the logit: the bias of the last
    layer can undo it, and nothing fixes its value. Here it is fixed by what it is for. With
    :math:`q = \sigma((z - \tau) / T)` a soft decision, :math:`1 - F_1(q, y)`, a label at a time,
    has its minimum at a threshold of its own.

    What is learned is how often a label is predicted, over how often it occurs: :math:`\tau_l`
    is the quantile of the label's logits that a share :math:`\sigma(\sigma^{-1}(f_l) + u_l)`
    lies above, with the frequency :math:`f_l` in training. Such ratios of odds are alike between
    labels, as logits are not, so that a label with few positives can be held near the others:
    :math:`\frac{k}{k + n_l} (u_l - u)^2`, and their common ratio near 2 by
    :math:`\frac{k}{k + n} (u - \ln 2)^2`, where :math:`n` counts held-out positives.

    Args:
        logits, targets: of held-out proteins, float32 :math:`(N, L)`; targets that are NaN are
            unknown and do not count. Those of training proteins would not do: the network knows
            them, and the thresholds came out too high.
        frequencies: share of the training proteins that have each label, float :math:`(L)`.
        shrinkage: :math:`k`, the number of positives at which both pulls are of the same size.
    """

    def __init__(
        self, logits: Tensor, targets: Tensor, frequencies: Tensor, shrinkage: float
    ) -> None:
        super().__init__()
        self.known = ~targets.isnan()
        self.logits, self.targets = logits, targets.nan_to_num()
        self.odds = torch.logit(frequencies, eps=RAREST)
        self.ranked = logits.sort(dim=0).values
        positives = self.targets.sum(dim=0)
        self.occurs = positives > 0
        self.pull = shrinkage / (shrinkage + positives)
        self.common_pull = shrinkage / (shrinkage + positives.sum())
        self.ratios = nn.Parameter(torch.full_like(frequencies, USUAL_RATIO))
        self.common = nn.Parameter(torch.tensor(USUAL_RATIO))

    def thresholds(self) -> Tensor:
        """Thresholds in logits, float32 :math:`(L)`, between two neighbouring logits each."""
        last = len(self.ranked) - 1
        position = (1 - torch.sigmoid(self.odds + self.ratios)) * last
        below = position.detach().floor().long()
        low = self.ranked.gather(0, below[None])[0]
        high = self.ranked.gather(0, (below + 1).clamp(max=last)[None])[0]
        return torch.lerp(low, high, position - below)

    def forward(self) -> Tensor:
        """One minus the mean soft F1 of the labels that occur, and the pulls."""
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
    """The thresholds at which `ThresholdLoss` is lowest, in logits, float32 [n_labels].

    The same input gives the same thresholds; there is no randomness.
    """
    # Copies, since autograd takes nothing that was computed in inference mode.
    loss = ThresholdLoss(logits.clone(), targets.clone(), frequencies, shrinkage)
    optimizer = torch.optim.Adam(loss.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return loss.thresholds().detach()
