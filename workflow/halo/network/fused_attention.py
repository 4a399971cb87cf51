"""Graph attention in one loop over the edges, for training and scans on a CPU.

PyTorch makes an array of [edges, channels] of every step: gather, add, leaky ReLU, product,
dropout, scatter, and the same again backwards. Here a residue's edges are read once and what is
between stays in the processor's cache; only the weights of the attention are kept for the
gradients.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from halo.network.compiled import compiler, splitmix

Array = np.ndarray
BITS = 24  # of the random number that decides whether a weight is dropped
TINY = np.float32(1e-16)  # as in `halo.network.graph_attention.segment_softmax`


class WeightDropout(NamedTuple):
    """Which weights of the attention are left out: a function of the seed and the weight's place.

    Attributes
    ----------
    seed : uint64
    threshold : uint64, a weight is kept where a random number of `BITS` bits is not below it
    scale : float32, of the weights that are kept
    """

    seed: np.uint64
    threshold: np.uint64
    scale: np.float32

    @classmethod
    def drawn(cls, share: float) -> "WeightDropout":
        """The dropout of this `share`, with a seed from PyTorch's random numbers."""
        seed = int(torch.randint(2**62, ())) if share else 0
        return cls(np.uint64(seed), np.uint64(share * 2**BITS), np.float32(1 / (1 - share)))


def fused_attention(
    nodes: Tensor,
    edge: Tensor,
    attention: Tensor,
    index: Tensor,
    begin: Tensor,
    proteins: Tensor,
    slope: float,
    dropout: float,
) -> Tensor:
    """The messages of `halo.network.graph_attention.GraphAttention`, float32 [N, heads * channels].

    Parameters
    ----------
    nodes : float32 [N, 2, heads * channels], projections of the residues as source and as target
    edge : float32 [U, heads * channels], projections of the features of edges
    attention : float32 [heads, channels]
    index, begin, proteins : int64 [3, E], [N + 1], [G + 1], see
        `halo.network.graph_attention.Edges`
    slope : of the leaky ReLU
    dropout : share of the attention's weights that are left out

    Notes
    -----
    As many threads work as PyTorch is set to, each on some proteins. The result, gradients
    included, does not depend on their number.
    """
    return _FusedAttention.apply(
        nodes, edge, attention, index, begin, proteins, slope, WeightDropout.drawn(dropout)
    )


class _FusedAttention(torch.autograd.Function):
    """`fused_attention` and its gradients."""

    @staticmethod
    def forward(ctx: Any, nodes, edge, attention, index, begin, proteins, slope, dropout) -> Tensor:
        output = nodes.new_empty(len(nodes), attention.numel())
        weights = nodes.new_empty(index.shape[1], len(attention))
        graph = [_array(value) for value in (proteins, begin, *index)]
        values = [_array(value) for value in (nodes, edge, attention.flatten())]
        forward, _ = kernels(*attention.shape)
        ctx.settings = np.float32(slope), *dropout
        made = output.numpy(), weights.numpy()
        _in_threads(lambda *part: forward(*part, *graph, *values, *ctx.settings, *made), graph)
        ctx.save_for_backward(nodes, edge, attention, index, begin, proteins, weights)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        nodes, edge, attention, index, begin, proteins, weights = ctx.saved_tensors
        graph = [_array(value) for value in (proteins, begin, *index)]
        values = [_array(v) for v in (nodes, edge, attention.flatten(), weights, gradient)]
        gradients = [torch.zeros_like(value) for value in (nodes, edge)]
        # A row for each protein, summed in their order: so the threads do not change the sum.
        of_attention = nodes.new_zeros(len(proteins) - 1, attention.numel())
        _, backward = kernels(*attention.shape)
        made = [value.numpy() for value in (*gradients, of_attention)]
        _in_threads(lambda *part: backward(*part, *graph, *values, *ctx.settings, *made), graph)
        gradients.append(of_attention.sum(dim=0).view_as(attention))
        return *gradients, *(None,) * 5


def _array(value: Tensor) -> Array:
    return value.detach().contiguous().numpy()


def _in_threads(work: Callable[[int, int], None], graph: list[Array]) -> None:
    """Do `work` on ranges of proteins, one a thread, of about as many edges each."""
    proteins, begin = graph[:2]
    threads = min(torch.get_num_threads(), len(proteins) - 1)
    if threads <= 1:
        return work(0, len(proteins) - 1)
    edges = begin[proteins]  # before each protein
    shares = np.linspace(0, edges[-1], threads + 1)[1:-1]
    bounds = [0, *np.searchsorted(edges, shares).tolist(), len(proteins) - 1]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, *part) for part in pairwise(bounds)]:
            done.result()


