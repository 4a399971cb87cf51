"""Classes of methods, by their names in the configuration."""

# Trained on graphs and embeddings: the keys of halo.network.classes.
NETWORKS = ("network", "reference", "light_attention", "mean_embedding")
# Combinations of two other methods.
CASCADE, AVERAGE = "cascade", "average"
JOINING = (CASCADE, AVERAGE)
# Neither trained nor combined.
BASELINES = ("majority", "homology")
CLASSES = ("network", "esm", *JOINING, *NETWORKS[1:], *BASELINES)
