"""Mixed precision in training."""

import torch

from halo.device import has_bfloat16


def mixed_precision(device: torch.device, precision: str) -> torch.autocast:
    """Autocast context for matrix products in bfloat16, if `precision` asks for it.

    ``auto`` uses bfloat16 on GPUs that support it (compute capability 8.0 and above).
    """
    half = precision == "bfloat16"
    if precision == "auto":
        half = device.type == "cuda" and has_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
