"""Settings of the fine-tuning."""

from dataclasses import dataclass
from typing import Literal

from halo.embeddings.settings import AdapterSettings
from halo.settings import setting


@dataclass(frozen=True)
class FinetuneSettings:
    """What a fine-tuned model depends on: part of the section ``finetune``.

    `accumulate` batches of `tokens_per_batch` tokens make one step of the optimizer. They are
    dealt to the processes, so that several GPUs give the result of one, sooner.
    """

    method: Literal["lora", "last_layers"] = setting(
        "lora", "train low-rank adapters of all layers (LoRA), or the last layers themselves"
    )
    rank: int = setting(8, "rank of the adapters", ge=1)
    alpha: float = setting(
        16.0,
        "scale of the adapters; their change of a weight is multiplied by alpha / rank",
        gt=0,
    )
    projections: tuple[Literal["query", "key", "value", "output", "up", "down"], ...] = setting(
        ("query", "value"),
        "parts of a layer that get an adapter, of query, key, value, output (attention), up and "
        "down (feed-forward)",
        min_length=1,
        unique=True,
    )
    last_layers: int = setting(2, "number of layers that are trained (method last_layers)", ge=1)
    pooling_heads: int = setting(4, "heads of the attention that pools residues to a protein", ge=1)
    hidden: int = setting(256, "width of the head's hidden layer", ge=1)
    dropout: float = setting(0.2, "share of that layer that is dropped in training", ge=0, lt=1)
    epochs: int = setting(10, "passes over the training proteins at most", ge=1)
    patience: int = setting(
        3,
        "passes without a better validation macro-F1 (mean of the last five) after which it stops",
        ge=1,
    )
    warmup: float = setting(
        0.1,
        "share of all steps over which the learning rate grows to its full value",
        ge=0,
        lt=1,
    )
    schedule: Literal["cosine", "linear"] = setting("cosine", "how it falls to zero afterwards")
    learning_rate: float = setting(
        3e-4, "learning rate of the adapters or layers at its highest", gt=0
    )
    head_learning_rate: float = setting(1e-3, "learning rate of the head at its highest", gt=0)
    weight_decay: float = setting(0.01, "weight decay of AdamW", ge=0)
    tokens_per_batch: int = setting(
        8192, "tokens of a batch, padding included; lower it where memory runs out", ge=64
    )
    accumulate: int = setting(
        2, "batches whose gradients make one step; best a multiple of gpus", ge=1
    )
    gamma: float = setting(1.0, "exponent of the focal loss; 0 is plain cross-entropy", ge=0)
    threshold_shrinkage: float = setting(
        50.0,
        "validation proteins with a label at which its threshold is half its own and half like "
        "the others'",
        ge=0,
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "numbers in the language model in training (it is scored as embeddings.precision says); "
        "auto is bfloat16 on a GPU that has it, else float32",
    )
    checkpointing: bool = setting(
        False,
        "compute layers twice instead of keeping their states; saves memory, costs a third of the "
        "speed",
    )

    def adapter(self, layer: int) -> AdapterSettings:
        """What of a language model is trained whose states of `layer` are used."""
        return AdapterSettings(
            layer, self.method, self.rank, self.alpha, self.projections, self.last_layers
        )


@dataclass(frozen=True)
class WhetherFinetuned:
    """Whether there is a fine-tuning at all."""

    model: Literal["pretrained", "finetuned"] = setting(
        "pretrained",
        "embed with the language model as it was published, or fine-tuned on each fold's training "
        "proteins",
    )


@dataclass(frozen=True)
class FinetuneJob:
    """How the job runs, which the model does not depend on."""

    gpus: int = setting(
        1, "GPUs of a job; they change the time that it takes and nothing else", ge=1
    )
    save_minutes: float = setting(
        10.0,
        "minutes after which the state is saved, from which a job that was ended goes on",
        ge=0,
    )
    keep_embeddings: bool = setting(
        True, "whether a fold's embeddings stay in the store when its methods are trained"
    )
    refresh: int = setting(
        0,
        "a fine-tuned model stays as it is when the proteins change; raise this number to make it "
        "anew",
        ge=0,
    )


@dataclass(frozen=True)
class FinetuneSection(FinetuneJob, FinetuneSettings, WhetherFinetuned):
    """The section ``finetune`` of the configuration."""
