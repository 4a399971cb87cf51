"""Explanations of predictions, which the page and the structure files show.

The explanations of a chunk are stored in an ``.npz`` file without pickled objects, next to the
chunk.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from halo.arrays import DamagedArrays, open_arrays
from halo.errors import HaloError
from halo.files import atomic_path
from halo.predict.attribution import Attribution
from halo.predict.regions import Region, regions
from halo.store import Store

LABELS = 3  # largest number of explained labels per protein
COORDINATES = ("coordinates", "plddt", "residue", "position", "fragment")
_ARRAYS = ("values", "change", "attention")


@dataclass(frozen=True)
class Explanation:
    """Explanation of the prediction of one protein.

    Attributes
    ----------
    id, sequence
        Id and sequence of the protein.
    labels
        Explained labels: the predicted ones, or else the most probable one.
    attribution
        Contribution of each residue to each of these labels.
    structure
        The arrays `COORDINATES` of `halo.structures.layout.LAYOUT`; None without coordinates.
    """

    id: str
    sequence: str
    labels: Sequence[str]
    attribution: Attribution
    structure: Mapping[str, np.ndarray] | None

    def regions(self) -> list[Region]:
        """Regions that support the labels, label by label."""
        pairs = zip(self.labels, self.attribution.values, strict=True)
        return [region for label, values in pairs for region in regions(label, values)]


def explained_labels(probabilities: np.ndarray, predicted: np.ndarray) -> list[int]:
    """Indices of the labels to explain, the most probable first.

    Parameters
    ----------
    probabilities : float [n_labels]
    predicted : bool [n_labels], the predicted labels
    """
    order = np.argsort(-probabilities, kind="stable")
    chosen = [int(label) for label in order if predicted[label]]
    return chosen[:LABELS] or [int(order[0])]


def backbone(structures: Store | None, sequence_hash: str) -> Mapping[str, np.ndarray] | None:
    """The arrays `COORDINATES` of a protein; None if it has no coordinates."""
    if structures is None or sequence_hash not in structures:
        return None
    arrays = structures.read(sequence_hash, *COORDINATES)
    return arrays if len(arrays["coordinates"]) else None


def write_explanations(file: Path, explanations: Sequence[Explanation]) -> None:
    """Write the explanations of the proteins of a chunk."""
    about = [{"id": e.id, "sequence": e.sequence, "labels": list(e.labels)} for e in explanations]
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
    for number, entry in enumerate(explanations):
        arrays |= {f"{number}.{name}": getattr(entry.attribution, name) for name in _ARRAYS}
        for name, array in (entry.structure or {}).items():
            arrays[f"{number}.{name}"] = array
    with atomic_path(file) as temporary, temporary.open("wb") as out:
        np.savez_compressed(out, **arrays)


def read_explanations(file: Path) -> Iterator[Explanation]:
    """Read the file of `write_explanations`, one protein at a time."""
    try:
        with open_arrays(file) as arrays:
            for number, entry in enumerate(json.loads(str(arrays["about"]))):
                attribution = Attribution(*(arrays[f"{number}.{name}"] for name in _ARRAYS))
                if np.shape(attribution.values) != (len(entry["labels"]), len(entry["sequence"])):
                    raise ValueError(f"{entry['id']}: not a value for each label and residue")
                structure = None
                if f"{number}.coordinates" in arrays:
                    structure = {name: arrays[f"{number}.{name}"] for name in COORDINATES}
                yield Explanation(attribution=attribution, structure=structure, **entry)
    except DamagedArrays as error:
        raise HaloError(f"{file}: damaged ({error}); delete it and run again") from None
