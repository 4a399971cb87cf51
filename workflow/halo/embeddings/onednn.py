"""Matrix products in float32 on a CPU with oneDNN.

PyTorch multiplies float32 matrices with MKL, which uses AVX-512 on Intel processors only. oneDNN,
which is part of PyTorch, uses it everywhere: 200 instead of 90 GFLOP/s on one core of an AMD EPYC
of 2024. PyTorch has no public interface for it.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def linear(weight: Tensor, bias: Tensor, gelu: bool = False) -> Callable[[Tensor], Tensor]:
    """A function from [n, in] to [n, out]: ``x @ weight.T + bias``, optionally with GELU.

    `weight` is float32 [out, in] and is copied to the memory layout of oneDNN once. If PyTorch was
    built without oneDNN, PyTorch's function is used.
    """
    if not torch.backends.mkldnn.is_available():
        if gelu:
            return lambda rows: functional.gelu(functional.linear(rows, weight, bias))
        return lambda rows: functional.linear(rows, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
    bias = bias.detach()
    after: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")
    return lambda rows: torch.ops.mkldnn._linear_pointwise(rows, packed, bias, *after)


def product(rows: Tensor, others: Tensor) -> Tensor:
    """``rows @ others.T`` of float32 [n, k] and [m, k], for `others` that are used only once."""
    if not torch.backends.mkldnn.is_available():
        return rows @ others.T
    return torch.ops.mkldnn._linear_pointwise(rows, others, None, "none", [], "")
