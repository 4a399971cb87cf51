"""The networks by the name that the configuration gives a method's class.

A new one is a module with the constructor and the outputs of `HaloNetwork` and a line here.
"""

from torch import nn

from halo.network.baselines import LightAttention, MeanEmbedding, ReferenceNetwork
from halo.network.model import HaloNetwork

NETWORKS: dict[str, type[nn.Module]] = {
    "network": HaloNetwork,
    "reference": ReferenceNetwork,
    "light_attention": LightAttention,
    "mean_embedding": MeanEmbedding,
}
