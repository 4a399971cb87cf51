"""Parsing of PDB and mmCIF equals an independent parser; garbage is refused."""

import gzip
import tracemalloc
import zlib
from io import StringIO
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB import PDBParser
from Bio.SeqUtils import seq1
from hypothesis import given, settings
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.structures import parse
from halo.structures.confidence import confidence_of
from halo.structures.parse import StructureError, TooLargeError, parse_structure

from .test_structures_server import model_cif, model_pdb, sequence_of

REAL = Path(__file__).parents[3] / "shared" / "data" / "afdb"
SEQUENCE = sequence_of("parse", 30)
PDB, CIF = model_pdb(SEQUENCE), model_cif(SEQUENCE)


def atom(name, residue, number, x, altloc=" ", occupancy=1.0, chain="A", record="ATOM  ", b=50.0):
    element = name[0] if name != "SE" else "SE"
    return (
        f"{record}{1:5d}  {name:<3s}{altloc}{residue:>3s} {chain}{number:4d}    "
        f"{x:8.3f}{0:8.3f}{0:8.3f}{occupancy:6.2f}{b:6.2f}          {element:>2s}"
    )


def backbone(residue, number, x=0.0, **more):
    return [atom(name, residue, number, x + i, **more) for i, name in enumerate(("N", "CA", "C"))]


def parsed(*parts):
    lines = [line for part in parts for line in ([part] if isinstance(part, str) else part)]
    return parse_structure("\n".join([*lines, "END", ""]).encode(), "test.pdb")


