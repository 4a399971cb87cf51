"""Write structures with attributions as B-factors."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import sha256_of_text, write_table, write_text
from halo.predict.explanation import COORDINATES, Explanation
from halo.predict.regions import smoothed
from halo.proteins.accessions import parse_accession

INDEX = "index.csv"  # table of files and proteins
MARK = "(HALO)"  # end of the title of every file
HEAD = 4096  # first characters, which contain the title
BACKBONE = ("N", "CA", "C")
ELEMENTS = ("N", "C", "C")


def write_structures(
    folder: Path, shown: Sequence[Explanation], accessions: Sequence[str]
) -> list[str | None]:
    """Write the structures of explained proteins, and remove those of an earlier call.

    Only files whose title has the `MARK` are replaced or removed. Returns the file of each
    protein, None if it has no coordinates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / INDEX
    earlier = pd.read_csv(index, dtype=str)["file"] if index.exists() else []
    files = list(file_names(list(zip(shown, accessions, strict=True))))
    rows = [(name, e.id, e.labels[0]) for name, e in zip(files, shown, strict=True) if name]
    removed = sorted(name for name in set(earlier) - set(files) if _is_ours(folder, name))
    for name in filter(None, files):
        if (folder / name).exists() and not _is_ours(folder, name):
            raise HaloError(f"{folder / name}: written by another program; move it away")
    # Written first, including removed files, so that a killed call leaves no unlisted file.
    _write_index(index, rows + [(name, "", "") for name in removed])
    for file, explanation in dict(zip(files, shown, strict=True)).items():
        if file:
            write_structure(folder / file, explanation, file.removesuffix(".cif"))
    for name in removed:
        (folder / name).unlink()
    if removed:
        _write_index(index, rows)
    return files


def _is_ours(folder: Path, name: str) -> bool:
    """Whether `name` is a file of `write_structure` in `folder`."""
    file = folder / name
    if Path(name).name != name or not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as lines:
        return MARK in lines.read(HEAD)


def _write_index(file: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    write_table(file, pd.DataFrame(rows, columns=["file", "id", "label"]))


def file_names(pairs: Sequence[tuple[Explanation, str]]) -> Iterator[str | None]:
    """A file name for each protein: its accession, or else the digest of its sequence.

    Ids of the input are not used. The second sequence with the same accession has the digest, and
    the second structure of a sequence that of both. None without a structure.
    """
    owners: dict[str, str] = {}
    for explanation, accession in pairs:
        if explanation.structure is None:
            yield None
            continue
        parsed = parse_accession(accession)
        both = _digest(explanation.sequence, explanation.structure)
        names = (str(parsed) if parsed else "", sha256_of_text(explanation.sequence)[:16], both)
        yield next(
            f"{name}.cif" for name in names if name and owners.setdefault(name, both) == both
        )


def _digest(sequence: str, structure: Mapping[str, np.ndarray]) -> str:
    """Start of the sha256 of a sequence and its structure, 16 hexadecimal digits."""
    content = sha256(sequence.encode())
    for name in COORDINATES:
        content.update(name.encode() + structure[name].tobytes())
    return content.hexdigest()[:16]


def b_factors(values: np.ndarray) -> np.ndarray:
    """Attributions scaled to 0 (none or negative) to 100 (highest), float32 [length].

    They are smoothed like those of regions.
    """
    positive = np.maximum(smoothed(values), 0)
    return (100 * positive / max(positive.max(), 1e-9)).astype(np.float32)


def write_structure(file: Path, explanation: Explanation, name: str) -> None:
    """Write the backbone with `b_factors` of the first label as mmCIF.

    Fragments are separate models, because their relative position is not known.
    """
    arrays = explanation.structure
    assert arrays is not None  # there is a file for a protein with a structure
    factors = b_factors(explanation.attribution.values[0])
    structure = gemmi.Structure()
    structure.name = name
    structure.info["_struct.title"] = (
        f"Backbone; B-factor: contribution to the label {explanation.labels[0]}, 0 to 100 {MARK}"
    )
    for number, (start, stop) in enumerate(arrays["fragment"].astype(int), start=1):
        model = gemmi.Model(number)
        chain = gemmi.Chain("A")
        for row in range(start, stop):
            chain.add_residue(_residue(arrays, row, factors))
        model.add_chain(chain)
        structure.add_model(model)
    structure.setup_entities()
    write_text(file, structure.make_mmcif_document().as_string())


def _residue(arrays: Mapping[str, np.ndarray], row: int, factors: np.ndarray) -> gemmi.Residue:
    position = int(arrays["position"][row])
    residue = gemmi.Residue()
    residue.name = gemmi.expand_one_letter(chr(arrays["residue"][row]), gemmi.ResidueKind.AA)
    residue.seqid = gemmi.SeqId(position + 1, " ")
    residue.entity_type = gemmi.EntityType.Polymer
    for name, element, place in zip(
        BACKBONE, ELEMENTS, arrays["coordinates"][row].tolist(), strict=True
    ):
        if np.isfinite(place).all():
            atom = gemmi.Atom()
            atom.name = name
            atom.element = gemmi.Element(element)
            atom.pos = gemmi.Position(*place)
            atom.occ = 1.0
            atom.b_iso = float(factors[position])
            residue.add_atom(atom)
    return residue
