"""Settings of the embeddings."""

from dataclasses import dataclass
from typing import Literal

from halo.settings import SHA256, Faults, setting


@dataclass(frozen=True)
class EmbeddingSettings:
    """How proteins are fed to the language model: part of the section ``embeddings``.

    `window` and `overlap` are in residues, `tokens_per_batch` counts padding too.
    """

    layer: int = setting(-1, "layer whose output is used; -1 is the last")
    window: int = setting(
        1022, "residues that the model sees at once; longer proteins are cut into windows", ge=16
    )
    overlap: int = setting(256, "residues that neighbouring windows share; less than window", ge=0)
    tokens_per_batch: int = setting(
        4096,
        "tokens of a batch, padding included; halved by itself where a GPU's memory runs out",
        ge=64,
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto",
        "of the matrix products; auto is bfloat16 (older GPUs float16) on a GPU and float32 on a "
        "CPU",
    )

    def faults(self) -> Faults:
        """What does not fit together."""
        if self.overlap < self.window:
            return []
        return [
            (
                "overlap",
                f"{self.overlap} residues leave nothing new in a window of {self.window}; set "
                f"overlap below window, such as {self.window // 4}",
            )
        ]


@dataclass(frozen=True)
class AdapterSettings:
    """What of a language model is fine-tuned, as in the section ``finetune``.

    `layer` is the one whose states are used.
    """

    layer: int
    method: Literal["lora", "last_layers"]
    rank: int
    alpha: float
    projections: tuple[str, ...]
    last_layers: int


@dataclass(frozen=True)
class LanguageModelSettings:
    """Which language model it is: the other part of the section ``embeddings``."""

    model: str = setting(
        "esm2_t33_650M_UR50D",
        "path of a checkpoint in fair-esm's format, or a published name such as "
        "esm2_t33_650M_UR50D",
        min_length=1,
    )
    sha256: str | None = setting(
        None, "checksum that the checkpoint must have, or null", pattern=SHA256
    )


@dataclass(frozen=True)
class EmbeddingSection(EmbeddingSettings, LanguageModelSettings):
    """The section ``embeddings`` of the configuration."""
