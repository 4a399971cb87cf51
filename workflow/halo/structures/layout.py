"""Layout of the store of structures, and notes about searches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from halo.layout import Array, Layout

# One row per residue of the structure, but for `fragment` (start and stop rows of each
# fragment) and `contacts` (positions i < j, of sources that have contacts alone).
LAYOUT = Layout(
    arrays={
        "coordinates": Array("float32", (3, 3)),  # N, CA, C; x, y, z in angstrom; NaN: missing
        "plddt": Array("float16"),  # 0 to 100; NaN: unknown
        "residue": Array("uint8"),  # ASCII code of the structure's residue
        "position": Array("uint16"),  # index in the protein's sequence, from 0
        "fragment": Array("uint32", (2,)),
        "contacts": Array("uint16", (2,)),
    },
    attributes=("manifest",),
)

STATUSES = ("ok", "missing", "mismatch", "too_long", "error")


@dataclass(frozen=True)
class Note:
    """Result of the search for one protein's structure.

    Attributes
    ----------
    status
        One of `STATUSES`: a structure is stored; no source has one; what the sources
        have is another sequence; the protein is too long; the search failed and will be
        repeated (never stored).
    resolved
        How the name that led to the structure was found: ``accession``, ``entry name``,
        ``table``, ``sequence`` or ``name`` (the id itself).
    source, version
        Kind of the source, and the version of the model that it tells.
    sha256
        Digest of the model's text; of several fragments, of their digests.
    n_residues, mean_plddt
        Residues with coordinates (or the length that the contacts are of), and their
        mean pLDDT, rounded to 0.01; None where there is none.
    accession
        Name under which the source has the structure.
    message
        Reason if there is no structure, or a remark about the structure.
    asked
        Names that were searched; empty if the status is ``ok``.
    date
        Day of the search (ISO 8601); empty if the status is ``ok``.
    state
        State of the local files of each source, up to the one that was used (`Source.state`).
    server
        Address that was asked in place of AlphaFold DB; empty where it is that, or none was.
    """

    status: str
    resolved: str = ""
    source: str = ""
    version: str = ""
    sha256: str = ""
    n_residues: int = 0
    mean_plddt: float | None = None
    accession: str = ""
    message: str = ""
    asked: tuple[str, ...] = ()
    date: str = field(default="", compare=False)
    state: tuple[str, ...] = field(default=(), compare=False)
    server: str = field(default="", compare=False)

    def to_json(self) -> str:
        """One line of JSON, without the empty fields."""
        kept = {name: value for name, value in asdict(self).items() if value or name == "status"}
        fields = kept if self.mean_plddt is None else {**kept, "mean_plddt": self.mean_plddt}
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Note":
        """Parse the output of `to_json`."""
        note = cls(**json.loads(text))
        return replace(note, asked=tuple(note.asked), state=tuple(note.state))


@dataclass(frozen=True)
class Fragment:
    """A model of a part of a protein, with positions of its residues in the sequence.

    Attributes
    ----------
    coordinates
        float32 [n, 3, 3]: N, CA, C; NaN for a missing atom.
    plddt
        float16 [n].
    residue
        uint8 [n], ASCII codes.
    position
        uint16 [n], rising.
    remark
        Remark about its confidence.
    """

    coordinates: np.ndarray
    plddt: np.ndarray
    residue: np.ndarray
    position: np.ndarray
    remark: str = ""


def pack(
    fragments: Sequence[Fragment] = (), contacts: np.ndarray | None = None
) -> Mapping[str, np.ndarray]:
    """Arrays of `LAYOUT` for one protein; without arguments, those of no structure."""
    stops = np.cumsum([len(fragment.position) for fragment in fragments], dtype=np.uint32)
    starts = np.concatenate([np.zeros(1, np.uint32), stops])[: len(stops)]
    arrays = {
        name: np.empty((0, *(kind.row or ())), kind.dtype) for name, kind in LAYOUT.arrays.items()
    }
    for name in ("coordinates", "plddt", "residue", "position") if fragments else ():
        parts = [getattr(fragment, name) for fragment in fragments]
        arrays[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    arrays["fragment"] = np.stack([starts, stops], axis=1).astype(np.uint32)
    if contacts is not None:
        arrays["contacts"] = contacts
    return arrays


def mean_plddt(fragments: Sequence[Fragment]) -> float | None:
    """Mean pLDDT over positions; overlapping fragments are averaged first."""
    position = np.concatenate([fragment.position for fragment in fragments])
    plddt = np.concatenate([fragment.plddt for fragment in fragments]).astype(np.float64)
    known = np.isfinite(plddt)
    if not known.any():
        return None
    count = np.bincount(position[known])
    total = np.bincount(position[known], weights=plddt[known])
    return round(float((total[count > 0] / count[count > 0]).mean()), 2)
