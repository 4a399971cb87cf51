"""The language model of a run: as it was published, or with a fold's adapter."""

from pathlib import Path

from esm import Alphabet
from esm.model.esm2 import ESM2

from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.weights import Weights
from halo.errors import HaloError
from halo.files import sha256_of_file
from halo.finetuning.adapters import apply


def load_language_model(weights: Weights) -> tuple[ESM2, Alphabet]:
    """The model in float32 and in eval mode; an adapter is merged into its weights.

    HaloError where the checkpoint or the adapter is not the one that `weights` names.
    """
    model, alphabet = load_esm2(Path(weights.path))
    if weights.adapter is None:
        return model, alphabet
    for path, expected in (
        (weights.path, weights.sha256),
        (weights.adapter, weights.adapter_sha256),
    ):
        if sha256_of_file(path) != expected:
            raise HaloError(
                f"{path}: changed since the fine-tuning; put the old file back, or raise "
                "finetune.refresh by one to fine-tune again"
            )
    return apply(model, Path(weights.adapter)), alphabet


def require_layer(model: ESM2, layer: int) -> None:
    """HaloError where the model has no such layer."""
    if not -model.num_layers <= layer <= model.num_layers:
        raise HaloError(
            f"embeddings.layer: {layer}, but the language model has {model.num_layers} layers"
        )
