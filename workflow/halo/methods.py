"""The classes of methods: the one place where a method is registered.

A class has a name, which the configuration uses, and the object that makes it: the class of a
network, or the function of a baseline. The object is named and not imported, so that the names load
no PyTorch; a rule adds its module to the digest of its code.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

# Trained on graphs and embeddings.
NETWORKS = {
    "network": "halo.network.model:HaloNetwork",
    "reference": "halo.network.baselines:ReferenceNetwork",
    "light_attention": "halo.network.baselines:LightAttention",
    "mean_embedding": "halo.network.baselines:MeanEmbedding",
}
# Networks that also predict regions, if the data set has them.
WITH_REGIONS = ("network",)
# Neither trained nor made of others.
BASELINES = {
    "majority": "halo.baselines.methods:majority",
    "homology": "halo.baselines.methods:homology",
}
# Searched among the mean embeddings of the training proteins.
NEIGHBOURS = {"nearest_neighbour": "halo.baselines.neighbours:nearest_neighbour"}
# Made of two others.
CASCADE, AVERAGE = "cascade", "average"
JOINING = (CASCADE, AVERAGE)
CLASSES = tuple(dict.fromkeys(("network", "esm", *JOINING, *NETWORKS, *NEIGHBOURS, *BASELINES)))


def load(method_class: str) -> Any:
    """The network's class or the baseline's function; KeyError for what has none."""
    module, _, name = (NETWORKS | NEIGHBOURS | BASELINES)[method_class].partition(":")
    return getattr(import_module(module), name)


def modules_of(classes: Iterable[str]) -> list[str]:
    """Modules of these classes, each once."""
    places = NETWORKS | NEIGHBOURS | BASELINES
    return sorted(
        {
            places[method_class].partition(":")[0]
            for method_class in classes
            if method_class in places
        }
    )
