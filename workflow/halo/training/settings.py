"""Settings of the training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """See ``training`` in the configuration."""

    epochs: int = 100
    patience: int = 15
    warmup_epochs: float = 2.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    residues_per_batch: int = 4096
    gamma: float = 1.0
    structure_dropout: float = 0.15
    embedding_dropout: float = 0.05
    threshold_shrinkage: float = 50.0
    cache_gb: float = 4.0
    workers: int = 0
    precision: str = "auto"
