"""Settings of the training."""

from dataclasses import dataclass
from typing import Literal

from halo.settings import setting


@dataclass(frozen=True)
class TrainingSettings:
    """The section ``training`` of the configuration."""

    epochs: int = setting(100, "passes over the training proteins at most", ge=1)
    patience: int = setting(
        15,
        "passes without a better validation macro-F1 (mean of the last five) after which training "
        "stops",
        ge=1,
    )
    warmup_epochs: float = setting(
        2.0, "passes over which the learning rate grows to its full value", ge=0
    )
    learning_rate: float = setting(1e-3, "learning rate of AdamW at its highest", gt=0)
    weight_decay: float = setting(0.01, "weight decay of AdamW", ge=0)
    residues_per_batch: int = setting(
        4096, "residues of a batch; lower it where memory runs out", ge=64
    )
    gamma: float = setting(1.0, "exponent of the focal loss; 0 is plain cross-entropy", ge=0)
    structure_dropout: float = setting(
        0.15, "share of the proteins whose structure is hidden in training", ge=0, le=1
    )
    embedding_dropout: float = setting(
        0.05, "share of the proteins whose embedding is hidden in training", ge=0, le=1
    )
    threshold_shrinkage: float = setting(
        50.0,
        "validation proteins with a label at which its threshold is half its own and half like "
        "the others'",
        ge=0,
    )
    cache_gb: float = setting(
        4.0, "memory for proteins that were read once (gigabytes a process)", ge=0
    )
    workers: int = setting(0, "processes that read ahead; 0 reads in the training process", ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "of the matrix products; auto is bfloat16 on a GPU that has it, else float32"
    )
