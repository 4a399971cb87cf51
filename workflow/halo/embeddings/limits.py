"""Check that embeddings are finite numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from halo.errors import HaloError

LARGEST = torch.finfo(torch.float16).max


class NotFinite(Exception):
    """States of sequence `number` of a batch are NaN or infinite."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def require_finite(parts: Sequence[Tensor]) -> None:
    """Raise `NotFinite` if states of a sequence are NaN or infinite."""
    for number, rows in enumerate(parts):
        if not rows.isfinite().all():
            raise NotFinite(number)


def not_finite(name: str, dtype: torch.dtype) -> HaloError:
    """The error for a protein with the hash `name`, computed in `dtype`, with the fix."""
    protein = f"protein {name[:12]}"
    if dtype == torch.float16:
        return HaloError(
            f"{protein}: computing in float16 left its range of {LARGEST:,.0f}; set "
            "embeddings.precision (halo predict: --precision) to float32, or to bfloat16 on a GPU "
            "of compute capability 8.0 and above"
        )
    kind = str(dtype).removeprefix("torch.")
    return HaloError(
        f"{protein}: the language model gives no numbers, in {kind}; the checkpoint is damaged or "
        "no ESM-2, or the GPU is faulty: compare the checkpoint's sha256 with that of another copy"
    )


def as_stored(states: Tensor) -> Tensor:
    """States [..., length, dim] of one protein or several, rounded as stored embeddings are.

    The result is float16, or float32 where float16 cannot represent the states; see
    `halo.embeddings.layout.stored`.
    """
    half = states.half()
    if half.isfinite().all() or not states.isfinite().all():
        return half
    largest = states.float().abs().amax(dim=(-2, -1), keepdim=True)
    scale = torch.exp2(torch.ceil(torch.log2(largest / LARGEST)).clamp(min=0))
    return (states.float() / scale).half().float() * scale
