"""Which numbers the matrix products of a training are made of."""

import torch

from halo.device import has_bfloat16


def half_precision(device: torch.device, precision: str) -> torch.autocast:
    """Matrix products in bfloat16 where `precision` says so.

    ``auto``: on a GPU that computes with it (compute capability 8.0 and above).
    """
    half = precision == "bfloat16"
    if precision == "auto":
        half = device.type == "cuda" and has_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
