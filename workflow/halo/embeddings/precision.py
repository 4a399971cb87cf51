"""Which numbers the matrix products are made of."""

import torch

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def matrix_dtype(precision: str, device: str) -> torch.dtype:
    """The dtype that `precision` means on `device`.

    ``auto`` is bfloat16 on a GPU that computes with it (compute capability 8.0 and above), else
    float16 on a GPU, and float32 on a CPU.
    """
    if precision != "auto":
        return getattr(torch, precision)
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16
