"""Letters of amino acids and their indices."""

import numpy as np

ALPHABET = "ACDEFGHIKLMNPQRSTVWYUOBZJX"
STANDARD = ALPHABET[:20]


def residue_indices(sequence: str) -> np.ndarray:
    """Index of each residue in `ALPHABET`, uint8 [length]."""
    return _INDEX[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


_INDEX = np.full(256, ALPHABET.index("X"), dtype=np.uint8)
_INDEX[[ord(letter) for letter in ALPHABET]] = np.arange(len(ALPHABET), dtype=np.uint8)
