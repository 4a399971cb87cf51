"""3Di letters of a structure, and the text of sequence and letters that SaProt reads.

3Di letters describe the contact of a residue with its nearest neighbour in space (van Kempen et al.
2024, doi:10.1038/s41587-023-01773-0).
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from mini3di import Encoder

LETTERS = "acdefghiklmnpqrstvwy"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
UNKNOWN = "#"
CONFIDENT = 70.0  # pLDDT below which SaProt's authors leave out the letter
N, CA, C = 0, 1, 2  # of the store's coordinates


def structure_letters(length: int, structure: Mapping[str, np.ndarray] | None) -> str:
    """The 3Di letter of each of `length` residues, ``#`` where none is known.

    `structure` has the arrays of the structure store, or is None. Residues with a mean pLDDT below
    `CONFIDENT` have ``#``; without pLDDT all have a letter. The store has no Cβ atoms: mini3di
    computes their positions from the backbone. Where fragments overlap, the letter is that of the
    fragment in which the residue is farthest from an end.
    """
    letters = np.full(length, UNKNOWN)
    if structure is None or not len(structure["coordinates"]):
        return "".join(letters)
    encoder = _encoder()
    position = structure["position"].astype(np.int64)
    best = np.zeros(length, dtype=np.int64)
    for start, stop in structure["fragment"].astype(np.int64):
        if stop - start < 3:  # mini3di needs both neighbours of a residue
            continue
        atoms = structure["coordinates"][start:stop].astype(np.float64)
        absent = np.full_like(atoms[:, CA], np.nan)
        with np.errstate(invalid="ignore"):  # of atoms that are missing
            states = encoder.encode_atoms(atoms[:, CA], absent, atoms[:, N], atoms[:, C])
        own = np.array(list(encoder.build_sequence(states).lower()))
        at = position[start:stop]
        inside = np.minimum(np.arange(1, stop - start + 1), np.arange(stop - start, 0, -1))
        better = inside > best[at]
        letters[at[better]] = own[better]
        best[at[better]] = inside[better]
    plddt = structure["plddt"].astype(np.float64)
    told = ~np.isnan(plddt)
    count = np.bincount(position[told], minlength=length)
    total = np.bincount(position[told], plddt[told], length)
    letters[(count > 0) & (total < CONFIDENT * count)] = UNKNOWN
    return "".join(letters)


@cache
def _encoder() -> Encoder:
    return Encoder()  # reads its weights from a file


def structure_aware(sequence: str, structure: Mapping[str, np.ndarray] | None) -> str:
    """Each residue and its letter, such as ``MdEvVp``; other letters than amino acids are ``#``."""
    return joined(sequence, structure_letters(len(sequence), structure))


def joined(sequence: str, letters: str) -> str:
    """Each residue and its letter; see `structure_aware`."""
    return "".join(
        (residue if residue in RESIDUES else UNKNOWN) + letter
        for residue, letter in zip(sequence, letters, strict=True)
    )
