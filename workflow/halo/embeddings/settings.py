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
        "precision of matrix products; auto is bfloat16 on GPUs and CPUs that support it, else "
        "float16 on a GPU and float32 on a CPU",
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
    """The language model, or its embeddings: the other part of the section ``embeddings``."""

    source: Literal["model", "file"] = setting(
        "model",
        "model: embeddings are computed with a language model; file: they are read from path",
    )
    path: str | None = setting(
        None,
        "with source: file, an HDF5 file of residue embeddings, or a folder of .npy or .pt files, "
        "such as embeddings/{id}.npy",
        min_length=1,
    )
    made_by: str | None = setting(
        None,
        "with source: file, the name of the language model that made them, such as prot_t5_xl_u50",
        min_length=1,
    )
    model: str = setting(
        "esm2_t33_650M_UR50D",
        "published name of an ESM-2, path of a file in fair-esm's format or of a folder in Hugging "
        "Face's, or organization/name in the cache of Hugging Face",
        min_length=1,
    )
    sha256: str | None = setting(
        None, "checksum that the checkpoint must have, or null", pattern=SHA256
    )


@dataclass(frozen=True)
class EmbeddingSection(EmbeddingSettings, LanguageModelSettings):
    """The section ``embeddings`` of the configuration."""

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
        found = super().faults()
        if self.source == "file":
            if self.path is None:
                found.append(("path", "needed with source: file; give the file of embeddings"))
            if self.made_by is None:
                found.append(
                    ("made_by", "needed with source: file; name the model that made the embeddings")
                )
            return found
        for key, value in (("path", self.path), ("made_by", self.made_by)):
            if value is not None:
                found.append((key, "belongs to embeddings of a file; set source: file, too"))
        return found
