"""Segment reductions and graph attention.

Equivalent to ``scatter``, ``softmax`` and ``GATv2Conv`` of PyTorch Geometric, as a test verifies;
see `halo.network.batch` for why that package is not imported.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

SLOPE = 0.2  # negative slope of the leaky ReLU in the attention (Brody 2022)
TINY = 1e-16


def segment(values: Tensor, index: Tensor, count: int, reduce: str) -> Tensor:
    """Reduce rows of `values` [n, …] by segment, to [count, …].

    Parameters
    ----------
    values : [n, …]
    index : int64 [n], segment of each row
    count : number of segments
    reduce : ``sum``, ``mean`` or ``max``; empty segments give 0
    """
    size = (count, *values.shape[1:])
    places = index.view(-1, *(1,) * (values.dim() - 1)).expand_as(values)
    if reduce == "max":
        empty = values.new_zeros(size)
        return empty.scatter_reduce(0, places, values, "amax", include_self=False)
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
    """Add a self-loop at each node to edges int64 [2, E] with features [E, F].

    The features of a loop are the mean over the edges that end at the node.
    """
    loops = torch.arange(nodes, device=index.device)
    means = segment(features, index[1], nodes, "mean")
    return torch.cat([index, loops.expand(2, -1)], dim=1), torch.cat([features, means])


class GraphAttention(nn.Module):
    r"""GATv2 (Brody 2022, arXiv 2105.14491) with edge features and concatenated heads.

    .. math::
        h_i = b + \sum_{j \to i} \alpha_{ij} W_l x_j, \qquad \alpha_{ij} = \mathrm{softmax}_j \;
        a^\top \mathrm{LeakyReLU}(W_l x_j + W_r x_i + W_e e_{ij})

    Self-loops are not added; include them in the edges.

    Args:
        width: number of node features.
        channels: number of channels of each head.
        heads: number of heads.
        edge_dim: number of edge features.
        dropout: dropout of the attention weights.

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
        """One step of message passing."""
        sources, targets = index
        shape = (-1, self.heads, self.channels)
        left, right = self.lin_l(x).view(shape), self.lin_r(x).view(shape)
        values = left.index_select(0, sources)
        joint = values + right.index_select(0, targets) + self.lin_edge(features).view(shape)
        scores = (leaky_relu(joint, SLOPE) * self.att).sum(dim=-1)
        weights = segment_softmax(scores, targets, len(x))
        weights = dropout(weights, self.dropout, self.training)
        return segment(values * weights[..., None], targets, len(x), "sum").flatten(1) + self.bias
