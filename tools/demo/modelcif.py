"""Backbone models as mmCIF text, laid out as AlphaFold DB lays out its entries."""

import textwrap

import numpy as np

THREE_LETTERS = {
    "A": "ALA", "R": "ARG", "N": "ASN", "D": "ASP", "C": "CYS", "Q": "GLN", "E": "GLU",
    "G": "GLY", "H": "HIS", "I": "ILE", "L": "LEU", "K": "LYS", "M": "MET", "F": "PHE",
    "P": "PRO", "S": "SER", "T": "THR", "W": "TRP", "Y": "TYR", "V": "VAL",
}  # fmt: skip
BACKBONE = (("N", "N"), ("C", "CA"), ("C", "C"), ("O", "O"))  # element and name
VERSION = 6
DATE = "2025-01-01"

ATOM_SITE = (
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id",
    "label_asym_id", "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code",
    "Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv", "pdbx_formal_charge",
    "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id", "pdbx_PDB_model_num",
    "pdbx_sifts_xref_db_acc", "pdbx_sifts_xref_db_name", "pdbx_sifts_xref_db_num",
    "pdbx_sifts_xref_db_res",
)  # fmt: skip


def file_name(accession: str) -> str:
    """The name that AlphaFold DB would give the gzipped model."""
    return f"AF-{accession}-F1-model_v{VERSION}.cif.gz"


def model_text(accession: str, sequence: str, atoms: np.ndarray, plddt: np.ndarray) -> str:
    """A model as mmCIF.

    Parameters
    ----------
    accession, sequence
        Of the protein.
    atoms
        float64 [residues, 4, 3], N, CA, C and O in Å.
    plddt
        float64 [residues], 0 to 100.
    """
    names = [THREE_LETTERS[residue] for residue in sequence]
    entry = f"AF-{accession}-F1"
    letters = "\n".join(textwrap.wrap(sequence, 80))
    last = len(sequence)
    return "#\n".join(
        [
            f"data_{entry}\n",
            _items("entry", {"id": entry}),
            _items(
                "struct",
                {"entry_id": entry, "title": f"'Simulated model of the demo protein {accession}'"},
            ),
            _items("entity", {"id": "1", "type": "polymer", "src_method": "syn"}),
            _items(
                "entity_poly",
                {
                    "entity_id": "1",
                    "type": "polypeptide(L)",
                    "nstd_linkage": "no",
                    "nstd_monomer": "no",
                    "pdbx_strand_id": "A",
                    "pdbx_seq_one_letter_code": f"\n;{letters}\n;",
                    "pdbx_seq_one_letter_code_can": f"\n;{letters}\n;",
                },
            ),
            _loop(
                "entity_poly_seq",
                ("entity_id", "hetero", "mon_id", "num"),
                [f"1 n {name} {number}" for number, name in enumerate(names, start=1)],
            ),
            _items("struct_asym", {"id": "A", "entity_id": "1"}),
            _items(
                "struct_ref",
                {
                    "id": "1",
                    "entity_id": "1",
                    "db_name": "UNP",
                    "db_code": f"{accession}_DEMO",
                    "pdbx_db_accession": accession,
                    "pdbx_seq_one_letter_code": f"\n;{letters}\n;",
                },
            ),
            _items(
                "struct_ref_seq",
                {
                    "align_id": "1",
                    "ref_id": "1",
                    "pdbx_strand_id": "A",
                    "pdbx_db_accession": accession,
                    "db_align_beg": "1",
                    "db_align_end": str(last),
                    "seq_align_beg": "1",
                    "seq_align_end": str(last),
                },
            ),
            _items(
                "ma_target_ref_db_details",
                {
                    "target_entity_id": "1",
                    "db_name": "UNP",
                    "db_code": f"{accession}_DEMO",
                    "db_accession": accession,
                    "seq_db_align_begin": "1",
                    "seq_db_align_end": str(last),
                },
            ),
            _items(
                "pdbx_audit_revision_history",
                {
                    "ordinal": "1",
                    "data_content_type": "'Structure model'",
                    "major_revision": str(VERSION),
                    "minor_revision": "0",
                    "revision_date": DATE,
                },
            ),
            _loop(
                "ma_qa_metric",
                ("id", "mode", "name", "software_group_id", "type"),
                ["1 global pLDDT 1 pLDDT", "2 local  pLDDT 1 pLDDT"],
            ),
            _items(
                "ma_qa_metric_global",
                {
                    "ordinal_id": "1",
                    "model_id": "1",
                    "metric_id": "1",
                    "metric_value": f"{plddt.mean():.2f}",
                },
            ),
            _loop(
                "ma_qa_metric_local",
                ("label_asym_id", "label_comp_id", "label_seq_id", "metric_id", "metric_value",
                 "model_id", "ordinal_id"),
                [
                    f"A {name} {number} 2 {value:.2f} 1 {number}"
                    for number, (name, value) in enumerate(zip(names, plddt, strict=True), start=1)
                ],
            ),
            _loop("atom_site", ATOM_SITE, _atom_lines(accession, sequence, names, atoms, plddt)),
            "",
        ]
    )  # fmt: skip


def _atom_lines(
    accession: str, sequence: str, names: list[str], atoms: np.ndarray, plddt: np.ndarray
) -> list[str]:
    lines = []
    for index, (letter, name) in enumerate(zip(sequence, names, strict=True)):
        number = index + 1
        for (element, atom), (x, y, z) in zip(BACKBONE, atoms[index], strict=True):
            lines.append(
                f"ATOM {len(lines) + 1} {element} {atom} . {name} A 1 {number} ? "
                f"{x:.3f} {y:.3f} {z:.3f} 1.0 {plddt[index]:.2f} ? "
                f"{number} {name} A {atom} 1 {accession} UNP {number} {letter}"
            )
    return lines


def _items(category: str, values: dict[str, str]) -> str:
    return "".join(f"_{category}.{item} {value}\n" for item, value in values.items())


def _loop(category: str, items: tuple[str, ...], rows: list[str]) -> str:
    header = "".join(f"_{category}.{item}\n" for item in items)
    return "loop_\n" + header + "".join(f"{row}\n" for row in rows)
