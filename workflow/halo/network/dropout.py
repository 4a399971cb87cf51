"""Dropout whose random numbers a CPU makes in a tenth of the time that PyTorch's take."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from halo.network.compiled import compiler, splitmix

BITS = 16  # of the random number of a value: shares are multiples of 1 / 65,536


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`; on a CPU in float32 with 16 random bits a value.

    PyTorch draws a number in double precision for each value, one after the other: a tenth of the
    time of a training. The seed is drawn by its generator here as well, so that
    `torch.manual_seed` decides.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Leave out a share of `values`, and scale the others up."""
        is_fast = values.device.type == "cpu" and values.dtype == torch.float32
        if self.training and self.p and is_fast:
            return _Dropout.apply(values, self.p)
        return super().forward(values)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:
        factors = _factors(values.shape, share)
        ctx.save_for_backward(factors)
        return values * factors

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (factors,) = ctx.saved_tensors
        return gradient * factors, None


def _factors(shape: torch.Size, share: float) -> Tensor:
    """0 where a value is left out, and what the others are multiplied with, float32."""
    count = shape.numel()
    factors = torch.empty(4, -(-count // 4))
    seed, threshold = np.uint64(int(torch.randint(2**62, ()))), np.uint64(round(share * 2**BITS))
    _kernel()(seed, threshold, np.float32(1 / (1 - share)), factors.numpy())
    return factors.view(-1)[:count].view(shape)


@lru_cache
def _kernel() -> Callable:
    """Fill factors [4, n]; the four of a column share 64 random bits."""
    last = np.uint64(2**BITS - 1)

    @compiler()
    def fill(seed, threshold, scale, factors):
        for place in range(factors.shape[1]):
            number = splitmix(seed, place)
            for quarter in range(4):
                is_kept = ((number >> np.uint64(BITS * quarter)) & last) >= threshold
                factors[quarter, place] = scale if is_kept else np.float32(0)

    return fill
