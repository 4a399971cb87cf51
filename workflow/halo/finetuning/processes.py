"""One process or several, as torchrun starts them: one a GPU, or on the CPU for tests.

`torch.nn.parallel.DistributedDataParallel` wants every process to have as many batches as the
others. Here the batches of a step are dealt out, however many there are, and what they give is
added up: the result does not depend on the number of processes.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from halo.device import choose_device
from halo.errors import HaloError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Processes:
    """Number of this process, and how many there are."""

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.number == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Those of `items` that this process has to do."""
        return items[self.number :: self.count]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.count > 1:
            tensors = list(tensors)
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            sizes = [tensor.numel() for tensor in tensors]
            for tensor, part in zip(tensors, flat.split(sizes), strict=True):
                tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def processes(wanted: str = "auto") -> Iterator[tuple[Processes, str]]:
    """The processes that torchrun has started, or this one alone, and this one's device.

    `wanted` is as `halo.device.choose_device` has it. HaloError where there are more processes
    than GPUs.
    """
    device = choose_device(wanted)
    if not distributed.is_torchelastic_launched():
        yield Processes(), device
        return
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
    """HaloError where this job sees fewer GPUs than that."""
    found = torch.cuda.device_count()
    if found < count:
        raise HaloError(
            f"finetune.gpus is {count}, but this job sees {found}: lower finetune.gpus, or ask for "
            f"as many (in slurm/profile.yaml, set-resources: finetune: gpu: {count})"
        )
