"""The head that is trained with the language model: attention pooling, then a logit a label."""

import torch
from torch import Tensor, nn

from halo.finetuning.settings import FinetuneSettings


class AttentionHead(nn.Module):
    r"""Residues → several weighted means → logits.

    Head :math:`k` has the weights :math:`\alpha_{ik} = \mathrm{softmax}_i(s_k(x_i))` over the
    residues of a protein.

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
        self.decide = nn.Sequential(
            nn.Linear(settings.pooling_heads * dim, settings.hidden),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.hidden, n_labels),
        )

    def forward(self, states: Tensor, residues: Tensor) -> Tensor:
        """Logits of each protein, float32."""
        states = self.norm(states.float())
        scores = self.score(states).masked_fill(~residues[:, :, None], float("-inf"))
        pooled = torch.einsum("btk,btd->bkd", scores.softmax(dim=1), states)
        return self.decide(pooled.flatten(1))
