"""Settings of the fine-tuning."""

from dataclasses import dataclass
from typing import Literal

from halo.embeddings.settings import AdapterSettings
from halo.settings import setting


@dataclass(frozen=True)
class FinetuneSettings:
    """Keys of the section ``finetune`` that a fine-tuned model depends on.

    One step of the optimizer uses `accumulate` batches of `tokens_per_batch` tokens. They are
    distributed over the processes; the number of GPUs does not change the result.
    """

    method: Literal["lora", "last_layers"] = setting(
        "lora", "train low-rank adapters of all layers (LoRA), or all weights of the last layers"
    )
    rank: int = setting(8, "rank of the adapters", ge=1)
    alpha: float = setting(
        16.0,
        "scale of the adapters; their updates are multiplied by alpha / rank",
        gt=0,
    )
    projections: tuple[Literal["query", "key", "value", "output", "up", "down"], ...] = setting(
        ("query", "value"),
        "linear modules of a layer with an adapter: query, key, value, output (attention), up, "
        "down (feed-forward)",
        min_length=1,
        unique=True,
    )
    last_layers: int = setting(2, "number of trained layers (method last_layers)", ge=1)
    pooling_heads: int = setting(4, "heads of the attention pooling", ge=1)
    hidden: int = setting(256, "width of the head's hidden layer", ge=1)
    dropout: float = setting(0.2, "dropout of that layer in training", ge=0, lt=1)
    epochs: int = setting(10, "largest number of epochs", ge=1)
    patience: int = setting(
        3,
        "early stopping: epochs without a better validation macro-F1 (mean of the last five)",
        ge=1,
    )
    warmup: float = setting(
        0.1,
        "linear warm-up of the learning rate, as a fraction of all steps",
        ge=0,
        lt=1,
    )
    schedule: Literal["cosine", "linear"] = setting(
        "cosine", "decay of the learning rate after the warm-up"
    )
    learning_rate: float = setting(3e-4, "highest learning rate of the adapters or layers", gt=0)
    head_learning_rate: float = setting(1e-3, "highest learning rate of the head", gt=0)
    weight_decay: float = setting(0.01, "weight decay of AdamW", ge=0)
    tokens_per_batch: int = setting(
        8192, "tokens per batch, including padding; lower it if memory runs out", ge=64
    )
    accumulate: int = setting(
        2, "gradient accumulation: batches per step, preferably a multiple of gpus", ge=1
    )
    gamma: float = setting(1.0, "exponent of the focal loss; 0 is plain cross-entropy", ge=0)
    threshold_shrinkage: float = setting(
        50.0,
        "shrinkage of thresholds: number of validation proteins with a label at which its "
        "threshold is halfway to that of the other labels",
        ge=0,
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "mixed precision in training (embeddings.precision applies to scoring); auto is bfloat16 "
        "on GPUs that support it, else float32",
    )
    checkpointing: bool = setting(
        False,
        "gradient checkpointing: recompute layers in the backward pass; saves memory and costs a "
        "third of the speed",
    )

    def adapter(self, layer: int) -> AdapterSettings:
        """What of a language model is trained whose states of `layer` are used."""
        return AdapterSettings(
            layer, self.method, self.rank, self.alpha, self.projections, self.last_layers
        )


@dataclass(frozen=True)
class WhetherFinetuned:
    """Whether the language model is fine-tuned."""

    model: Literal["pretrained", "finetuned"] = setting(
        "pretrained",
        "embed with the pretrained language model, or with one fine-tuned on each fold's training "
        "proteins",
    )


@dataclass(frozen=True)
class FinetuneJob:
    """Keys of the section ``finetune`` that do not influence the model."""

    gpus: int = setting(1, "GPUs per job; they do not influence the result", ge=1)
    save_minutes: float = setting(
        10.0,
        "minutes between checkpoints, from which an interrupted job is resumed",
        ge=0,
    )
    keep_embeddings: bool = setting(
        True, "whether a fold's embeddings are kept in the store after its methods are trained"
    )
    refresh: int = setting(
        0,
        "a fine-tuned model is not repeated when the proteins change; raise this number to repeat "
        "it",
        ge=0,
    )


@dataclass(frozen=True)
class FinetuneSection(FinetuneJob, FinetuneSettings, WhetherFinetuned):
    """The section ``finetune`` of the configuration."""
