"""Settings of the embeddings."""

from dataclasses import dataclass
from typing import Literal

from halo.settings import SHA256, Faults, setting


@dataclass(frozen=True)
class EmbeddingSettings:
    """Computation of embeddings: part of the section ``embeddings``.

    `window` and `overlap` are in residues; `tokens_per_batch` includes padding.
    """

    layer: int = setting(-1, "layer of the embeddings; -1 is the last")
    window: int = setting(
        1022, "window size (residues); longer proteins are divided into overlapping windows", ge=16
    )
    overlap: int = setting(256, "smallest overlap of windows (residues); less than window", ge=0)
    tokens_per_batch: int = setting(
        4096,
        "tokens per batch, including padding; halved automatically if a GPU runs out of memory",
        ge=64,
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto",
        "precision of matrix products; auto is bfloat16 (float16 on older GPUs) on a GPU, and "
        "float32 on a CPU",
    )

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
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
    """The language model: the other part of the section ``embeddings``."""

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
