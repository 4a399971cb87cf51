"""Products of matrices in float32 on a CPU, through oneDNN.

PyTorch multiplies float32 matrices with MKL, which leaves AVX-512 unused on processors that are
not Intel's. oneDNN, which comes with PyTorch too, uses it everywhere: 200 against 90 GFLOP/s of
one core of an AMD EPYC of 2024. PyTorch has no public name for it.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def linear(weight: Tensor, bias: Tensor, gelu: bool = False) -> Callable[[Tensor], Tensor]:
    """A function [n, in] to [n, out]: ``x @ weight.T + bias``, and GELU of it where asked.

    `weight` is float32 [out, in] and is copied into oneDNN's own order once. Where this build of
    PyTorch has no oneDNN, the function is PyTorch's own.
    """
    if not torch.backends.mkldnn.is_available():
        if gelu:
            return lambda rows: functional.gelu(functional.linear(rows, weight, bias))
        return lambda rows: functional.linear(rows, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
    bias = bias.detach()
    after = ("gelu", [], "none") if gelu else ("none", [], "")
    return lambda rows: torch.ops.mkldnn._linear_pointwise(rows, packed, bias, *after)


def product(rows: Tensor, others: Tensor) -> Tensor:
    """``rows @ others.T`` of float32 [n, k] and [m, k], where `others` is used but once."""
    if not torch.backends.mkldnn.is_available():
        return rows @ others.T
    return torch.ops.mkldnn._linear_pointwise(rows, others, None, "none", [], "")
