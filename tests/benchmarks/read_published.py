"""Read the structure files of a folder with HALO and with Bio.PDB, and compare them.

The folder, ``HALO_STRUCTURES``, is one of files that others publish as test data: the checkouts
of gemmi, biotite and Biopython, for instance, of which every PDB, mmCIF and BinaryCIF file is
taken. Of each chain of the first model with a protein, residues, CA coordinates and B-factors
must be the same. Residues that Bio.PDB's table does not know are not compared by their letter;
ligands, which Bio.PDB keeps in the chain, need not be HALO's. The last line is one JSON object.
"""

import gzip
import io
import json
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from Bio.Data.PDBData import protein_letters_3to1_extended
from Bio.PDB import MMCIFParser, PDBParser
from Bio.PDB.binary_cif import BinaryCIFParser
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from halo.structures.parse import Chain, StructureError, parse_structure

VARIABLE = "HALO_STRUCTURES"
ENDINGS = (".pdb", ".ent", ".cif", ".mmcif", ".bcif")


@dataclass(frozen=True)
class Residue:
    """A residue with a CA atom, as Bio.PDB reads it; `letter` is ``?`` where it knows none."""

    letter: str
    place: np.ndarray
    b_factor: float
    ligand: bool


def published(folder: Path) -> list[Path]:
    """The structure files below a folder, by their endings."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name.lower().removesuffix(".gz").endswith(ENDINGS)
    )


def read_by_biopython(path: Path) -> dict[str, list[Residue]]:
    """The residues of each chain of the first model that has any; {} for no protein."""
    data = path.read_bytes()
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".bcif"):
        try:
            structure = BinaryCIFParser().get_structure("x", str(path))
        except IndexError:  # a fault of Bio.PDB; the entry may be there as mmCIF, too
            return read_by_biopython(path.with_suffix(".cif"))
    else:
        parser = MMCIFParser if name.endswith("cif") else PDBParser
        text = io.StringIO(data.decode("latin-1"))
        structure = parser(QUIET=True).get_structure("x", text)
    for model in structure:
        chains = {chain.id.strip(): list(_residues(chain)) for chain in model}
        chains = {name: found for name, found in chains.items() if found}
        if chains:
            return chains
    return {}


def _residues(chain: object) -> Iterator[Residue]:
    for residue in chain:
        if residue.is_disordered() == 2:  # several residues at one place: the likeliest counts
            some = [one for one in residue.disordered_get_list() if "CA" in one]
            residue = max(some, key=lambda one: one["CA"].get_occupancy() or 0, default=residue)
        ligand = residue.id[0] != " "
        letter = protein_letters_3to1_extended.get(residue.get_resname().strip())
        if "CA" not in residue:
            continue
        atom = residue["CA"]
        if atom.is_disordered():
            atom = max(atom.disordered_get_list(), key=lambda one: one.get_occupancy() or 0)
        b_factor = np.nan if atom.get_bfactor() is None else atom.get_bfactor()
        yield Residue(letter or "?", atom.coord, b_factor, ligand)


def difference(ours: list[Chain], theirs: dict[str, list[Residue]]) -> str:
    """What differs; ``""`` for nothing."""
    letters = "".join(chain.letters for chain in ours)
    places = np.concatenate([chain.coordinates[:, 1] for chain in ours]).astype(np.float64)
    b_factors = np.concatenate([chain.b_factor for chain in ours])
    tree, left = cKDTree(places), set(range(len(letters)))
    for name, residues in theirs.items():
        for number, residue in enumerate(residues):
            here = left & set(tree.query_ball_point(residue.place.astype(np.float64), 1e-4))
            what = f"chain {name}: residue {number}, {residue.letter},"
            if not here:
                if residue.ligand or residue.letter == "?":
                    continue
                return f"{what} is not read"
            fitting = [row for row in here if residue.letter in ("?", letters[row])]
            row = min(fitting or here)
            left.remove(row)
            if not fitting and letters[row] != "X":
                return f"{what} is {letters[row]}"
            if not np.isclose(b_factors[row], residue.b_factor, equal_nan=True, atol=1e-4):
                return f"{what} has the B-factor {b_factors[row]}, not {residue.b_factor}"
    return f"{len(left)} residues more" if left else ""


def compare(path: Path) -> tuple[str, str]:
    """How the readings of a file compare, in a word, and what is to be said of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = read_by_biopython(path)
    except Exception as error:  # whatever a reader raises at a file that is not its own
        theirs, reason = None, f"{type(error).__name__}: {error}"
    try:
        ours = parse_structure(path.read_bytes(), path.name)
    except StructureError as error:
        if theirs:
            return "refused", str(error)
        return "no protein for either", ""
    if theirs is None:
        return "read by HALO alone", reason
    differs = difference(ours, theirs)
    return ("different", differs) if differs else ("same", "")


def main() -> None:
    """Compare all files of the folder; exit status 1 where one is read differently or refused."""
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        print(f"skipped: {VARIABLE} names no folder of published structure files")
        return
    counts: Counter[str] = Counter()
    for path in published(Path(folder)):
        word, reason = compare(path)
        counts[word] += 1
        if reason:
            print(f"{word:<20} {path.relative_to(folder)}: {reason[:160]}")
    failed = counts["different"] + counts["refused"]
    print(json.dumps({"name": "published structures", "ok": not failed, **counts}))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
