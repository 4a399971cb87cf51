"""Load the language model of a run: pretrained, or with the adapter of a fold."""

from functools import lru_cache
from pathlib import Path

from esm import Alphabet
from esm.model.esm2 import ESM2

from halo.embeddings.adapter_file import apply
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.hub import digest_of
from halo.embeddings.known_states import require_known_states
from halo.embeddings.weights import Weights
from halo.errors import HaloError
from halo.files import listing_digest


def load_language_model(weights: Weights) -> tuple[ESM2, Alphabet]:
    """The model in float32 and in eval mode, with the adapter merged into its weights.

    Raises
    ------
    HaloError
        if the checkpoint or the adapter is not the one of `weights`, or the checkpoint has the name
        of a published model and other states
    """
    _require_same(weights.path, weights.sha256, "it was found", "run again")
    model, alphabet = load_esm2(Path(weights.path))
    require_known_states(model, alphabet, weights.name, weights.path)
    if weights.adapter is None:
        return model, alphabet
    _require_same(
        weights.adapter,
        weights.adapter_sha256,
        "the fine-tuning",
        "raise finetune.refresh by one to fine-tune again",
    )
    return apply(model, Path(weights.adapter)), alphabet


def require_layer(model: ESM2, layer: int) -> None:
    """Raise a HaloError if the model has no such layer."""
    if not -model.num_layers <= layer <= model.num_layers:
        raise HaloError(
            f"embeddings.layer: {layer}, but the language model has {model.num_layers} layers"
        )


def _require_same(path: str, sha256: str | None, since: str, fix: str) -> None:
    if not Path(path).exists():
        raise HaloError(f"{path}: there is no such file any more; put it back, or {fix}")
    if _sha256(path, listing_digest([Path(path)])) != sha256:
        raise HaloError(f"{path}: changed since {since}; put the old file back, or {fix}")


@lru_cache(maxsize=64)
def _sha256(path: str, listing: str) -> str:
    return digest_of(Path(path))
