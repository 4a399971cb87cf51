"""Layout and fingerprint of the store of embeddings."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from halo.embeddings.registry import ESM2, LANGUAGE_MODELS
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import FILE, Weights
from halo.layout import Array, Layout
from halo.segments import OptionalArray
from halo.store import Store, store_name

# Version of the numbers that HALO takes from a file. Raise it with every change of the numbers
# beyond rounding. Those of language models are in `halo.embeddings.registry`.
READER_VERSION = 1
DTYPES = ("float32", "bfloat16", "float16")

# One row per residue, float16 [length, dim], without truncation, to be multiplied by `scale`.
LAYOUT = Layout({"residues": Array("float16", None), "scale": OptionalArray("float32", (), 1.0)})
STRUCTURE = "structure_sha256"  # attribute of a protein, if the model reads structures
LARGEST = float(np.finfo(np.float16).max)


def layout_of(content: Mapping[str, Any]) -> Layout:
    """The layout of a store with the `description` `content`."""
    return replace(LAYOUT, attributes=(STRUCTURE,)) if "structures" in content else LAYOUT


def stored(rows: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of `LAYOUT` for an embedding [length, dim] without NaN and infinities.

    What float16 cannot represent is divided by a power of two, which loses no precision but for
    values below 6e-5 times that power.
    """
    if rows.dtype == np.float16:
        return {"residues": rows}
    largest = float(np.abs(rows).max(initial=0))
    scale = 2.0 ** max(0, math.ceil(math.log2(largest / LARGEST))) if largest else 1.0
    if scale == 1:
        return {"residues": rows.astype(np.float16)}
    return {
        "residues": (rows / scale).astype(np.float16),
        "scale": np.array([scale], np.float32),
    }


def read_embedding(store: Store, sequence_hash: str) -> np.ndarray:
    """The embedding of a protein, float16 [length, dim], or float32 beyond float16's range."""
    arrays = store.read(sequence_hash)
    scale = arrays["scale"][0]
    return arrays["residues"] if scale == 1 else arrays["residues"].astype(np.float32) * scale


def description(
    weights: Weights, settings: EmbeddingSettings, precision: str, structures: str | None = None
) -> dict[str, Any]:
    """Everything that the content of the store depends on.

    `precision` is the actual precision: ``auto`` depends on the machine, and results in float32
    and bfloat16 must not be mixed. `structures` is the fingerprint of the store of structures, for
    models that read them.

    Raises
    ------
    ValueError
        if the model reads structures, and `structures` is None
    """
    if weights.source == FILE:
        return {
            "kind": "embeddings",
            "source": FILE,
            "sha256": weights.sha256,
            "layer": settings.layer,
            "reader": READER_VERSION,
        }
    known = LANGUAGE_MODELS[weights.model_class]
    of_class: dict[str, Any] = {}
    if weights.model_class != ESM2:
        of_class["class"] = weights.model_class
    if known.reads_structures:
        if structures is None:
            raise ValueError(f"{known.title}: reads structures, and no store of them is given")
        of_class["structures"] = structures
    return {
        "kind": "embeddings",
        "sha256": weights.sha256,
        "adapter": weights.adapter_sha256,
        "layer": settings.layer,
        "window": settings.window,
        "overlap": settings.overlap,
        "precision": precision,
        "encoder": known.version,
        **of_class,
    }


def store_names(
    weights: Weights, settings: EmbeddingSettings, structures: str | None = None
) -> set[str]:
    """Possible names of the store of embeddings: ``auto`` is one of several precisions."""
    chosen = DTYPES if settings.precision == "auto" else (settings.precision,)
    return {
        store_name(description(weights, settings, precision, structures)) for precision in chosen
    }
