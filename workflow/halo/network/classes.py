"""The networks by the name that the configuration gives a method's class."""

from torch import nn

from halo import methods
from halo.network.batch import Batch

NETWORKS: dict[str, type[nn.Module]] = {name: methods.load(name) for name in methods.NETWORKS}


def prepared(network: nn.Module, batch: Batch) -> Batch:
    """Prepare a batch for `network` before the batch is moved to a GPU.

    Shapes that depend on values, such as the number of contact edges, are computed on the CPU,
    which would otherwise have to wait for the GPU.
    """
    prepare = getattr(network, "prepare", None)
    return batch if prepare is None else prepare(batch)
