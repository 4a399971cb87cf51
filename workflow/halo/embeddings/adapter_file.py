"""A fine-tuned language model on disk: ``adapter.safetensors``, and ``adapter.json`` beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from esm.model.esm2 import ESM2
from pydantic import Field, FiniteFloat
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from halo.embeddings.adapters import adapt, merge
from halo.embeddings.settings import AdapterSettings
from halo.errors import HaloError
from halo.tensors import require_readable
from halo.typed_json import LabelSet, Versioned, read_typed

NAME = "adapter.json"
FORMAT = 1  # files of HALO before 0.1.0 are the same without the number
FORMAT_GROUPS = 2  # with further groups of labels
FIX = "raise finetune.refresh by one to fine-tune it again"


class AdapterDescription(Versioned):
    """The content of ``adapter.json``.

    Attributes
    ----------
    model, sha256
        The language model that was fine-tuned.
    proteins, examples
        How many it was fine-tuned on, by part, and a digest of them.
    layer, window, overlap, precision
        How proteins are fed to it, see `halo.embeddings.settings.EmbeddingSettings`.
    groups
        Task and labels of further groups of labels.
    settings, code
        Settings of the fine-tuning, and the digest of its code.
    adapted
        What of it was trained.
    dim
        Width of its states.
    thresholds
        Of the probabilities of its head, by label.
    parameters, epochs, best_epoch
        Number of trainable parameters, epochs that were trained, the one that was kept.
    """

    model: str
    sha256: str
    task: Literal["multilabel", "singlelabel"]
    labels: Annotated[list[str], Field(min_length=1)]
    groups: dict[str, LabelSet] | None = None
    proteins: dict[str, int]
    examples: str
    seed: int
    layer: int
    window: int
    overlap: int
    precision: str
    settings: dict[str, Any]
    code: str
    adapted: AdapterSettings
    dim: Annotated[int, Field(gt=0, le=1 << 14)]
    thresholds: dict[str, FiniteFloat]
    parameters: int
    epochs: int
    best_epoch: int


def format_of(groups: Mapping[str, Any] | None) -> int:
    """Format of a file with these further groups of labels."""
    return FORMAT_GROUPS if groups else FORMAT


def read_adapter(file: Path) -> AdapterDescription:
    """Read ``adapter.json``; HaloError if it is damaged or of another format."""
    formats = (FORMAT, FORMAT_GROUPS)
    return read_typed(Path(file), AdapterDescription, formats, FIX, unnumbered=FORMAT)


def apply(model: ESM2, adapter: Path) -> ESM2:
    """`model` with the adapter of ``adapter.safetensors`` merged into its weights.

    HaloError if a file is damaged or belongs to another model.
    """
    adapter = Path(adapter)
    parameters = adapt(model, read_adapter(adapter.with_suffix(".json")).adapted)
    require_readable(adapter)
    try:
        tensors = load_file(adapter)
        _copy(tensors, parameters)
    except (SafetensorError, OSError, ValueError) as error:
        raise HaloError(
            f"{adapter}: damaged, or not an adapter of this language model ({error}); {FIX}"
        ) from None
    return merge(model)


@torch.no_grad()
def _copy(tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]) -> None:
    if tensors.keys() != parameters.keys():
        name = min(tensors.keys() ^ parameters.keys())
        raise ValueError(f"{name} is in one of them only")
    for name, parameter in parameters.items():
        if parameter.shape != tensors[name].shape:
            raise ValueError(f"{name} has another shape")
        parameter.copy_(tensors[name])
