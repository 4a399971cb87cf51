"""Load the language model of a run: pretrained, or with the adapter of a fold."""

from pathlib import Path

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2

from halo.embeddings.adapter_file import apply
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.hub import require_same
from halo.embeddings.known_states import require_known_states
from halo.embeddings.packed import PackedEncoder
from halo.embeddings.padded import PaddedEncoder
from halo.embeddings.weights import Weights
from halo.errors import HaloError


def encoder(
    weights: Weights, layer: int, device: str, dtype: torch.dtype
) -> PackedEncoder | PaddedEncoder:
    """HALO's encoder of ESM-2, ESM-1b and ESM-1v for a device."""
    model, alphabet = load_language_model(weights)
    require_layer(model.num_layers, layer)
    if device == "cpu" and dtype == torch.float32:
        return PackedEncoder(model, alphabet, layer)
    return PaddedEncoder(model, alphabet, layer, device, dtype)


def load_language_model(weights: Weights) -> tuple[ESM2, Alphabet]:
    """The model in float32 and in eval mode, with the adapter merged into its weights.

    Raises
    ------
    HaloError
        if the checkpoint or the adapter is not the one of `weights`, or the checkpoint has the name
        of a published model and other states
    """
    require_same(weights.path, weights.sha256, "it was found", "run again")
    model, alphabet = load_esm2(Path(weights.path))
    require_known_states(model, alphabet, weights.name, weights.path)
    if weights.adapter is None:
        return model, alphabet
    require_same(
        weights.adapter,
        weights.adapter_sha256,
        "the fine-tuning",
        "raise finetune.refresh by one to fine-tune again",
    )
    return apply(model, Path(weights.adapter)), alphabet


def require_layer(layers: int, layer: int) -> None:
    """Raise a HaloError if a model with so many layers has no such layer."""
    if not -layers <= layer <= layers:
        raise HaloError(f"embeddings.layer: {layer}, but the language model has {layers} layers")
