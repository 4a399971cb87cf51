"""Check that embeddings are in the range of float16, in which they are stored."""

from collections.abc import Sequence

import torch
from torch import Tensor

from halo.errors import HaloError

LARGEST = torch.finfo(torch.float16).max


class OutOfRange(Exception):
    """States of sequence `number` of a batch are NaN or infinite, or (`finite`) too large."""

    def __init__(self, number: int, finite: bool) -> None:
        super().__init__(number, finite)
        self.number = number
        self.finite = finite


def require_in_range(checked: Sequence[bool], parts: Sequence[Tensor]) -> None:
    """Raise `OutOfRange` unless `checked`, whether states are finite before and in float16.

    `parts` are the states of each sequence, float16 [length, dim].
    """
    finite, in_half = checked
    if in_half:
        return
    number = next(n for n, rows in enumerate(parts) if not rows.isfinite().all())
    raise OutOfRange(number, finite)


def out_of_range(name: str, finite: bool, dtype: torch.dtype, is_last: bool) -> HaloError:
    """The error for a protein whose states are out of range, with the fix.

    Parameters
    ----------
    name : hash of the protein
    finite : whether the states are finite, but too large for float16
    dtype : dtype of the matrix products
    is_last : whether the states are those of the last layer, which ESM-2 normalizes
    """
    protein = f"protein {name[:12]}"
    damaged = (
        "the checkpoint is damaged or no ESM-2, or the GPU is faulty: compare the checkpoint's "
        "sha256 with that of another copy"
    )
    if finite and is_last:
        return HaloError(
            f"{protein}: an embedding is beyond {LARGEST:,.0f}, what float16 holds, in which it is "
            f"stored; the last layer of ESM-2 stays far below: {damaged}"
        )
    if finite:
        return HaloError(
            f"{protein}: an embedding is beyond {LARGEST:,.0f}, what float16 holds, in which it is "
            "stored, and no precision changes that; set embeddings.layer to -1, the last layer, "
            "which is normalized"
        )
    if dtype == torch.float16:
        return HaloError(
            f"{protein}: computing in float16 left its range of {LARGEST:,.0f}; set "
            "embeddings.precision (halo predict: --precision) to float32, or to bfloat16 on a GPU "
            "of compute capability 8.0 and above"
        )
    kind = str(dtype).removeprefix("torch.")
    return HaloError(f"{protein}: the language model gives no numbers, in {kind}; {damaged}")
