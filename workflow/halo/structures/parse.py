"""Reading PDB and mmCIF: bytes to the backbone of the protein chains."""

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from isal import isal_zlib

from halo.errors import HaloError
from halo.files import GZIP_MAGIC

# The largest model of AlphaFold DB has some 3 MB as mmCIF; what is much larger is no model.
MAX_BYTES = 32 << 20
MAX_ATOMS = 1 << 20
_BACKBONE = ((b"N", 7), (b"CA", 6), (b"C", 6))  # name and atomic number
_CA = 1
_FAR = 1e5  # angstrom; PDB has room for four digits


class StructureError(HaloError):
    """The bytes are no structure that can be used: damaged, cut off, or something else."""


class TooLargeError(StructureError):
    """More bytes or atoms than any model has."""


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
        float32 [n], of the CA atoms; the pLDDT in predicted models.
    declared
        Length of the sequence that the file's header declares, 0 where it does not.
    """

    name: str
    letters: str
    numbers: np.ndarray
    coordinates: np.ndarray
    b_factor: np.ndarray
    declared: int


def parse_structure(data: bytes, name: str) -> list[Chain]:
    """Protein chains of the first model in `data`: PDB or mmCIF, plain or gzipped.

    Of alternative locations the one with the highest occupancy counts, the first among
    equals. `name` is for the messages. StructureError where there is no protein chain,
    and where the text has more than `MAX_BYTES`.
    """
    text = expand(data, name)
    try:
        chains = _chains(_read(text, name), name)
    except (RuntimeError, ValueError, IndexError, OverflowError) as error:  # gemmi's
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StructureError(f"{name}: not readable ({reason})") from None
    if not chains:
        raise StructureError(f"{name}: no protein chain in it")
    return chains


def expand(data: bytes, name: str) -> bytes:
    """`data` as plain bytes, gunzipped if need be, never more than `MAX_BYTES`."""
    if not data.startswith(GZIP_MAGIC):
        if len(data) > MAX_BYTES:
            raise TooLargeError(f"{name}: larger than {MAX_BYTES >> 20} MiB")
        return data
    # isal takes a third of zlib's time, which is a third of that of reading a PDB file.
    parts: list[bytes] = []
    room = MAX_BYTES
    while data.startswith(GZIP_MAGIC):
        member = isal_zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(data, room + 1)
        except isal_zlib.error as error:
            raise StructureError(f"{name}: damaged gzip ({error})") from None
        room -= len(part)
        if room < 0:
            raise TooLargeError(f"{name}: larger than {MAX_BYTES >> 20} MiB when unzipped")
        if not member.eof:
            raise StructureError(f"{name}: gzip is cut off")
        parts.append(part)
        data = member.unused_data
    return b"".join(parts)


def _read(text: bytes, name: str) -> gemmi.Structure:
    start = text[:4096].lstrip()
    if start.startswith((b"data_", b"#")):
        structure = gemmi.make_structure_from_block(gemmi.cif.read_string(text)[0])
    elif text.startswith(b"ATOM  ") or b"\nATOM  " in text or b"\nHETATM" in text:
        structure = gemmi.read_pdb_string(text)
    else:
        raise StructureError(f"{name}: neither PDB nor mmCIF; it starts with {start[:40]!r}")
    if not len(structure):
        raise StructureError(f"{name}: no model in it")
    del structure[1:]
    structure.setup_entities()
    if structure[0].count_atom_sites() > MAX_ATOMS:
        raise TooLargeError(f"{name}: more than {MAX_ATOMS:,} atoms")
    return structure


def _chains(structure: gemmi.Structure, name: str) -> list[Chain]:
    flat = gemmi.FlatStructure(structure)
    atoms = _text(flat.atom_names)
    slot = np.full(len(atoms), -1)
    for number, (atom, element) in enumerate(_BACKBONE):
        slot[(atoms == atom) & (flat.elements == element)] = number
    rows = np.flatnonzero(slot >= 0)
    chain = _text(flat.chain_ids[rows])
    kept = _in_polymer(flat.entity_type[rows], chain)
    rows, chain = rows[kept], chain[kept]
    if not len(rows):
        return []
    slot, position = slot[rows], flat.pos[rows]
    if not (np.abs(position) < _FAR).all():
        raise StructureError(f"{name}: coordinates that are not finite or out of bounds")
    residue = _numbered(chain, flat.resnums[rows], flat.icodes[rows])

    key = residue * len(_BACKBONE) + slot
    best = np.arange(len(key))
    if not (np.diff(key) > 0).all():
        # Several atoms of a kind: the highest occupancy counts, then the first in the file.
        order = np.lexsort((-flat.occ[rows], key))
        best = order[np.concatenate([[True], np.diff(key[order]) != 0])]
    coordinates = np.full((residue[-1] + 1, len(_BACKBONE), 3), np.nan, np.float32)
    coordinates[residue[best], slot[best]] = position[best]

    centre = best[slot[best] == _CA]  # one row a residue that has a CA
    letters = _letters(_text(flat.residue_names[rows[centre]]))
    centre, letters = centre[letters > 0], letters[letters > 0]
    coordinates = coordinates[residue[centre]]
    numbers = flat.resnums[rows[centre]].astype(np.int32)
    b_factor = flat.b_iso[rows[centre]].astype(np.float32)
    declared = _declared(structure)
    chains = []
    for identifier in dict.fromkeys(chain[centre].tolist()):
        mine = chain[centre] == identifier
        label = identifier.decode("utf-8", "replace")
        chains.append(
            Chain(
                label,
                letters[mine].tobytes().decode("ascii"),
                numbers[mine],
                coordinates[mine],
                b_factor[mine],
                declared.get(label, 0),
            )
        )
    return chains


def _text(names: np.ndarray) -> np.ndarray:
    """int8 [n, width], as gemmi gives names, to bytes [n]."""
    return np.ascontiguousarray(names).view(f"S{names.shape[1]}").ravel()


def _in_polymer(entity_type: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """bool [n_atoms]: of a chain's polymer, or of all of it where none is marked."""
    polymer = entity_type == int(gemmi.EntityType.Polymer.value)
    if polymer.all():
        return polymer
    return polymer | ~np.isin(chain, np.unique(chain[polymer]))


