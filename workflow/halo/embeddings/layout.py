"""What a store of embeddings holds, and what its fingerprint stands for."""

from typing import Any

from halo.code import code_digest
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import Weights
from halo.store import Array, Layout

# Not the encoders: they differ by rounding alone, which a test holds them to.
CONTENT_MODULES = (
    "halo.embeddings.checkpoint",
    "halo.embeddings.tokens",
    "halo.embeddings.windows",
)
ADAPTER_MODULES = ("halo.finetuning.adapters",)


# One row a residue, float16 [length, dim]; none is cut off.
LAYOUT = Layout({"residues": Array("float16", None)})


def description(weights: Weights, settings: EmbeddingSettings) -> dict[str, Any]:
    """What the content of the store depends on."""
    modules = CONTENT_MODULES + (ADAPTER_MODULES if weights.adapter else ())
    return {
        "kind": "embeddings",
        "sha256": weights.sha256,
        "adapter": weights.adapter_sha256,
        "layer": settings.layer,
        "window": settings.window,
        "overlap": settings.overlap,
        "precision": settings.precision,
        "code": code_digest(*modules),
    }