@pytest.mark.parametrize("text", [PDB, CIF], ids=["pdb", "cif"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_both_formats_plain_and_gzipped(text, pack):
    (chain,) = parse_structure(pack(text), "x")
    (reference,) = parse_structure(PDB, "x")
    assert chain.letters == SEQUENCE
    assert chain.declared == len(SEQUENCE)
    assert (chain.coordinates == reference.coordinates).all()
    assert chain.coordinates.dtype == np.float32
    assert chain.b_factor.tolist() == [90.0, 91.0, 89.0] + [90.0] * (len(SEQUENCE) - 3)


def test_the_highest_occupancy_counts_and_the_first_among_equals():
    (chain,) = parsed(
        backbone("ALA", 1, 0.0, altloc="A", occupancy=0.3),
        backbone("ALA", 1, 10.0, altloc="B", occupancy=0.7),
        backbone("CYS", 2, 20.0, altloc="A", occupancy=0.5),
        backbone("CYS", 2, 30.0, altloc="B", occupancy=0.5),
    )
    assert chain.letters == "AC"
    assert chain.coordinates[:, 1, 0].tolist() == [11.0, 21.0]


def test_of_two_residues_at_one_place_the_likelier_counts():
    (chain,) = parsed(
        backbone("SER", 1, 0.0, altloc="A", occupancy=0.4),
        backbone("THR", 1, 5.0, altloc="B", occupancy=0.6),
        backbone("GLY", 2, 9.0),
    )
    assert chain.letters == "TG"


def test_modified_residues_have_their_parent_and_unknown_ones_x():
    (chain,) = parsed(
        backbone("MSE", 1, record="HETATM"),
        backbone("SEP", 2, 5.0, record="HETATM"),
        backbone("SEC", 3, 10.0),
        backbone("QQQ", 4, 15.0),
        backbone("GLY", 5, 20.0),
        "TER",
        atom("O", "HOH", 6, 50.0, record="HETATM"),
        atom("CA", "CA", 7, 60.0, record="HETATM"),
    )
    assert chain.letters == "MSUXG"


def with_cell(text, edges, method):
    """A structure in PDB or mmCIF with the edges of a unit cell and a method."""
    if text == CIF:
        given = dict(zip(("a", "b", "c"), edges, strict=True))
        tags = [f"_cell.length_{axis} {edge}" for axis, edge in given.items()]
        tags.append(f"_exptl.method {repr(method) if method else '?'}")
        old = [line for line in text.decode().splitlines() if not line.startswith("_cell.length")]
        return "\n".join([*old, "#", *tags, ""]).encode()
    cell = "CRYST1" + "".join(f"{edge:9.3f}" for edge in edges) + "  90.00  90.00  90.00 P 1"
    lines = [f"EXPDTA    {method}"] * bool(method) + [cell, ""]
    return "\n".join(lines).encode() + text


@pytest.mark.parametrize("text", [PDB, CIF], ids=["pdb", "cif"])
@pytest.mark.parametrize(
    ("edges", "method", "found"),
    [
        ((61.9, 83.5, 102.1), "", "crystal"),
        ((61.9, 83.5, 102.1), "X-RAY DIFFRACTION", "X-RAY DIFFRACTION"),
        ((61.9, 83.5, 102.1), "THEORETICAL MODEL", ""),
        ((1.0, 1.0, 1.0), "", ""),  # where there is no cell
        ((0.0, 0.0, 0.0), "", ""),
    ],
)
def test_a_structure_with_a_unit_cell_is_a_crystal(text, edges, method, found):
    (chain,) = parse_structure(with_cell(text, edges, method), "x")
    assert (chain.letters, chain.method) == (SEQUENCE, found)
    assert np.isfinite(confidence_of(chain, "plddt").plddt).all() == (not found)


def test_a_free_amino_acid_beside_the_chain_is_not_of_it():
    (chain,) = parsed(
        *(backbone("GLY", number, 4.0 * number) for number in range(1, 6)),
        "TER",
        backbone("GLU", 101, 90.0, record="HETATM"),
    )
    assert chain.letters == "GGGGG"


def test_insertion_codes_make_residues_of_their_own():
    lines = backbone("ALA", 1, 0.0) + [
        line[:26] + "A" + line[27:] for line in backbone("GLY", 1, 5.0)
    ]
    (chain,) = parsed(lines, backbone("CYS", 2, 10.0))
    assert chain.letters == "AGC"


def test_a_residue_without_ca_is_left_out_and_missing_atoms_are_nan():
    (chain,) = parsed(
        backbone("ALA", 1),
        [backbone("CYS", 2)[0]],
        [backbone("GLY", 3)[1]],
        backbone("LEU", 4),
    )
    assert chain.letters == "AGL"
    assert np.isnan(chain.coordinates[1]).tolist() == [[True] * 3, [False] * 3, [True] * 3]


def test_the_chains_of_the_first_model():
    chains = parsed(
        "MODEL        1",
        backbone("ALA", 1, chain="A"),
        "TER",
        backbone("GLY", 1, chain="B"),
        backbone("GLY", 2, 4.0, chain="B"),
        "TER",
        "ENDMDL",
        "MODEL        2",
        backbone("TRP", 1, chain="A"),
        "ENDMDL",
    )
    assert [(chain.name, chain.letters) for chain in chains] == [("A", "A"), ("B", "GG")]


GARBAGE = {
    "nothing": b"",
    "html": b"<!DOCTYPE html><html></html>",
    "empty mmCIF": b"data_x\n#\n",
    "start of mmCIF": b"data_",
    "atoms without coordinates": b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1 2\n",
    "empty PDB": b"HEADER    nothing\nEND\n",
    "model without atoms": b"MODEL        1\n\nATOM  \n",
    "start of PDB": b"ATOM  ",
    "zeros": b"\x00" * 4096,
    "empty gzip": gzip.compress(b""),
    "gzip cut off": gzip.compress(PDB)[:-20],
    "gzip without its end": gzip.compress(PDB)[:-4],
    "gzip of another length": gzip.compress(PDB)[:-1] + b"\xff",
    "start of gzip": b"\x1f\x8b" + b"x" * 100,
    "no numbers": b"\n".join(
        line[:30].encode() + b"     nan     nan     nan" + line[54:].encode()
        for line in backbone("ALA", 1)
    ),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_what_is_no_structure_is_refused_by_name(kind):
    with pytest.raises(StructureError, match="some name"):
        parse_structure(GARBAGE[kind], "some name")


def test_gzip_of_several_members_is_one_text():
    half = len(PDB) // 2
    data = gzip.compress(PDB[:half]) + gzip.compress(PDB[half:])
    assert parse_structure(data, "x")[0].letters == SEQUENCE


def test_no_more_than_the_bound_is_unpacked(monkeypatch):
    monkeypatch.setattr(parse, "MAX_BYTES", len(PDB))
    assert parse_structure(gzip.compress(PDB), "x")[0].letters == SEQUENCE
    for data in (PDB + b"\n", gzip.compress(PDB + b"\n"), gzip.compress(PDB) * 2):
        with pytest.raises(TooLargeError):
            parse_structure(data, "x")


def test_a_bomb_takes_no_memory():
    """1 GB of zeros in 1 MB: refused after MAX_BYTES, well below the gigabyte."""
    packer = zlib.compressobj(wbits=31)
    first, block = (
        packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    data = first + block * 63
    tracemalloc.start()
    with pytest.raises(TooLargeError):
        parse_structure(data, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * parse.MAX_BYTES


@settings(max_examples=300, deadline=None)
@given(data=st.data(), text=st.sampled_from([PDB, CIF, gzip.compress(PDB)]))
def test_mutated_bytes_are_read_or_refused(data, text):
    """Nothing but a HaloError, and what is read is sound."""
    mutated = bytearray(text)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(mutated)))
        stop = data.draw(st.integers(start, min(len(mutated), start + 200)))
        mutated[start:stop] = data.draw(st.binary(max_size=20))
    try:
        chains = parse_structure(bytes(mutated), "mutated")
    except HaloError:
        return
    for chain in chains:
        assert len(chain.letters) == len(chain.coordinates) == len(chain.numbers)
        assert np.isfinite(chain.coordinates[:, 1]).all()
        assert chain.letters.isalpha()
        assert chain.letters.isupper()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"data_", b"ATOM  ", b"\nATOM  "]))