@lru_cache
def kernels(heads: int, channels: int) -> tuple[Callable, Callable]:
    """Forward and backward over the edges of a range of proteins, compiled for these sizes.

    The arguments of both are the first protein and the one after the last; `proteins`, `begin`,
    `sources`, `targets` and `rows`; the values; slope and `WeightDropout`; the arrays to be filled.
    """
    compiled, width, bits = compiler(), heads * channels, np.uint64(64 - BITS)

    @compiled
    def forward(
        first, last, proteins, begin, sources, targets, rows,
        nodes, edge, attention, slope, seed, threshold, scale, output, weights,
    ):  # fmt: skip
        terms = np.empty(width, np.float32)
        for i in range(proteins[first], proteins[last]):
            own, mixed = nodes[i, 1], output[i]
            for e in range(begin[i], begin[i + 1]):
                other, between = nodes[sources[e], 0], edge[rows[e]]
                for k in range(width):
                    joint = other[k] + own[k] + between[k]
                    terms[k] = max(joint, slope * joint) * attention[k]
                for h in range(heads):
                    score = np.float32(0)
                    for k in range(h * channels, (h + 1) * channels):
                        score += terms[k]
                    weights[e, h] = score
            for h in range(heads):
                highest = np.float32(-np.inf)
                for e in range(begin[i], begin[i + 1]):
                    highest = max(highest, weights[e, h])
                total = TINY
                for e in range(begin[i], begin[i + 1]):
                    weights[e, h] = np.exp(weights[e, h] - highest)
                    total += weights[e, h]
                for e in range(begin[i], begin[i + 1]):
                    weights[e, h] /= total
            for k in range(width):
                mixed[k] = 0
            for e in range(begin[i], begin[i + 1]):
                other = nodes[sources[e], 0]
                for h in range(heads):
                    weight = weights[e, h]
                    if threshold:
                        is_kept = (splitmix(seed, e * heads + h) >> bits) >= threshold
                        weight *= scale if is_kept else np.float32(0)
                    for k in range(h * channels, (h + 1) * channels):
                        mixed[k] += weight * other[k]

    @compiled
    def backward(
        first, last, proteins, begin, sources, targets, rows,
        nodes, edge, attention, weights, gradient, slope, seed, threshold, scale,
        of_nodes, of_edge, of_attention,
    ):  # fmt: skip
        terms, common = np.empty(width, np.float32), np.empty(heads, np.float32)
        most = 0
        for i in range(proteins[first], proteins[last]):
            most = max(most, begin[i + 1] - begin[i])
        of_weights = np.empty((most, heads), np.float32)
        for p in range(first, last):
            of_vector = of_attention[p]
            for i in range(proteins[p], proteins[p + 1]):
                start, given, own, of_own = begin[i], gradient[i], nodes[i, 1], of_nodes[i, 1]
                common[:] = 0
                for e in range(start, begin[i + 1]):
                    other, of_other = nodes[sources[e], 0], of_nodes[sources[e], 0]
                    for k in range(width):
                        terms[k] = given[k] * other[k]
                    for h in range(heads):
                        factor = np.float32(1)
                        if threshold:
                            is_kept = (splitmix(seed, e * heads + h) >> bits) >= threshold
                            factor = scale if is_kept else np.float32(0)
                        total = np.float32(0)
                        for k in range(h * channels, (h + 1) * channels):
                            total += terms[k]
                        of_weights[e - start, h] = total * factor
                        common[h] += weights[e, h] * total * factor
                        factor *= weights[e, h]
                        for k in range(h * channels, (h + 1) * channels):
                            of_other[k] += factor * given[k]
                for e in range(start, begin[i + 1]):
                    other, of_other = nodes[sources[e], 0], of_nodes[sources[e], 0]
                    between, of_between = edge[rows[e]], of_edge[rows[e]]
                    for h in range(heads):
                        of_score = weights[e, h] * (of_weights[e - start, h] - common[h])
                        for k in range(h * channels, (h + 1) * channels):
                            terms[k] = of_score
                    for k in range(width):
                        joint = other[k] + own[k] + between[k]
                        sloped = terms[k] if joint > 0 else slope * terms[k]
                        of_vector[k] += sloped * joint
                        terms[k] = sloped * attention[k]
                    for k in range(width):
                        of_other[k] += terms[k]
                    for k in range(width):
                        of_own[k] += terms[k]
                    for k in range(width):
                        of_between[k] += terms[k]

    return forward, backward
