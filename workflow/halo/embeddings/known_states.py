"""Compare the states of a published language model with known ones.

``data/known_states.csv`` has the states of the last layer of the published ESM-2 models for one
sequence, at some channels; resources/README.md says where they are from.
"""

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2

from halo.data_files import data_file
from halo.embeddings.encoder import encode
from halo.embeddings.tokens import Tokenizer
from halo.errors import HaloError

FILE = data_file("data/known_states.csv")
SEQUENCE = "MCADPSKCIYMYV"
CHANNELS = 16  # evenly spaced, the first and the last among them
# Largest root mean square of the differences, relative to that of the known states. In float32 it
# is far smaller; the states of another model differ by 1 and more.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Comparison:
    """Difference of a model's states to the known ones of `name`, relative to their size."""

    name: str
    difference: float

    @property
    def same(self) -> bool:
        """Whether the model is the published one."""
        return self.difference <= TOLERANCE


@cache
def known_states() -> dict[str, np.ndarray]:
    """Known states of each model by its name, float32 [len(SEQUENCE), CHANNELS]."""
    found: dict[str, list[list[float]]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for name, _, *values in list(csv.reader(file))[1:]:
            found.setdefault(name, []).append([float(value) for value in values])
    return {name: np.array(rows, np.float32) for name, rows in found.items()}


def compare(model: ESM2, alphabet: Alphabet, name: str) -> Comparison | None:
    """Compare a model in float32 on the CPU; None if no states are known of `name`.

    `name` can be that of fair-esm's file, or ``facebook/…`` as on Hugging Face.
    """
    published = name.rpartition("/")[2]
    known = known_states().get(published)
    if known is None or model.embed_dim < CHANNELS:
        return None
    tokens, _ = Tokenizer(alphabet).padded([SEQUENCE])
    with torch.inference_mode():
        states = encode(model, tokens, padded=False)[0, 1:-1].float().numpy()
    chosen = states[:, channels(states.shape[1])]
    size = np.sqrt(np.square(known).mean())
    return Comparison(published, float(np.sqrt(np.square(chosen - known).mean()) / size))


def difference_text(found: Comparison) -> str:
    """One line that says whether a model is the published one."""
    figures = f"{found.difference:.3g} of their size (at most {TOLERANCE} for the same model)"
    verdict = "equal to" if found.same else "not"
    return f"{verdict} {found.name}: its states for {SEQUENCE} differ by {figures}"


def channels(dim: int) -> np.ndarray:
    """The channels of which states are known, int64 [CHANNELS]."""
    return np.linspace(0, dim - 1, CHANNELS).astype(np.int64)


def require_known_states(model: ESM2, alphabet: Alphabet, name: str, path: str) -> None:
    """Raise a HaloError if a model with the name of a published one has other states."""
    found = compare(model, alphabet, name)
    if found is not None and not found.same:
        raise HaloError(
            f"{path}: not the published {found.name}, or damaged: for {SEQUENCE}, the states of "
            f"its last layer differ from the known ones by {found.difference:.3g} of their size, "
            f"and at most {TOLERANCE} is allowed; give the published file, or rename this one if "
            "it is a model of your own"
        )
