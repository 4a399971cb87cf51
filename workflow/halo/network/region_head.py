"""Logits of the kind of region of each residue."""

import torch
from torch import Tensor, nn

KERNEL = 15  # residues


class RegionHead(nn.Module):
    r"""A convolution along the sequence, and a linear classifier of each residue.

    The convolution tells the side of a residue's neighbours. Graph attention does not, since
    its edges have no direction, but the residues before a cleavage site differ from those after it.

    Args:
        hidden: number of features of a residue.
        n_kinds: number of kinds of regions.

    Shapes:
        - **input:** :math:`(N, hidden)`, protein of each residue :math:`(N)`, number of proteins
        - **output:** :math:`(N, n\_kinds + 1)`, of no region first
    """

    def __init__(self, hidden: int, n_kinds: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(hidden, hidden, KERNEL)
        self.classifier = nn.Sequential(nn.GELU(), nn.Linear(hidden, n_kinds + 1))

    def forward(self, h: Tensor, protein: Tensor, count: int) -> Tensor:
        """Logits of each residue."""
        # Zeros before, between and after the proteins, so that none sees another.
        margin = KERNEL // 2
        place = torch.arange(len(h), device=h.device) + margin * (1 + protein)
        empty = h.new_zeros((len(h) + margin * (1 + count), h.shape[1]))
        padded = empty.index_copy(0, place, h)
        seen = self.convolution(padded.T[None])[0].T  # row i is of the residue at i + margin
        return self.classifier(seen.index_select(0, place - margin))
