"""Sums over the residues of a protein and over the edges of a residue, and graph attention.

The same functions and layer as PyTorch Geometric's ``scatter``, ``softmax`` and ``GATv2Conv``,
which a test holds them to; see `halo.network.batch` for why they are here.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

SLOPE = 0.2  # of the leaky ReLU before the attention's weights (Brody 2022)
TINY = 1e-16


def segment(values: Tensor, index: Tensor, count: int, reduce: str) -> Tensor:
    """Rows of `values` [n, …] that belong together, reduced to [count, …].

    Parameters
    ----------
    index : int64 [n], the segment of each row
    reduce : ``sum``, ``mean`` or ``max``; of a segment without rows it is 0
    """
    size = (count, *values.shape[1:])
    places = index.view(-1, *(1,) * (values.dim() - 1)).expand_as(values)
    if reduce == "max":
        found = values.new_zeros(size)
        return found.scatter_reduce(0, places, values, "amax", include_self=False)
    total = values.new_zeros(size).scatter_add(0, places, values)
    if reduce == "sum":
        return total
    rows = values.new_zeros(count).scatter_add(0, index, values.new_ones(len(index)))
    return total / rows.clamp(min=1).view(-1, *(1,) * (values.dim() - 1))


def segment_softmax(scores: Tensor, index: Tensor, count: int) -> Tensor:
    """The softmax of `scores` [n, …] within each segment; `index` as of `segment`."""
    highest = segment(scores.detach(), index, count, "max")
    exponents = (scores - highest.index_select(0, index)).exp()
    total = segment(exponents, index, count, "sum") + TINY
    return exponents / total.index_select(0, index)


def with_loops(index: Tensor, features: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Edges int64 [2, E] and their features [E, F] with a loop at each node.

    A loop's features are the mean of those of the edges that end at the node.
    """
    loops = torch.arange(nodes, device=index.device)
    means = segment(features, index[1], nodes, "mean")
    return torch.cat([index, loops.expand(2, -1)], dim=1), torch.cat([features, means])


class GraphAttention(nn.Module):
    r"""GATv2 (Brody 2022, arXiv 2105.14491) with features of edges, its heads side by side.

    .. math::
        h_i = b + \sum_{j \to i} \alpha_{ij} W_l x_j, \qquad \alpha_{ij} = \mathrm{softmax}_j \;
        a^\top \mathrm{LeakyReLU}(W_l x_j + W_r x_i + W_e e_{ij})

    Edges are taken as they are: give loops too.

    Args:
        width: features of a node.
        channels: of each head.
        heads: number of heads.
        edge_dim: features of an edge.
        dropout: share of the attention's weights that are left out in training.

    Shapes:
        - **input:** :math:`(N, width)`, edges int64 :math:`(2, E)`, features
          :math:`(E, edge\_dim)`
        - **output:** :math:`(N, heads \cdot channels)`
    """

    def __init__(
        self, width: int, channels: int, heads: int, edge_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.channels, self.dropout = heads, channels, dropout
        self.lin_l = nn.Linear(width, heads * channels)
        self.lin_r = nn.Linear(width, heads * channels)
        self.lin_edge = nn.Linear(edge_dim, heads * channels, bias=False)
        self.att = nn.Parameter(torch.empty(1, heads, channels))
        self.bias = nn.Parameter(torch.zeros(heads * channels))
        for layer in (self.lin_l, self.lin_r):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.uniform_(layer.bias, -(width**-0.5), width**-0.5)
        nn.init.xavier_uniform_(self.lin_edge.weight)
        nn.init.xavier_uniform_(self.att.data[0])

    def forward(self, x: Tensor, index: Tensor, features: Tensor) -> Tensor:
        """Messages along the edges."""
        sources, targets = index
        shape = (-1, self.heads, self.channels)
        left, right = self.lin_l(x).view(shape), self.lin_r(x).view(shape)
        values = left.index_select(0, sources)
        joint = values + right.index_select(0, targets) + self.lin_edge(features).view(shape)
        scores = (leaky_relu(joint, SLOPE) * self.att).sum(dim=-1)
        weights = segment_softmax(scores, targets, len(x))
        weights = dropout(weights, self.dropout, self.training)
        return segment(values * weights[..., None], targets, len(x), "sum").flatten(1) + self.bias
