"""Segment reductions and graph attention.

Equivalent to ``scatter``, ``softmax`` and ``GATv2Conv`` of PyTorch Geometric, as a test verifies;
see `halo.network.batch` for why that package is not imported.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu, linear

from halo.network.fused_attention import fused_attention

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
    if reduce == "max":
        return _SegmentMaximum.apply(values, index, count)
    total = _SegmentSum.apply(values, index, count)
    if reduce == "sum":
        return total
    rows = values.new_zeros(count).scatter_add(0, index, values.new_ones(len(index)))
    return total / rows.clamp(min=1).view(-1, *(1,) * (values.dim() - 1))


class _SegmentSum(torch.autograd.Function):
    """Sums by segment. The gradient copies whole rows, where PyTorch's gathers value by value."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(index)
        total = values.new_zeros((count, *values.shape[1:]))
        return total.scatter_add_(0, _expanded(index, values), values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (index,) = ctx.saved_tensors
        return gradient.index_select(0, index), None, None


class _SegmentMaximum(torch.autograd.Function):
    """Maxima by segment. Equal ones share the gradient, as in PyTorch, which takes longer."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor, count: int) -> Tensor:
        empty = values.new_zeros((count, *values.shape[1:]))
        places = _expanded(index, values)
        highest = empty.scatter_reduce_(0, places, values, "amax", include_self=False)
        ctx.save_for_backward(values, index, highest)
        return highest

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        values, index, highest = ctx.saved_tensors
        is_highest = (values == highest.index_select(0, index)).to(values.dtype)
        number = torch.zeros_like(highest)
        number.scatter_add_(0, _expanded(index, is_highest), is_highest)
        shares = gradient / number.clamp_(min=1)
        return is_highest.mul_(shares.index_select(0, index)), None, None


def _expanded(index: Tensor, values: Tensor) -> Tensor:
    return index.view(-1, *(1,) * (values.dim() - 1)).expand_as(values)


def segment_softmax(scores: Tensor, index: Tensor, count: int) -> Tensor:
    """The softmax of `scores` [n, …] within each segment; `index` as of `segment`."""
    highest = segment(scores.detach(), index, count, "max")
    exponents = (scores - highest.index_select(0, index)).exp()
    total = segment(exponents, index, count, "sum") + TINY
    return exponents / total.index_select(0, index)


class Edges(NamedTuple):
    """Directed edges of one kind with self-loops, sorted by their targets.

    Attributes
    ----------
    index : int64 [3, E], the source, the target and the row of `features` of each edge
    begin : int64 [N + 1], the first edge of each target
    features : [U, F]; the two directions of an edge share a row
    proteins : int64 [G + 1], the first node of each protein; no edge connects two proteins
    """

    index: Tensor  # type: ignore[assignment]  # hides the method of a tuple
    begin: Tensor
    features: Tensor
    proteins: Tensor


def directed_with_loops(
    index: Tensor, features: Tensor, nodes: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Both directions of undirected edges int64 [2, n], and a loop at each node.

    A loop's features are the mean of those [n, F] of the edges that end at the node. Returned are
    `index`, `begin` and `features` of `Edges`.
    """
    own, row = (torch.arange(n, device=index.device) for n in (nodes, index.shape[1]))
    ends = torch.cat([index[1], index[0]])
    begin = torch.zeros(nodes + 1, dtype=torch.int64, device=index.device)
    torch.cumsum(torch.bincount(ends, minlength=nodes) + 1, 0, out=begin[1:])
    means = torch.cat([features, features.new_zeros(nodes, features.shape[1])])
    total = means[len(row) :]
    for end in (index[1], index[0]):
        total.scatter_add_(0, end[:, None].expand_as(features), features)
    total /= (begin.diff() - 1).clamp(min=1)[:, None]
    # Sorting is faster with 32 bits.
    targets, order = torch.sort(torch.cat([ends, own]).int(), stable=True)
    sources = torch.cat([index[0], index[1], own]).index_select(0, order)
    rows = torch.cat([row, row, len(row) + own]).index_select(0, order)
    return torch.stack([sources, targets.long(), rows]), begin, means


class GraphAttention(nn.Module):
    r"""GATv2 (Brody 2022, arXiv 2105.14491) with edge features and concatenated heads.

    .. math::
        h_i = b + \sum_{j \to i} \alpha_{ij} W_l x_j, \qquad \alpha_{ij} = \mathrm{softmax}_j \;
        a^\top \mathrm{LeakyReLU}(W_l x_j + W_r x_i + W_e e_{ij})

    Self-loops are not added; include them in the edges. On a CPU, in float32, one function computes
    everything after the projections (`halo.network.fused_attention`): in training, and after
    `fuse_inference`.

    Args:
        width: number of node features.
        channels: number of channels of each head.
        heads: number of heads.
        edge_dim: number of edge features.
        dropout: dropout of the attention weights.

    Shapes:
        - **input:** :math:`(N, width)`, and `Edges` with features :math:`(U, edge\_dim)`
        - **output:** :math:`(N, heads \cdot channels)`
    """

    def __init__(
        self, width: int, channels: int, heads: int, edge_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.channels, self.dropout = heads, channels, dropout
        self.fused_inference = False
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

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """One step of message passing."""
        # One product in place of two; its result is read as it is, without copies.
        parts = self.lin_l, self.lin_r
        weight, bias = (torch.cat([getattr(p, name) for p in parts]) for name in ("weight", "bias"))
        nodes = linear(x, weight, bias).view(len(x), 2, self.heads * self.channels)
        between = self.lin_edge(edges.features)
        can_fuse = nodes.device.type == "cpu" and nodes.dtype == torch.float32
        is_fused = can_fuse and (self.training or self.fused_inference)
        attend = self._fused if is_fused else self._by_steps
        return attend(nodes, between, edges) + self.bias

    def _fused(self, nodes: Tensor, between: Tensor, edges: Edges) -> Tensor:
        graph = edges.index, edges.begin, edges.proteins
        dropout = self.dropout if self.training else 0.0
        return fused_attention(nodes, between, self.att[0], *graph, SLOPE, dropout)

    def _by_steps(self, nodes: Tensor, between: Tensor, edges: Edges) -> Tensor:
        sources, targets, rows = edges.index
        nodes, between = (part.unflatten(-1, (self.heads, -1)) for part in (nodes, between))
        values = nodes[:, 0].index_select(0, sources)
        joint = values + nodes[:, 1].index_select(0, targets) + between.index_select(0, rows)
        scores = (leaky_relu(joint, SLOPE) * self.att).sum(dim=-1)
        weights = segment_softmax(scores, targets, len(nodes))
        weights = dropout(weights, self.dropout, self.training)
        return segment(values * weights[..., None], targets, len(nodes), "sum").flatten(1)


def fuse_inference(network: nn.Module) -> None:
    """Let `network` compute its graph attention in one function in inference, too.

    On a CPU this takes less time for each residue, but first the function is loaded, or compiled
    if no process has kept it on disk: use it for many proteins.
    """
    for module in network.modules():
        if isinstance(module, GraphAttention):
            module.fused_inference = True
