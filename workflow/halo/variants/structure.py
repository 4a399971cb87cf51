"""The structure of a wild type, for its variants."""

from collections.abc import Mapping

import numpy as np

from halo.variants.edits import NEW

KEPT, MAPPED, NONE = "kept", "mapped", "none"


def rule(has_structure: bool, origin: np.ndarray, length: int) -> str:
    """How a variant gets the structure of its wild type of `length` residues.

    `KEPT` if every residue has its place in the wild type (substitutions), else `MAPPED`; `NONE`
    if there is none.
    """
    if not has_structure:
        return NONE
    return KEPT if np.array_equal(origin, np.arange(length)) else MAPPED


def mapped_structure(
    structure: Mapping[str, np.ndarray], origin: np.ndarray, length: int
) -> dict[str, np.ndarray]:
    """The structure of a wild type, for the residues of a variant that it has.

    New residues have no coordinates, and those of removed ones are left out, as those of missing
    residues of an experimental structure. The others stay where they are.

    Parameters
    ----------
    structure : the arrays of `halo.structures.layout.LAYOUT`
    origin : int64 [length of the variant], see `halo.variants.edits.edited`
    length : residues of the wild type
    """
    place = np.full(length, NEW, dtype=np.int64)
    place[origin[origin != NEW]] = np.flatnonzero(origin != NEW)
    position = place[structure["position"].astype(np.int64)]
    kept = position != NEW
    rows = np.concatenate([[0], np.cumsum(kept)])
    fragment = rows[structure["fragment"].astype(np.int64)].reshape(-1, 2)
    contacts = place[structure["contacts"].astype(np.int64)].reshape(-1, 2)
    made = {name: structure[name][kept] for name in ("coordinates", "plddt", "residue")}
    return made | {
        "position": position[kept].astype(structure["position"].dtype),
        "fragment": fragment[fragment[:, 1] > fragment[:, 0]].astype(structure["fragment"].dtype),
        "contacts": contacts[(contacts != NEW).all(axis=1)].astype(structure["contacts"].dtype),
    }


def mapped_letters(letters: str, origin: np.ndarray) -> str:
    """The 3Di letters of a wild type, for the residues of a variant that it has; ``#`` for others.

    `letters` are those of `halo.structures.letters.structure_letters`, `origin` as of
    `mapped_structure`. No letter is computed again.
    """
    return "".join("#" if place == NEW else letters[place] for place in origin)
