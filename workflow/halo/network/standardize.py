"""Standardization of embeddings."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

PROTEINS = 256  # number of proteins from which means and standard deviations are estimated


class StandardizeEmbedding(nn.Module):
    r"""Subtract each channel's mean and divide by its standard deviation over training residues.

    The channels of a language model differ a hundredfold in size, and the largest are nearly the
    same for every residue: without standardization, these channels dominate the others.

    Shapes:
        - **input:** :math:`(N, dim)`
        - **output:** float32 of the same shape

    Args:
        dim: width of the embedding.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def forward(self, embedding: Tensor) -> Tensor:
        """Standardize an embedding."""
        return (embedding.float() - self.mean) / self.std

    @torch.no_grad()
    def fit(self, embeddings: Iterable[Tensor]) -> None:
        """Estimate means and deviations from residues of training proteins, each [n, dim]."""
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for embedding in embeddings:
            values = embedding.double()
            count += len(values)
            total = total + values.sum(dim=0)
            squares = squares + values.square().sum(dim=0)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        self.mean.copy_(mean)
        self.std.copy_(variance.sqrt().clamp(min=1e-3))
