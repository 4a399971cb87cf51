"""Choose the device of a job, and handle GPUs that run out of memory."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import torch
from torch import Tensor

from halo.errors import HaloError

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Movable = TypeVar("Movable", Tensor, Any)  # a tensor, or what has its methods

BFLOAT16_FROM = (8, 0)  # compute capability; older GPUs emulate it, far slower than float16
DRIVER = Path("/dev/nvidiactl")
# Messages of CUDA libraries for exhausted memory, other than `torch.OutOfMemoryError`.
OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)


def choose_device(wanted: str = "auto") -> str:
    """``cpu`` or ``cuda``; ``auto`` is a GPU if one is available.

    Raises
    ------
    HaloError
        if ``cuda`` is required and cannot be used; names the cause and the fix
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
        log.warning("this machine has a GPU, but %s; using the CPU", reason)
    return "cpu"


def claim_device(wanted: str = "auto") -> str:
    """As `choose_device`; on a machine with several GPUs, one that no other job has claimed.

    The claim is a lock on a file in the temporary directory, for the jobs of one user on this
    machine, until the process ends. If all visible GPUs are claimed, the first is used.
    """
    device = choose_device(wanted)
    if device == "cuda" and torch.cuda.device_count() > 1 and not _claims:
        _claim_gpu(torch.cuda.device_count())
    return device


_claims: list[TextIO] = []  # locked files of this process


def _claim_gpu(count: int) -> None:
    """Make the first of `count` GPUs that is not claimed the current one."""
    for number in range(count):
        # The UUID, since each job may number the GPUs that it sees in its own way.
        name = torch.cuda.get_device_properties(number).uuid
        path = Path(tempfile.gettempdir(), f"halo-gpu-{os.getuid()}-{name}.lock")
        file = path.open("w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _claims.append(file)
        torch.cuda.set_device(number)
        log.info("GPU %s of %s", number, count)
        return
    log.warning("all %s GPUs are used by other jobs of yours; this one uses the first", count)


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
    """Whether a GPU has hardware support for bfloat16.

    PyTorch's ``is_bf16_supported`` is also true for GPUs that emulate it (T4, V100, RTX 20).
    """
    return torch.cuda.get_device_capability(device) >= BFLOAT16_FROM


def moved(data: Movable, device: torch.device | str) -> Movable:
    """Move a tensor or a batch to the device, asynchronously for a GPU."""
    if torch.device(device).type == "cpu":
        return data
    return data.pin_memory().to(device, non_blocking=True)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the GPU ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def within_memory(work: Callable[[], Result]) -> Result | None:
    """Result of `work`; None if the GPU ran out of memory, which is then freed."""
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Not within the except block, where the traceback still references the tensors of `work`.
    torch.cuda.empty_cache()
    return None


@contextmanager
def needing_memory(what: str, fix: str) -> Iterator[None]:
    """Convert an out-of-memory error to a HaloError with `what` does not fit, and the `fix`."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise HaloError(f"the GPU's memory{_memory()} is too small for {what}; {fix}") from None


def _memory() -> str:
    """Total and free memory of the GPU, as a part of a message."""
    try:
        free, total = torch.cuda.mem_get_info()
    except (RuntimeError, AssertionError):
        return ""
    return f" ({total / 1e9:.1f} GB, {free / 1e9:.1f} GB of it free)"
