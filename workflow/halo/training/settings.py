"""Settings of the training."""

from dataclasses import dataclass
from typing import Literal

from halo.settings import setting

EXECUTION = ("workers", "cache_gb")  # keys that do not influence the result


@dataclass(frozen=True)
class TrainingSettings:
    """The section ``training`` of the configuration."""

    epochs: int = setting(100, "largest number of epochs", ge=1)
    patience: int = setting(
        15,
        "early stopping: epochs without a better validation macro-F1 (mean of the last five)",
        ge=1,
    )
    warmup_epochs: float = setting(2.0, "epochs of the linear warm-up of the learning rate", ge=0)
    learning_rate: float = setting(1e-3, "highest learning rate of AdamW", gt=0)
    weight_decay: float = setting(0.01, "weight decay of AdamW", ge=0)
    residues_per_batch: int = setting(
        4096, "residues per batch; lower it if memory runs out", ge=64
    )
    longest: int | None = setting(
        None,
        "residues of a protein in training: the middle of longer ones is left out, and both ends "
        "are kept; null for whole proteins. Validation and test always use whole proteins",
        ge=64,
    )
    region_weight: float = setting(
        1.0,
        "weight of the loss of regions beside that of labels (dataset.regions); with 0, no regions "
        "are predicted",
        ge=0,
    )
    group_weight: float = setting(
        1.0,
        "weight of the loss of each further group of labels (dataset.groups) beside that of the "
        "main group",
        ge=0,
    )
    gamma: float = setting(1.0, "exponent of the focal loss; 0 is plain cross-entropy", ge=0)
    structure_dropout: float = setting(
        0.15,
        "fraction of the proteins whose structure is hidden in training (class network)",
        ge=0,
        le=1,
    )
    embedding_dropout: float = setting(
        0.05,
        "fraction of the proteins whose embedding is hidden in training (class network)",
        ge=0,
        le=1,
    )
    threshold_shrinkage: float = setting(
        50.0,
        "shrinkage of thresholds: number of validation proteins with a label at which its "
        "threshold is halfway to that of the other labels",
        ge=0,
    )
    cache_gb: float = setting(4.0, "memory for caching proteins (gigabytes per process)", ge=0)
    workers: int = setting(0, "worker processes that load data; 0: the training process", ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "mixed precision: auto is bfloat16 on GPUs that support it, else float32"
    )
