"""A checkpoint of a language model, known by its checksum."""

from dataclasses import asdict, dataclass
from pathlib import Path

from halo.files import read_json, write_json


@dataclass(frozen=True)
class Weights:
    """A checkpoint on this machine, known by the sha256 of its bytes.

    `adapter` is the ``adapter.safetensors`` of a fine-tuning of it, or None.
    """

    name: str
    path: str
    sha256: str
    adapter: str | None = None
    adapter_sha256: str | None = None


def write_weights(file: Path, weights: Weights) -> None:
    """Write ``language_model.json``."""
    write_json(file, asdict(weights))


def read_weights(file: Path) -> Weights:
    """Read ``language_model.json``."""
    return Weights(**read_json(file))
