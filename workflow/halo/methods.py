"""The classes of methods, by the names that the configuration gives them."""

# Trained on graphs and embeddings: the keys of halo.network.classes.
NETWORKS = ("network", "reference", "light_attention", "mean_embedding")
# Made of two others.
CASCADE, AVERAGE = "cascade", "average"
JOINING = (CASCADE, AVERAGE)
# Neither trained nor made of others.
BASELINES = ("majority", "homology")
CLASSES = ("network", "esm", *JOINING, *NETWORKS[1:], *BASELINES)
