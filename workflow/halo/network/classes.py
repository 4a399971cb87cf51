"""The networks by the name that the configuration gives a method's class.

A new one is a module with the constructor and the outputs of `HaloNetwork` and a line here.
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
    """What `network` reads of a batch, made before the batch is moved to a GPU.

    What depends on the data's own values, the number of edges of a kind, is done there: on the
    GPU the CPU would have to wait for it.
    """
    prepare = getattr(network, "prepare", None)
    return batch if prepare is None else prepare(batch)
