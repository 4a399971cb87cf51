"""Precision of matrix products in embeddings."""

import logging

import torch

from halo.device import has_bfloat16

log = logging.getLogger(__name__)


def matrix_dtype(precision: str, device: str) -> torch.dtype:
    """The dtype of `precision` on `device`.

    ``auto`` is bfloat16 on GPUs that support it (compute capability 8.0 and above), float16 on
    other GPUs, and float32 on a CPU.
    """
    if precision == "auto":
        if device == "cpu":
            return torch.float32
        return torch.bfloat16 if has_bfloat16(device) else torch.float16
    if precision == "bfloat16" and device != "cpu" and not has_bfloat16(device):
        log.warning("this GPU only emulates bfloat16: float16 is faster on it, or auto")
    return getattr(torch, precision)