def test_arbitrary_bytes_are_refused(data, start):
    try:
        parse_structure(start + data, "x")
    except HaloError:
        return


def columns(text):
    """Backbone of a model by the columns of the format: letters, N, CA and C, and pLDDT."""
    lines = [
        line
        for line in text.split("\n")
        if line.startswith("ATOM") and line[12:16] in (" N  ", " CA ", " C  ")
    ]
    assert [line[13:15].strip() for line in lines[:3]] * (len(lines) // 3) == [
        line[13:15].strip() for line in lines
    ]
    numbers = np.array([[line[30:38], line[38:46], line[46:54], line[60:66]] for line in lines])
    numbers = numbers.astype(float).astype(np.float32).reshape(-1, 3, 4)
    return seq1("".join(line[17:20] for line in lines[1::3])), numbers[..., :3], numbers[:, 1, 3]


def by_biopython(text):
    """The same as Biopython reads it."""
    residues = list(PDBParser(QUIET=True).get_structure("x", StringIO(text)).get_residues())
    letters = seq1("".join(residue.resname for residue in residues))
    atoms = [[residue[name].coord for name in ("N", "CA", "C")] for residue in residues]
    return letters, np.array(atoms), np.array([r["CA"].bfactor for r in residues], np.float32)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/afdb is not there")
def test_all_real_models_equal_an_independent_parse():
    """Sequence, N, CA, C and pLDDT of every model, every tenth as Biopython reads it, too."""
    paths = sorted(REAL.glob("*.pdb.gz"))
    assert len(paths) == 370
    for number, path in enumerate(paths):
        content = path.read_bytes()
        (chain,) = parse_structure(content, path.name)
        text = gzip.decompress(content).decode()
        for read in (columns, by_biopython)[: 1 + (number % 10 == 0)]:
            letters, coordinates, plddt = read(text)
            assert chain.letters == letters
            assert (chain.coordinates == coordinates).all()
            assert (chain.b_factor == plddt).all()
            assert chain.declared == len(letters)


@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/afdb is not there")
def test_mmcif_of_a_real_model_is_the_same():
    for path in sorted(REAL.glob("*.pdb.gz"))[::40]:
        text = gzip.decompress(path.read_bytes())
        structure = gemmi.read_pdb_string(text)
        structure.setup_entities()
        cif = structure.make_mmcif_document().as_string().encode()
        (ours,), (theirs,) = parse_structure(cif, "cif"), parse_structure(text, "pdb")
        assert (ours.letters, ours.declared) == (theirs.letters, theirs.declared)
        assert (ours.coordinates == theirs.coordinates).all()
        assert (ours.b_factor == theirs.b_factor).all()
