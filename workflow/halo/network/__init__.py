"""The HALO network: modalities, graph attention, pooling and loss."""
