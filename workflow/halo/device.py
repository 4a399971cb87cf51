"""The processor that a job computes on: whether there is a GPU, and what its memory holds."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from halo.errors import HaloError

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Movable = TypeVar("Movable")

DEVICES = ("auto", "cuda", "cpu")
BFLOAT16_FROM = (8, 0)  # compute capability; older GPUs emulate it, far slower than float16
DRIVER = Path("/dev/nvidiactl")
# How CUDA's libraries say that the memory ran out where it is no `torch.OutOfMemoryError`.
OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)


def choose_device(wanted: str = "auto") -> str:
    """``cpu`` or ``cuda``, as `wanted` says; ``auto`` is a GPU where there is one.

    HaloError where ``cuda`` is wanted and cannot be used: why, and what to do.
    """
    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    reason = _no_gpu()
    if wanted == "cuda":
        raise HaloError(
            f"a GPU is required (device: cuda), but {reason}. Without a GPU set device: cpu"
        )
    if DRIVER.exists():
        log.warning("this machine has a GPU, but %s; it is computed on the CPU", reason)
    return "cpu"


def _no_gpu() -> str:
    if torch.version.cuda is None and torch.version.hip is None:
        return (
            f"PyTorch {torch.__version__} is a build for CPUs: install one for CUDA "
            "(requirements/torch.txt, or the rule's conda environment on a machine with a GPU)"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        return "CUDA_VISIBLE_DEVICES hides every GPU: ask for one (in Slurm: --gres=gpu:1)"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        return f"the driver cannot be used ({first}): see what nvidia-smi says on this machine"
    return "there is none on this machine: ask for one (in Slurm: --gres=gpu:1)"


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether a GPU computes in bfloat16 itself.

    PyTorch's ``is_bf16_supported`` is true for those too that emulate it (T4, V100, RTX 20).
    """
    return torch.cuda.get_device_capability(device) >= BFLOAT16_FROM


def moved(data: Movable, device: torch.device | str) -> Movable:
    """A tensor or a batch on the device; the CPU does not wait until a GPU has it."""
    if torch.device(device).type == "cpu":
        return data
    return data.pin_memory().to(device, non_blocking=True)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the GPU's memory ran out."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def within_memory(work: Callable[[], Result]) -> Result | None:
    """What `work` gives, or None where the GPU's memory ran out; what it held is then free."""
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Only here: as long as the error is handled, its traceback holds the tensors of `work`.
    torch.cuda.empty_cache()
    return None


@contextmanager
def needing_memory(what: str, fix: str) -> Iterator[None]:
    """HaloError that says `what` the GPU's memory does not hold, and the `fix`."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise HaloError(f"the GPU's memory{_memory()} does not hold {what}; {fix}") from None


def _memory() -> str:
    """How much memory the GPU has and how much of it is free, as a part of a sentence."""
    try:
        free, total = torch.cuda.mem_get_info()
    except (RuntimeError, AssertionError):
        return ""
    return f" ({total / 1e9:.1f} GB, {free / 1e9:.1f} GB of it free)"
