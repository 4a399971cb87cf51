"""Layout and fingerprint of the store of embeddings."""

from typing import Any

from halo.code_digest import code_digest
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import Weights
from halo.layout import Array, Layout
from halo.store import store_name

CONTENT_MODULES = (
    "halo.embeddings.esm2",
    "halo.embeddings.packed",
    "halo.embeddings.padded",
    "halo.embeddings.tokens",
    "halo.embeddings.windows",
)
DTYPES = ("float32", "bfloat16", "float16")
ADAPTER_MODULES = ("halo.embeddings.adapters",)


# One row per residue, float16 [length, dim], without truncation.
LAYOUT = Layout({"residues": Array("float16", None)})


def description(weights: Weights, settings: EmbeddingSettings, precision: str) -> dict[str, Any]:
    """Everything that the content of the store depends on.

    `precision` is the actual precision: ``auto`` depends on the machine, and results in float32
    and bfloat16 must not be mixed.
    """
    modules = CONTENT_MODULES + (ADAPTER_MODULES if weights.adapter else ())
    return {
        "kind": "embeddings",
        "sha256": weights.sha256,
        "adapter": weights.adapter_sha256,
        "layer": settings.layer,
        "window": settings.window,
        "overlap": settings.overlap,
        "precision": precision,
        "code": code_digest(*modules),
    }


def store_names(weights: Weights, settings: EmbeddingSettings) -> set[str]:
    """Possible names of the store of embeddings: ``auto`` is one of several precisions."""
    chosen = DTYPES if settings.precision == "auto" else (settings.precision,)
    return {store_name(description(weights, settings, precision)) for precision in chosen}
