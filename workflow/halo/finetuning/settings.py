"""Settings of the fine-tuning."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FinetuneSettings:
    """See ``finetune`` in the configuration.

    `accumulate` batches of `tokens_per_batch` tokens make one step of the optimizer. They are
    dealt to the processes, so that several GPUs give the result of one, sooner.
    """

    method: str = "lora"
    rank: int = 8
    alpha: float = 16.0
    projections: tuple[str, ...] = ("query", "value")
    last_layers: int = 2
    pooling_heads: int = 4
    hidden: int = 256
    dropout: float = 0.2
    epochs: int = 10
    patience: int = 3
    warmup: float = 0.1
    schedule: str = "cosine"
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    tokens_per_batch: int = 8192
    accumulate: int = 2
    gamma: float = 1.0
    threshold_shrinkage: float = 50.0
    precision: str = "auto"
    checkpointing: bool = False
