"""Which numbers the matrix products of a training are made of."""

import torch


def half_precision(device: torch.device, precision: str) -> torch.autocast:
    """Matrix products in bfloat16 where `precision` says so; ``auto``: on a GPU that has it."""
    half = precision == "bfloat16"
    if precision == "auto":
        half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
