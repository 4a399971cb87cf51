"""Self-attention in float32 on a CPU.

PyTorch's attention spends most of its time in exponentials and in matrix products without AVX-512
(`halo.embeddings.onednn`). For longer sequences, the weights are computed here as powers of two,
which PyTorch computes four times as fast as powers of e. The maximum of each row is not subtracted:
it cancels out, and float32 can represent the exponentials of scores between -87 and 88. If a row
exceeds this range, PyTorch's attention is used.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from halo.embeddings.onednn import product

WORTHWHILE = 300  # tokens; for shorter sequences the overhead of oneDNN calls is larger
ROWS = 512  # rows of scores at a time, 2 MB for 1,022 residues
ROOM = 2.0**80  # largest sum of a row; smaller terms are lost below 2^-46 of it


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(query @ key.T / sqrt(width)) @ value`` for each head.

    All are float32 [length, heads, width], and so is the result.
    """
    if len(query) >= WORTHWHILE:
        mixed = _with_powers_of_two(query, key, value)
        if mixed is not None:
            return mixed
    query, key, value = (part.transpose(0, 1)[None] for part in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value)[0].transpose(0, 1)


def _with_powers_of_two(query: Tensor, key: Tensor, value: Tensor) -> Tensor | None:
    """Attention with powers of two; None if the sum of a row's weights is out of range."""
    width = query.shape[2]
    query = (query * (math.log2(math.e) / math.sqrt(width))).transpose(0, 1).contiguous()
    key, value = key.transpose(0, 1).contiguous(), value.permute(1, 2, 0).contiguous()
    mixed, sums = torch.empty_like(query), query.new_empty(*query.shape[:2], 1)
    for head, queries in enumerate(query):
        parts = (part[head].split(ROWS) for part in (mixed, sums))
        for rows, result, total in zip(queries.split(ROWS), *parts, strict=True):
            weights = product(rows, key[head]).exp2_()
            torch.sum(weights, 1, keepdim=True, out=total)
            result.copy_(product(weights, value[head]))
    if not ((sums > 1 / ROOM) & (sums < ROOM)).all():
        return None
    return (mixed / sums).transpose(0, 1)
