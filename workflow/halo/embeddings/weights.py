"""Reference to a checkpoint of a language model, identified by its checksum."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from halo.embeddings.registry import ESM2
from halo.files import read_json, write_json

DOWNLOADS = "language_models"  # folder of a store
MODEL, FILE = "model", "file"  # sources of embeddings
STORE = "<store>"  # placeholder for the root of the store in language_model.json


@dataclass(frozen=True)
class Weights:
    """A checkpoint on this machine, or a file of embeddings, identified by its SHA-256.

    Attributes
    ----------
    name
        Name of the language model.
    path, sha256
        The checkpoint, or with the source `FILE`, the embeddings
        (see `halo.embeddings.files.EmbeddingFile`).
    adapter, adapter_sha256
        The ``adapter.safetensors`` of a fine-tuned model, or None.
    source
        `MODEL` or `FILE`.
    model_class
        A key of `halo.embeddings.registry.LANGUAGE_MODELS`.
    """

    name: str
    path: str
    sha256: str
    adapter: str | None = None
    adapter_sha256: str | None = None
    source: str = MODEL
    model_class: str = ESM2


def write_weights(file: Path, weights: Weights, store: Path | None = None) -> None:
    """Write ``language_model.json``; paths in `store` are relative, so that it can be moved."""
    path = Path(weights.path)
    if store is not None and path.is_relative_to(store):
        weights = replace(weights, path=str(Path(STORE, path.relative_to(store))))
    write_json(file, asdict(weights))


def read_weights(file: Path, store: Path | None = None) -> Weights:
    """Read ``language_model.json``; relative paths refer to `store`."""
    weights = Weights(**read_json(file))
    path = Path(weights.path)
    if store is not None and path.is_relative_to(STORE):
        weights = replace(weights, path=str(Path(store, path.relative_to(STORE))))
    return weights
