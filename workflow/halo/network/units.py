"""Embeddings in units of their own spread."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

PROTEINS = 256  # so many are enough for means and spreads


class EmbeddingUnits(nn.Module):
    r"""Each channel of the embedding, centred and divided by its spread over training residues.

    The channels of a language model differ a hundredfold in size, and the largest are nearly the
    same for every residue: unscaled, they drown what tells residues apart.

    Shapes:
        - **input:** :math:`(N, dim)`
        - **output:** float32 of the same shape

    Args:
        dim: width of the embedding.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))

    def forward(self, embedding: Tensor) -> Tensor:
        """The embedding in these units."""
        return (embedding.float() - self.centre) / self.spread

    @torch.no_grad()
    def fit(self, embeddings: Iterable[Tensor]) -> None:
        """Take means and spreads from the residues of some training proteins, each [n, dim]."""
        count, total, squares = 0, 0.0, 0.0
        for embedding in embeddings:
            values = embedding.double()
            count += len(values)
            total = total + values.sum(dim=0)
            squares = squares + values.square().sum(dim=0)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        self.centre.copy_(mean)
        self.spread.copy_(variance.sqrt().clamp(min=1e-3))
