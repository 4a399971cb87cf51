"""Backbone atoms of a file, and the protein chains built from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import gemmi
import numpy as np

SLOTS = (b"N", b"CA", b"C")  # atoms that are kept, in this order
CA = 1
MAX_ATOMS = 1 << 20
UNKNOWN = 0xFF  # letter of an unknown residue
_FAR = 1e5  # angstrom; PDB has room for four digits
CRYSTAL = "crystal"  # method of a file that has a unit cell and names no method
_CELL = 2.0  # angstrom; edges of a unit cell are longer, and 1 where a program writes none
_NO_EXPERIMENT = ("THEORETICAL", "PREDICT", "MODEL", "COMPUT")  # in EXPDTA and _exptl.method
# Names that force fields and their programs give to protonation states, and to residues at an
# end of a chain (Amber: N or C before the name): Amber 22 manual, table 12.1; CHARMM36; GROMACS.
_FORCE_FIELDS = {
    "H": "HID HIE HIP HSD HSE HSP HISD HISE HISH HISB HIS1 HIS2 HISP",
    "C": "CYX CYM CYS2 CYSH CYSX",
    "D": "ASH ASPH ASPP AS4",
    "E": "GLH GLUH GLUP GL4",
    "K": "LYN LYSH LYP LYSN LSN",
    "R": "ARGN ARN",
    "Y": "TYM",
}
_STANDARD = (
    *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS"),
    *("MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "HID", "HIE", "HIP", "CYX"),
)
FORCE_FIELD_LETTERS = {
    name: letter for letter, names in _FORCE_FIELDS.items() for name in names.split()
} | {"PCA": "Q"}  # pyroglutamate, the parent of which is glutamine in the CCD, and not in gemmi
# Residue names that take the column that PDB leaves free between residue and chain.
FOUR_LETTERS = frozenset(
    [name.encode() for name in FORCE_FIELD_LETTERS if len(name) == 4]
    + [(end + name).encode() for end in "NC" for name in _STANDARD]
)


@dataclass(frozen=True)
class Atoms:
    """N, CA and C atoms of one model, in the order of the file.

    Attributes
    ----------
    residue
        int [n], running number of the residue, from 0, in the order of the file.
    slot
        int [n], index in `SLOTS`.
    position
        float64 [n, 3], angstrom.
    occupancy
        float64 [n]; NaN where the file has none. If no residue has two atoms of a kind, it need
        not be there.
    b_factor
        float64 [n]; NaN where the file has none.
    name
        bytes or str [n], of the residue; of atoms that are no CA it need not be there.
    chain
        str, one a residue: the name of its chain.
    number
        int64, one a residue: its number in the file.
    hetero
        bool, one a residue: it is of HETATM records.
    block
        int, one a residue: how many TER records the file has before it.
    polymer
        bool, one a residue: the file says that it is of a polymer; None where it does not tell.
    entity
        Key of the residue's polymer in `Header.declared`; the chain itself in a PDB file.
    metric
        float64, one a residue: pLDDT that the file gives by itself; None where it has none.
    """

    residue: np.ndarray
    slot: np.ndarray
    position: np.ndarray
    occupancy: np.ndarray
    b_factor: np.ndarray
    name: np.ndarray
    chain: np.ndarray
    number: np.ndarray
    hetero: np.ndarray
    block: np.ndarray
    entity: np.ndarray
    polymer: np.ndarray | None = None
    metric: np.ndarray | None = None


@dataclass(frozen=True)
class Header:
    """Header of a file.

    Attributes
    ----------
    declared
        One-letter sequences of its polymers, by `Atoms.entity`.
    method
        The experiment that the structure comes from, ``""`` of a prediction or where it is
        not told; `CRYSTAL` where a file has a unit cell alone.
    observed
        Of an experimental structure, how many residues of each chain have coordinates.
    ended
        The file tells its end (PDB's record END), so that it is not truncated.
    """

    declared: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    observed: Mapping[str, int] = field(default_factory=dict)
    ended: bool = False


@dataclass(frozen=True)
class Chain:
    """The residues of one protein chain that have a CA atom.

    Attributes
    ----------
    name
        Name of the chain.
    letters
        One-letter residues, modified ones as their parent, ``X`` where there is none.
    numbers
        int32 [n], residue numbers of the file.
    coordinates
        float32 [n, 3, 3]: N, CA, C; x, y, z in angstrom; NaN for a missing N or C.
    b_factor
        float32 [n], of the CA atoms, as the file has them; NaN where it has none.
    declared
        Length of the sequence that the file's header declares, 0 where it does not.
    method
        The experiment that the structure comes from; ``""`` where the file names none.
    metric
        float32 [n], pLDDT (0 to 100) that the file gives beside the B-factors (ModelCIF's
        ``_ma_qa_metric_local``); None where it gives none.
    fault
        Why the chain cannot be used though its residues are readable; ``""`` where it can.
    """

    name: str
    letters: str
    numbers: np.ndarray
    coordinates: np.ndarray
    b_factor: np.ndarray
    declared: int
    method: str = ""
    metric: np.ndarray | None = None
    fault: str = ""


def experiment(named: str, cells: Iterable[Sequence[float]]) -> str:
    """The experiment that a structure comes from: `Header.method`.

    Parameters
    ----------
    named
        The method that the file names, ``""`` without one.
    cells
        The three edges of each of its unit cells in angstrom.
    """
    if not named and any(all(edge > _CELL for edge in edges) for edges in cells):
        return CRYSTAL
    return "" if any(word in named.upper() for word in _NO_EXPERIMENT) else named


def chains_of(atoms: Atoms, header: Header) -> list[Chain]:
    """The protein chains of one model.

    Of alternative locations, the first one with the highest occupancy is used.

    Raises
    ------
    ValueError
        if coordinates are missing, not finite or out of bounds
    """
    if not len(atoms.slot):
        return []
    if not np.abs(atoms.position).max() < _FAR:  # NaN is not
        raise ValueError("coordinates that are missing, not finite or out of bounds")
    key = atoms.residue * len(SLOTS) + atoms.slot
    best: np.ndarray | slice = slice(None)
    if not (key[1:] > key[:-1]).all():
        # Several atoms of a kind: the highest occupancy counts, then the first in the file.
        order = np.lexsort((-np.nan_to_num(atoms.occupancy, nan=1.0), key))
        best = order[np.concatenate([[True], np.diff(key[order]) != 0])]
    count = len(atoms.chain)
    coordinates = np.full((count, len(SLOTS), 3), np.nan, np.float32)
    coordinates.reshape(-1, 3)[key[best]] = atoms.position[best]
    centre = np.flatnonzero(atoms.slot[best] == CA)
    residue = atoms.residue[best][centre]
    b_factor = np.full(count, np.nan, np.float32)
    b_factor[residue] = atoms.b_factor[best][centre]

    letters = np.zeros(count, np.uint8)
    letters[residue] = _letters(atoms.name[best][centre])
    # A residue that no table knows is an amino acid if it has its backbone.
    unknown = np.flatnonzero(letters == UNKNOWN)
    whole = np.isfinite(coordinates[unknown, :, 0]).all(axis=1)
    letters[unknown] = np.where(whole, ord("X"), 0)
    kept = letters > 0  # only those with a CA have a letter
    kept = kept if atoms.polymer is None else kept & atoms.polymer
    return [
        Chain(
            name,
            letters[rows].tobytes().decode("ascii"),
            atoms.number[rows].astype(np.int32),
            coordinates[rows],
            b_factor[rows],
            len(header.declared.get(atoms.entity[rows[0]], "")),
            header.method,
            None if atoms.metric is None else atoms.metric[rows].astype(np.float32),
            _fault(name, letters[rows], atoms.entity[rows[0]], header),
        )
        for name, rows in _rows_of_chains(atoms, np.flatnonzero(kept))
    ]


def _rows_of_chains(atoms: Atoms, kept: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Name, and residues among `kept`, of each chain.

    Residues of HETATM records belong to the polymer of a chain if the file declares it, or if they
    are between its other residues or continue their numbers. If residue numbers restart after a TER
    record, the chain is a different one with the same name.
    """
    chain, chains = atoms.chain[kept], []
    names = dict.fromkeys(chain.tolist())
    for identifier in names:
        rows = kept[chain == identifier] if len(names) > 1 else kept
        if atoms.polymer is None and atoms.hetero[rows].any():
            rows = _without_ligands(atoms, rows)
        number, block = atoms.number[rows], atoms.block[rows]
        anew = (block[1:] != block[:-1]) & (number[1:] <= number[:-1])
        parts = np.split(rows, np.flatnonzero(anew) + 1) if anew.any() else [rows]
        chains += [(identifier, part) for part in parts if len(part)]
    return chains


def _without_ligands(atoms: Atoms, rows: np.ndarray) -> np.ndarray:
    """The residues `rows` of a chain without free amino acids."""
    if atoms.hetero[rows].all():
        return rows
    parts = []
    for block in np.unique(atoms.block[rows]):
        part = rows[atoms.block[rows] == block]
        own = np.flatnonzero(~atoms.hetero[part])
        if not len(own):
            continue
        stop = own[-1] + 1
        while stop < len(part) and atoms.number[part[stop]] == atoms.number[part[stop - 1]] + 1:
            stop += 1
        parts.append(part[:stop])
    return np.concatenate(parts)


def _fault(name: str, letters: np.ndarray, entity: str, header: Header) -> str:
    """The fault of a chain that lacks the end of its declared sequence, or ``""``.

    Gaps are no fault: experimental structures have them, and some programs omit residues with low
    confidence. A prediction without its last residues is a truncated file.
    """
    declared = header.declared.get(entity, "").encode("ascii", "replace")
    present = letters.tobytes()
    if header.ended or len(present) >= len(declared):
        return ""
    if declared.endswith(present[-8:]) and not declared.startswith(present):
        return ""
    if header.method and len(present) >= header.observed.get(name, 0):
        return ""
    return (
        f"{len(present)} of the {len(declared)} residues that the file declares, and the last ones "
        "are not there: the file is truncated; get it again"
    )


def _letters(names: np.ndarray) -> np.ndarray:
    """uint8 [n]: ASCII codes of one-letter residues, 0: no amino acid, `UNKNOWN`: not known."""
    if len(_codes) > 10_000:
        _codes.clear()
    return np.frombuffer(bytes(map(_codes.__getitem__, names.tolist())), np.uint8)


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """int64 [n] of float64 [n]; 0 where there is no number, or one that 32 bits do not hold."""
    return np.where(np.abs(values) < 2.0**31, values, 0).astype(np.int64)


def residue_letter(name: bytes | str) -> int:
    """ASCII code of one residue's letter, 0 for no amino acid, `UNKNOWN` for unknown names."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    text = text.strip("'\" ").upper()
    if text in FORCE_FIELD_LETTERS:
        return ord(FORCE_FIELD_LETTERS[text])
    table = gemmi.find_tabulated_residue(text)
    if table.is_amino_acid():
        return ord(table.one_letter_code.strip().upper() or "X")
    if table.found():
        return 0
    if text.encode() in FOUR_LETTERS:
        return residue_letter(text[1:])
    return UNKNOWN


class _Codes(dict):
    """Cache of `residue_letter`."""

    def __missing__(self, name: bytes | str) -> int:
        self[name] = residue_letter(name)
        return self[name]


_codes = _Codes()


def one_letter(names: Sequence[bytes | str]) -> str:
    """Letters of a declared sequence without residues that are no amino acids, such as caps."""
    codes = bytes(map(_codes.__getitem__, names))
    return codes.replace(b"\0", b"").replace(bytes([UNKNOWN]), b"X").decode("ascii")
