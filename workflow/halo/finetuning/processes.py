"""Data-parallel training with the processes of torchrun: one per GPU, or on the CPU for tests.

`torch.nn.parallel.DistributedDataParallel` requires the same number of batches in every process.
Here the batches of a step are distributed over the processes and the gradients are summed, so that
the result does not depend on the number of processes.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from halo.device import choose_device, claim_device
from halo.errors import HaloError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Processes:
    """Rank of this process, and number of processes."""

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.number == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """The `items` of this process."""
        return items[self.number :: self.count]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes (all-reduce)."""
        if self.count > 1:
            tensors = list(tensors)
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            sizes = [tensor.numel() for tensor in tensors]
            for tensor, part in zip(tensors, flat.split(sizes), strict=True):
                tensor.copy_(part.view_as(tensor))

    def barrier(self) -> None:
        """Wait until all processes have reached this barrier."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def processes(wanted: str = "auto") -> Iterator[tuple[Processes, str]]:
    """The processes that torchrun has started, or this single one, and the device of this one.

    `wanted` is as in `halo.device.choose_device`.

    Raises
    ------
    HaloError
        if there are more processes than GPUs
    """
    if not distributed.is_torchelastic_launched():
        yield Processes(), claim_device(wanted)
        return
    device = choose_device(wanted)
    count = int(os.environ["WORLD_SIZE"])
    if device == "cuda":
        _require_gpus(int(os.environ["LOCAL_WORLD_SIZE"]))
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    number = distributed.get_rank()
    if number:
        logging.getLogger("halo").setLevel(logging.WARNING)
    try:
        yield Processes(number, count), device
    finally:
        distributed.destroy_process_group()


def _require_gpus(count: int) -> None:
    """Raise a HaloError if fewer GPUs are visible to this job."""
    visible = torch.cuda.device_count()
    if visible < count:
        raise HaloError(
            f"finetune.gpus is {count}, but this job sees {visible}: lower finetune.gpus, or ask "
            f"for as many (in slurm/profile.yaml, set-resources: finetune: gpu: {count})"
        )
