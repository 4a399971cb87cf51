"""Fusion of the modalities of a residue by a weighted sum."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from halo.network.features import MODALITIES
from halo.network.graph_attention import segment

ABSENT = -1e4  # logit of a missing modality, whose weight becomes 0
PACE = 10.0  # factor by which modality weights are learned faster than the rest of the network


class ModalityFusion(nn.Module):
    r"""Sum of the projected modalities with trainable weights.

    .. math::
        h_i = \sum_m w_{gm} \, \mathrm{norm}(P_m x_{im}), \qquad
        w_g = \mathrm{softmax}_{m \in \text{present}}(c \, (a_m + u_m^\top \bar z_{gm}))

    where :math:`\bar z_{gm}` is the mean of the normalized projection over the residues
    of protein :math:`g`. The norm (layer norm without scale and shift) gives all modalities the
    same magnitude, so that a larger projection cannot compensate a small weight. The softmax is
    over the modalities that a protein has; a missing one has weight zero. The factor :math:`c`
    (`PACE`) speeds up learning of the weights, because Adam changes all parameters at about the
    same rate. Without `learned`, all weights are equal.

    Args:
        dimensions: width of each modality's features, by name in `MODALITIES`.
        hidden: width of the sum.
        learned: whether the weights are learned.

    Shapes:
        - **features:** a mapping of :math:`(N, d_m)`
        - **present:** bool :math:`(G, 3)`
        - **protein:** int64 :math:`(N)`, the protein of each residue
        - **output:** :math:`(N, hidden)` and the weights :math:`(G, 3)`
    """

    def __init__(self, dimensions: Mapping[str, int], hidden: int, learned: bool = True) -> None:
        super().__init__()
        self.projections = nn.ModuleDict(
            {name: nn.Linear(dimensions[name], hidden) for name in MODALITIES}
        )
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.global_part = nn.Parameter(torch.zeros(len(MODALITIES)), requires_grad=learned)
        self.protein_part = nn.Parameter(
            torch.zeros(len(MODALITIES), hidden), requires_grad=learned
        )

    def forward(
        self, features: Mapping[str, Tensor], present: Tensor, protein: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The fused residues and the weights of each protein."""
        projected = [self.norm(self.projections[name](features[name])) for name in MODALITIES]
        means = torch.stack([segment(p, protein, len(present), "mean") for p in projected], dim=1)
        # Divided by the width, since the norm of a mean of normalized rows is up to its root.
        own = (means * self.protein_part).sum(dim=2) / means.shape[2] ** 0.5
        # Finite instead of infinite logits: a protein without modalities gets weight 0, not NaN.
        logits = (PACE * (self.global_part + own)).masked_fill(~present, ABSENT)
        weights = torch.softmax(logits, dim=1) * present
        of_residues = weights.index_select(0, protein).split(1, dim=1)
        fused = projected[0] * of_residues[0]
        for part, weight in zip(projected[1:], of_residues[1:], strict=True):
            fused = torch.addcmul(fused, part, weight)
        return fused, weights

    @torch.no_grad()
    def global_weights(self, seen: Collection[str]) -> dict[str, float]:
        """Weights for a protein with the modalities `seen`, without the per-protein term."""
        weights = torch.softmax(PACE * self.global_part, dim=0)
        weights *= torch.tensor([name in seen for name in MODALITIES]).to(weights.device)
        return dict(zip(MODALITIES, (weights / weights.sum()).tolist(), strict=True))
