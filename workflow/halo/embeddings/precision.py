"""Precision of matrix products in embeddings."""

import logging

import torch

from halo import machine
from halo.device import has_bfloat16

log = logging.getLogger(__name__)

# Instruction sets with which a CPU multiplies matrices of bfloat16 faster than of float32.
CPU_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def matrix_dtype(precision: str, device: str) -> torch.dtype:
    """The dtype of `precision` on `device`.

    ``auto`` is bfloat16 on GPUs that support it (compute capability 8.0 and above) and float16 on
    other GPUs; bfloat16 on CPUs with AMX or AVX512-BF16 and float32 on other CPUs.
    """
    if precision == "auto":
        if device != "cpu":
            return torch.bfloat16 if has_bfloat16(device) else torch.float16
        found = [name for name in CPU_BFLOAT16 if name in machine.cpu_flags()]
        if not found:
            return torch.float32
        log.info(
            "embeddings are computed in bfloat16, which this CPU supports (%s); for float32 set "
            "embeddings.precision",
            found[0],
        )
        return torch.bfloat16
    if precision == "bfloat16" and device != "cpu" and not has_bfloat16(device):
        log.warning("this GPU only emulates bfloat16: float16 is faster on it, or auto")
    return getattr(torch, precision)
