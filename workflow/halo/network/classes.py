"""Registry of networks by the class of a method in the configuration.

To add a network, write a module with the constructor and outputs of `HaloNetwork` and add it here.
"""

from torch import nn

from halo.network.baselines import LightAttention, MeanEmbedding, ReferenceNetwork
from halo.network.batch import Batch
from halo.network.model import HaloNetwork

NETWORKS: dict[str, type[nn.Module]] = {
    "network": HaloNetwork,
    "reference": ReferenceNetwork,
    "light_attention": LightAttention,
    "mean_embedding": MeanEmbedding,
}


def prepared(network: nn.Module, batch: Batch) -> Batch:
    """Prepare a batch for `network` before the batch is moved to a GPU.

    Shapes that depend on values, such as the number of contact edges, are computed on the CPU,
    which would otherwise have to wait for the GPU.
    """
    prepare = getattr(network, "prepare", None)
    return batch if prepare is None else prepare(batch)
