"""The head that is trained with the language model: attention pooling, then a logit a label."""

import torch
from torch import Tensor, nn

from halo.finetuning.settings import FinetuneSettings


class AttentionHead(nn.Module):
    r"""Residues → several weighted means → logits.

    Head :math:`k` has the weights :math:`\alpha_{ik} = \mathrm{softmax}_i(s_k(x_i))` over the
    residues of a protein. The means of all proteins are much alike: what tells them apart is small
    beside what they share. So they are taken in units of their spread over some training proteins
    (`standardize`), or the logits would need hundreds of steps to see it.

    Shapes:
        - **input:** states :math:`(B, T, dim)`, residues :math:`(B, T)`, true where there is one
        - **output:** :math:`(B, n\_labels)`

    Args:
        dim: width of the language model.
        n_labels: number of labels.
        settings: `pooling_heads`, `hidden` and `dropout`.
    """

    def __init__(self, dim: int, n_labels: int, settings: FinetuneSettings) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, settings.pooling_heads)
        self.register_buffer("centre", torch.zeros(settings.pooling_heads * dim))
        self.register_buffer("spread", torch.ones(settings.pooling_heads * dim))
        self.decide = nn.Sequential(
            nn.Linear(settings.pooling_heads * dim, settings.hidden),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.hidden, n_labels),
        )

    def forward(self, states: Tensor, residues: Tensor) -> Tensor:
        """Logits of each protein, float32."""
        return self.decide((self.pooled(states, residues) - self.centre) / self.spread)

    def pooled(self, states: Tensor, residues: Tensor) -> Tensor:
        """The weighted means of each protein, float32 [B, pooling_heads * dim]."""
        states = self.norm(states.float())
        scores = self.score(states).masked_fill(~residues[:, :, None], float("-inf"))
        return torch.einsum("btk,btd->bkd", scores.softmax(dim=1), states).flatten(1)

    @torch.no_grad()
    def standardize(self, pooled: Tensor) -> None:
        """Take means and spreads from the weighted means of some proteins, [n, ...], n > 1."""
        self.centre.copy_(pooled.mean(dim=0))
        self.spread.copy_(pooled.std(dim=0).clamp(min=1e-3))
