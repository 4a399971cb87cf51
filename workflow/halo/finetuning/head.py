"""Classification head of the language model: attention pooling, then one logit per label."""

import torch
from torch import Tensor, nn

from halo.finetuning.settings import FinetuneSettings


class AttentionHead(nn.Module):
    r"""Residues → several weighted means → logits.

    Head :math:`k` has the weights :math:`\alpha_{ik} = \mathrm{softmax}_i(s_k(x_i))` over the
    residues of a protein. The means of different proteins are similar, so they are standardized
    over some training proteins (`standardize`); otherwise training would need hundreds of steps to
    separate them.

    Shapes:
        - **input:** states :math:`(B, T, dim)`, residues bool :math:`(B, T)`, false for padding
        - **output:** :math:`(B, n\_labels)`

    Args:
        dim: width of the language model.
        n_labels: number of labels.
        settings: `pooling_heads`, `hidden` and `dropout`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, n_labels: int, settings: FinetuneSettings) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, settings.pooling_heads)
        self.register_buffer("mean", torch.zeros(settings.pooling_heads * dim))
        self.register_buffer("std", torch.ones(settings.pooling_heads * dim))
        self.decide = nn.Sequential(
            nn.Linear(settings.pooling_heads * dim, settings.hidden),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.hidden, n_labels),
        )

    def forward(self, states: Tensor, residues: Tensor) -> Tensor:
        """Logits of each protein, float32."""
        return self.decide((self.pooled(states, residues) - self.mean) / self.std)

    def pooled(self, states: Tensor, residues: Tensor) -> Tensor:
        """The weighted means of each protein, float32 [B, pooling_heads * dim]."""
        states = self.norm(states.float())
        scores = self.score(states).masked_fill(~residues[:, :, None], float("-inf"))
        return torch.einsum("btk,btd->bkd", scores.softmax(dim=1), states).flatten(1)

    @torch.no_grad()
    def standardize(self, pooled: Tensor) -> None:
        """Fit mean and standard deviation to the weighted means of proteins, [n, ...], n > 1."""
        self.mean.copy_(pooled.mean(dim=0))
        self.std.copy_(pooled.std(dim=0).clamp(min=1e-3))