def _letters(residue_name: np.ndarray) -> np.ndarray:
    """uint8 [n]: ASCII codes of one-letter residues, 0 for what is no amino acid."""
    return np.fromiter(map(_letter, residue_name.tolist()), np.uint8, len(residue_name))


@lru_cache(maxsize=1024)
def _letter(residue_name: bytes) -> int:
    """ASCII code of one residue's letter, 0 for what is no amino acid.

    ``X`` for a residue that the table of residues does not know: it may be a modified amino
    acid, and its atoms will tell.
    """
    table = gemmi.find_tabulated_residue(residue_name.decode("utf-8", "replace"))
    if table.is_amino_acid():
        return ord(table.one_letter_code.strip().upper() or "X")
    return 0 if table.found() else ord("X")


def _numbered(chain: np.ndarray, number: np.ndarray, insertion: np.ndarray) -> np.ndarray:
    """int [n]: a running number of the residue that each atom is of."""
    new = (
        (chain[1:] != chain[:-1]) | (number[1:] != number[:-1]) | (insertion[1:] != insertion[:-1])
    )
    return np.concatenate([[0], np.cumsum(new)])


def _declared(structure: gemmi.Structure) -> dict[str, int]:
    """Length of the sequence that the header declares, by chain."""
    lengths = {}
    for chain in structure[0]:
        entity = structure.get_entity_of(chain.get_polymer())
        if entity is not None:
            lengths[chain.name] = len(entity.full_sequence)
    return lengths
