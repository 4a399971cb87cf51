"""Unusual and damaged structure files: parsed correctly, or refused with the reason.

Each case is made from one protein, with coordinates and pLDDT that are known: what is read must be
these. One run of the stage over a folder of all cases tells that no file is another protein's
trouble.
"""

import bz2
import gzip
import lzma
import re
import zipfile
from io import BytesIO
from itertools import pairwise

import msgpack
import numpy as np
import pytest
import zstandard
from Bio.Data.IUPACData import protein_letters_1to3

from halo.files import sha256_of_text
from halo.structures.fetch import fetch_structures
from halo.structures.settings import StructureSettings, TransportSettings

from .test_structures_server import by_accession, members_of

LENGTH = 40
CASES = {}
PREDICTED = np.round(np.linspace(35.5, 97.25, LENGTH), 2)  # pLDDT
WALK = np.round(np.cumsum(np.random.default_rng(7).normal(0, 2.2, (LENGTH, 3)), axis=0), 3)
SHIFTS = np.array([[-1.2] * 3, [0.0] * 3, [1.2] * 3])
TRUE = np.round(WALK[:, None] + SHIFTS, 3).astype(np.float32)  # N, CA, C
OK, UNKNOWN = ("ok", True), ("ok", False)  # status, and whether the pLDDT is known


def sequence_of(name):
    rng = np.random.default_rng(list(name.encode()))
    return "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), LENGTH))


def case(expected, message="", ending=".pdb"):
    """Register a function from a sequence to a file's bytes, or to several files by ending."""

    def register(make):
        name = make.__name__.strip("_")
        CASES[name] = (make, *(expected if isinstance(expected, tuple) else (expected, None)))
        CASES[name] += (message, ending)
        return make

    return register


def names_of(sequence):
    return [protein_letters_1to3[letter].upper() for letter in sequence]


def line(serial, atom, name, number, place, b="", record="ATOM", chain="A", **more):
    x, y, z = place
    columns = f"{record:<6}{serial:5d} {more.get('spelt', f' {atom:<3}')}{more.get('alt', ' ')}"
    columns += (
        f"{name:<3} {chain}{number:>4}{more.get('insertion', ' ')}   {x:8.3f}{y:8.3f}{z:8.3f}"
    )
    return f"{columns}{more.get('occupancy', 1.0):6.2f}{b:>6}      {'':4}{atom[0]:>2}"


def atoms(sequence, plddt=PREDICTED, numbers=None, names=None, **more):
    """The lines of a chain's backbone, three a residue."""
    numbers = range(1, len(sequence) + 1) if numbers is None else numbers
    found = []
    for row, (name, number) in enumerate(zip(names or names_of(sequence), numbers, strict=False)):
        b = plddt[row] if isinstance(plddt[row], str) else f"{plddt[row]:.2f}"
        for slot, atom in enumerate(("N", "CA", "C")):
            found.append(line(3 * row + slot + 1, atom, name, number, TRUE[row, slot], b, **more))
    return found


def seqres(sequence, chain="A"):
    names = names_of(sequence)
    return [
        f"SEQRES {start // 13 + 1:3d} {chain} {len(names):4d}  "
        + " ".join(names[start : start + 13])
        for start in range(0, len(names), 13)
    ]


def pdb(*lines, end="\n"):
    return "".join(f"{text}{end}" for text in lines).encode()


def whole(sequence, plddt=PREDICTED, **more):
    return pdb(*atoms(sequence, plddt, **more), "TER", "END")


def cif(sequence, b=PREDICTED, extra="", drop=(), block="data_x", count=LENGTH):
    """mmCIF with the sequence declared; `b` a column of numbers or texts."""
    names = names_of(sequence)
    columns = "group_PDB id label_atom_id label_comp_id label_asym_id label_entity_id label_seq_id"
    columns += " Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_asym_id auth_seq_id"
    columns = columns.split()
    rows = []
    for row in range(count):
        for slot, atom in enumerate(("N", "CA", "C")):
            cells = ["ATOM", 3 * row + slot + 1, atom, names[row], "A", 1, row + 1]
            cells += [f"{x:.3f}" for x in TRUE[row, slot]] + [1.0, b[row], "A", row + 1]
            rows.append(dict(zip(columns, map(str, cells), strict=True)))
    kept = [column for column in columns if column not in drop]
    text = f"{block}\n#\nloop_\n_entity.id\n_entity.type\n1 polymer\n2 non-polymer\n#\n"
    text += "loop_\n_entity_poly_seq.entity_id\n_entity_poly_seq.num\n_entity_poly_seq.mon_id\n"
    text += "".join(f"1 {number} {name}\n" for number, name in enumerate(names, 1)) + f"#\n{extra}"
    text += "loop_\n" + "".join(f"_atom_site.{column}\n" for column in kept)
    text += "".join(" ".join(row[column] for column in kept) + "\n" for row in rows)
    return text.encode() + b"#\n"


def metric(kind, values):
    text = "loop_\n_ma_qa_metric.id\n_ma_qa_metric.mode\n_ma_qa_metric.name\n_ma_qa_metric.type\n"
    text += f"1 global pLDDT {kind}\n2 local pLDDT {kind}\n#\nloop_\n"
    items = ("label_asym_id", "label_seq_id", "metric_id", "metric_value")
    text += "".join(f"_ma_qa_metric_local.{item}\n" for item in items)
    return text + "".join(f"A {n} 2 {value:.4f}\n" for n, value in enumerate(values, 1)) + "#\n"


def bcif(sequence):
    """BinaryCIF with each of the encodings that its specification names."""

    def array(values, kind, number):
        data = np.asarray(values, kind).tobytes()
        return {"data": data, "encoding": [{"kind": "ByteArray", "type": number}]}

    def fixed(values):
        whole = np.round(np.asarray(values) * 1000).astype(int)
        steps = np.diff(whole, prepend=whole[0])
        packed = [part for step in steps for part in _packed(int(step))]
        data = array(packed, "<i2", 2)
        data["encoding"] = [
            {"kind": "FixedPoint", "factor": 1000, "srcType": 33},
            {"kind": "Delta", "origin": int(whole[0]), "srcType": 3},
            {"kind": "IntegerPacking", "byteCount": 2, "isUnsigned": False, "srcSize": len(steps)},
            *data["encoding"],
        ]
        return data

    def texts(values):
        known = list(dict.fromkeys(values))
        numbers = array([known.index(value) for value in values], "u1", 4)
        offsets = array(np.cumsum([0, *map(len, known)]), "<i4", 3)
        return {
            "data": numbers["data"],
            "encoding": [
                {
                    "kind": "StringArray",
                    "stringData": "".join(known),
                    "dataEncoding": numbers["encoding"],
                    "offsets": offsets["data"],
                    "offsetEncoding": offsets["encoding"],
                }
            ],
        }

    def runs(values):
        found = [[value, 3] for value in values]
        data = array(np.ravel(found), "<i4", 3)
        data["encoding"] = [{"kind": "RunLength", "srcType": 3, "srcSize": 0}, *data["encoding"]]
        return data

    count = 3 * LENGTH
    steps = {"kind": "IntervalQuantization", "min": 0.0, "max": 655.35, "numSteps": 65536}
    quanta = array(np.repeat(np.round(PREDICTED * 100), 3), "<u2", 5)
    quanta["encoding"].insert(0, {**steps, "srcType": 33})
    columns = {
        "group_PDB": texts(["ATOM"] * count),
        "label_atom_id": texts(["N", "CA", "C"] * LENGTH),
        "label_comp_id": texts([name for name in names_of(sequence) for _ in range(3)]),
        "auth_asym_id": texts(["A"] * count),
        "auth_seq_id": runs(range(1, LENGTH + 1)),
        **{f"Cartn_{axis}": fixed(TRUE[:, :, i].ravel()) for i, axis in enumerate("xyz")},
        "B_iso_or_equiv": quanta,
    }
    table = [{"name": name, "data": data, "mask": None} for name, data in columns.items()]
    category = {"name": "_atom_site", "rowCount": count, "columns": table}
    block = {"header": "X", "categories": [category]}
    return msgpack.packb({"encoder": "test", "version": "0.3.0", "dataBlocks": [block]})


def _packed(value):
    """A number as 16-bit parts: ends of the range, then the rest."""
    while not -32768 < value < 32767:
        end = 32767 if value > 0 else -32768
        yield end
        value -= end
    yield value


# ---------------------------------------------------------------------- confidence


@case(OK)
def _plddt_of_0_to_100(s):
    return whole(s)


@case(OK, "0 to 1")
def _plddt_of_0_to_1(s):
    return whole(s, [f"{value / 100:.4f}" for value in PREDICTED])


@case(UNKNOWN, "every B-factor is 1")
def _all_one(s):
    return whole(s, np.ones(LENGTH))


@case(UNKNOWN, "every B-factor is 0")
def _all_zero(s):
    return whole(s, np.zeros(LENGTH))


@case(UNKNOWN, "every B-factor is 20")
def _default_of_a_library(s):
    return whole(s, np.full(LENGTH, 20.0))


@case(UNKNOWN, "every B-factor is 70.25")
def _the_same_for_all(s):
    return whole(s, np.full(LENGTH, 70.25))


@case(UNKNOWN, "every B-factor is 0.5")
def _the_same_of_0_to_1(s):
    return whole(s, np.full(LENGTH, 0.5))


@case(UNKNOWN, "every B-factor is 50")
def _the_same_where_there_is_one(s):
    return whole(s, ["50.00"] * (LENGTH // 2) + [""] * (LENGTH - LENGTH // 2))


@case(UNKNOWN, "every pLDDT value is 90", ".cif")
def _modelcif_of_one_value(s):
    return cif(s, extra=metric("pLDDT", np.full(LENGTH, 90.0)))


@case(UNKNOWN, "no B-factors")
def _lines_of_54_columns(s):
    return pdb(*(text[:54] for text in atoms(s)))


@case(UNKNOWN, "no B-factors")
def _blank_b_factors(s):
    return whole(s, [""] * LENGTH)


@case(UNKNOWN, "no B-factors")
def _stars(s):
    return whole(s, ["******"] * LENGTH)


@case("error", "confidence: none")
def _b_factors_above_100(s):
    return whole(s, PREDICTED + 80)


@case("error", "confidence: none")
def _negative_b_factors(s):
    return whole(s, PREDICTED - 80)


@case(UNKNOWN, "experimental structure .x-ray")
def _expdta(s):
    return b"EXPDTA    X-RAY DIFFRACTION\n" + whole(s)


@case(OK)
def _expdta_of_a_model(s):
    return b"EXPDTA    THEORETICAL MODEL\n" + whole(s)


@case(UNKNOWN, "experimental structure .electron", ".cif")
def _exptl_method(s):
    return cif(s, extra="_exptl.entry_id x\n_exptl.method 'ELECTRON MICROSCOPY'\n#\n")


@case(UNKNOWN, "no B-factors", ".cif")
def _b_factor_is_a_point(s):
    return cif(s, ["."] * LENGTH)


@case(UNKNOWN, "no B-factors", ".cif")
def _b_factor_is_a_question_mark(s):
    return cif(s, ["?"] * LENGTH)


@case(UNKNOWN, "no B-factors", ".cif")
def _no_column_of_b_factors(s):
    return cif(s, drop=["B_iso_or_equiv"])


@case(OK, "", ".cif")
def _modelcif_beside_other_b_factors(s):
    return cif(s, np.linspace(1, 60, LENGTH), metric("pLDDT", PREDICTED))


@case(OK, "", ".cif")
def _modelcif_of_0_to_1(s):
    return cif(s, ["?"] * LENGTH, metric("'pLDDT in [0,1]'", PREDICTED / 100))


# ------------------------------------------------------------------------- damage


@case("error", "20 of the 40 residues.*truncated")
def _cut_at_the_end_of_a_line(s):
    return pdb(*seqres(s), *atoms(s)[:60])


@case("error", "20 of the 40 residues.*truncated", ".cif")
def _mmcif_cut_at_the_end_of_a_line(s):
    return cif(s, count=20)


@case("error", "line 85.*ends within it")
def _cut_within_a_line(s):
    return pdb(*atoms(s)[:85])[:-16]


@case("error", "not readable", ".cif")
def _mmcif_cut_within_a_line(s):
    return cif(s)[:-20]


@case("error", "gzip is truncated", ".pdb.gz")
def _cut_gzip(s):
    return gzip.compress(whole(s))[:-30]


@case("error", "after the end of the gzip is something else", ".pdb.gz")
def _text_after_gzip(s):
    return gzip.compress(whole(s)) + whole(s)


@case("error", "after the end of the xz is something else", ".cif.xz")
def _text_after_xz(s):
    return lzma.compress(cif(s)) + b"\n"


@case(OK, "", ".pdb.gz")
def _zeros_after_gzip(s):
    return gzip.compress(whole(s)) + bytes(512)


@case("error", "empty")
def _empty(s):
    return b""


@case("error", "empty")
def _nothing_but_zeros(s):
    return bytes(5000)


@case("error", "no coordinates in columns")
def _no_coordinates(s):
    return pdb(*(f"{text[:30]}{'':24}{text[54:]}" for text in atoms(s)))


@case("error", "no coordinates in columns 31 to 54")
def _coordinates_that_are_stars(s):
    return pdb(*(f"{text[:30]}********{text[38:]}" for text in atoms(s)))


@case("error", "no protein chain")
def _water_alone(s):
    return pdb(*(line(i, "O", "HOH", i, TRUE[i, 1], "1.00", record="HETATM") for i in range(9)))


@case("error", "a PDB file without atoms")
def _header_alone(s):
    return pdb("HEADER    NOTHING", *seqres(s), "END")


# --------------------------------------------------------------------------- text


@case(OK)
def _byte_order_mark(s):
    return b"\xef\xbb\xbf" + whole(s)


@case(OK, "", ".cif")
def _byte_order_mark_in_mmcif(s):
    return b"\xef\xbb\xbf" + cif(s)


@case(OK)
def _utf_16(s):
    return whole(s).decode().encode("utf-16")


@case(OK)
def _line_ends_of_windows(s):
    return pdb(*seqres(s), *atoms(s), "END", end="\r\n")


@case(OK)
def _line_ends_of_old_macs(s):
    return pdb(*seqres(s), *atoms(s), "END", end="\r")


@case(OK)
def _comment_first(s):
    return b"# made by a tool\n\n" + whole(s)


@case(OK, "", ".cif")
def _data_in_capitals(s):
    return cif(s, block="DATA_X")


@case(OK, "", ".cif")
def _atoms_in_the_second_block(s):
    return b"data_first\n_entry.id first\n#\n" + cif(s)


# ------------------------------------------------------------------- columns, names


@case(OK)
def _names_on_the_left_without_elements(s):
    return pdb(*(f"{t[:12]}{t[12:16].strip():<4}{t[16:66]}" for t in atoms(s)))


@case(OK)
def _columns_73_to_80_of_old_files(s):
    return pdb(*(f"{text[:66]}      1ABC{i:4d}" for i, text in enumerate(atoms(s))), "END")


@case(OK, "", ".cif")
def _ligand_of_eight_letters(s):
    ligand = b"HETATM 999 CA LIGANDXY B 2 . 1.0 2.0 3.0 1.0 50.0 A 900\n#\n"
    return cif(s).removesuffix(b"#\n") + ligand


@case(OK)
def _calcium_and_water(s):
    calcium = line(900, "CA", "CA", 900, (9, 9, 9), "1.00", record="HETATM", spelt="CA  ")
    water = line(901, "O", "HOH", 901, (9, 9, 9), "1.00", record="HETATM")
    return pdb(*atoms(s), "TER", calcium, water, "END")


@case(OK)
def _free_amino_acid_beside_the_chain(s):
    ligand = [
        line(900, a, "GLU", 501, (9, 9, 9), "1.00", record="HETATM") for a in ("N", "CA", "C")
    ]
    return pdb(*atoms(s), *ligand, "END")


@case(OK)
def _names_of_amber(s):
    swap = {"HIS": "HIE", "CYS": "CYX", "ASP": "ASH", "GLU": "GLH", "LYS": "LYN"}
    return whole(s, names=[swap.get(name, name) for name in names_of(s)])


@case(OK)
def _names_of_charmm(s):
    names = [{"HIS": "HSD"}.get(name, name) for name in names_of(s)]
    found = atoms(s, names=names, chain=" ")
    other = atoms("G" * 12, chain=" ")
    segments = [("PROA", text) for text in found] + [("PROB", text) for text in other]
    return pdb(*(f"{text[:66]}      {segment}" for segment, text in segments), "END")


@case(OK)
def _names_of_gromacs_and_of_chain_ends(s):
    swap = {"HIS": "HISD", "LYS": "LYSH", "CYS": "CYS2"}
    names = [swap.get(name, name) for name in names_of(s)]
    names[0], names[-1] = f"N{names_of(s)[0]}", f"C{names_of(s)[-1]}"
    lines = (re.sub(r"^(.{17})(\w{4}) A", r"\1\2A", text) for text in atoms(s, names=names))
    return pdb(*lines, "END")


@case(OK)
def _no_chain(s):
    return whole(s, chain=" ")


@case(OK)
def _chain_of_two_letters(s):
    return pdb(*(f"{text[:20]}AB{text[22:]}" for text in atoms(s)), "END")


# ----------------------------------------------------------------------- numbering


@case(OK)
def _other_numbers(s):
    return whole(s, numbers=range(-5, LENGTH))


@case(OK)
def _numbers_above_9999(s):
    return whole(s, numbers=["9998", "9999", *(f"A{i:03d}" for i in range(LENGTH - 2))])


@case(OK)
def _insertion_codes(s):
    found = atoms(s, numbers=[1, *range(1, LENGTH)])
    found[3:6] = [f"{text[:26]}A{text[27:]}" for text in found[3:6]]
    return pdb(*found, "END")


@case(OK)
def _alternative_locations(s):
    found = atoms(s)
    other = [line(900, a, names_of(s)[4], 5, (0, 0, 0), "1.00", alt="B", occupancy=0.2)
             for a in ("N", "CA", "C")]  # fmt: skip
    return pdb(*found[:15], *other, *found[15:], "END")


@case(OK)
def _record_ter_within_the_chain(s):
    found = atoms(s)
    return pdb(*found[:60], "TER", *found[60:], "END")


# ------------------------------------------------------------------- models, chains


@case(OK)
def _protein_in_the_second_model(s):
    water = line(1, "O", "HOH", 1, (1, 1, 1), "1.00", record="HETATM")
    return pdb("MODEL        1", water, "ENDMDL", "MODEL        2", *atoms(s), "ENDMDL", "END")


@case(OK)
def _another_chain_first(s):
    return pdb(*atoms(s[::-1], chain="B"), "TER", *atoms(s), "TER", "END")


@case(OK)
def _two_chains_under_one_name(s):
    return pdb(*atoms("GGSGG" * 4), "TER", *atoms(s), "TER", "END")


@case("mismatch", "another sequence")
def _another_protein(s):
    return whole(s[::-1])


@case("mismatch", "only a part of the protein.*100.0 % of the structure.*30.0 % of the protein's")
def _part(s):
    return whole(s[:12])


# ----------------------------------------------------------------- packing, types


@case(OK, "", ".pdb.gz")
def _gzip(s):
    return gzip.compress(whole(s))


@case(OK, "", ".pdb.bz2")
def _bzip2(s):
    return bz2.compress(whole(s))


@case(OK, "", ".cif.xz")
def _xz(s):
    return lzma.compress(cif(s))


@case(OK, "", ".cif.zst")
def _zstd(s):
    return zstandard.compress(cif(s))


@case(OK, "", ".bcif")
def _binary_cif(s):
    return bcif(s)


@case(OK, "", ".bcif.gz")
def _binary_cif_in_gzip(s):
    return gzip.compress(bcif(s))


@case("error", "zip archive; unpack it", ".pdb.zip")
def _zip(s):
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.pdb", whole(s))
    return packed.getvalue()


@case("error", "foldcomp decompress", ".fcz")
def _foldcomp(s):
    return b"FCMP" + bytes(100)


@case("error", "HTML")
def _page_of_an_error(s):
    return b"<!DOCTYPE html><html>404</html>"


@case("missing", "no source has it", ".a3m")
def _alignment_alone(s):
    return f">x\n{s}\n".encode()


@case(OK, "", "")
def _other_files_beside_it(s):
    other = {".a3m": f">x\n{s}\n".encode(), ".json": b"{}", ".npz": b"PK\x03\x04", ".cif": b""}
    return other | {".bcif": b"\x83\xa7encoder", ".pdb": whole(s)}


@case(OK, "", "")
def _folder_of_that_name(s):
    return {".cif/": b"", ".pdb": whole(s)}


@case("error", "No such file", "")
def _link_to_nowhere(s):
    return {".pdb": None}


@case(OK, "", "")
def _second_file_is_of_the_protein(s):
    return {".cif": cif(s[::-1]), ".pdb": whole(s)}


# -------------------------------------------------------------------------- tests


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The stage over all cases: store and notes."""
    root = tmp_path_factory.mktemp("nasty")
    folder = root / "models"
    folder.mkdir()
    for name, (make, *_, ending) in CASES.items():
        made = make(sequence_of(name))
        for end, content in (made if isinstance(made, dict) else {ending: made}).items():
            file = folder / f"{name}{end}"
            if end.endswith("/"):
                file.mkdir()
            elif content is None:
                file.symlink_to(folder / "nowhere")
            else:
                file.write_bytes(content)
    source = {"kind": "folder", "path": str(folder), "pattern": "{accession}.*"}
    members = members_of({name: sequence_of(name) for name in CASES})
    settings = StructureSettings(sources=[source])
    store, notes = fetch_structures(members, root, settings, TransportSettings())
    return store, by_accession(members, notes)


def test_the_cases_are_many():
    assert len(CASES) >= 70


@pytest.mark.parametrize("name", CASES)
def test_it_is_read_right_or_refused_with_the_reason(name, run):
    store, notes = run
    _, status, known, message, _ = CASES[name]
    note = notes[name]
    assert (note.status, bool(re.search(message, note.message))) == (status, True), note
    if status != "ok":
        assert note.message
        return
    assert message or not note.message, note
    arrays = store.read(sha256_of_text(sequence_of(name)))
    assert arrays["residue"].tobytes().decode() == sequence_of(name)
    assert arrays["position"].tolist() == list(range(LENGTH))
    np.testing.assert_allclose(arrays["coordinates"], TRUE, atol=5e-4)
    if known:
        np.testing.assert_allclose(arrays["plddt"], PREDICTED, atol=0.04)
        assert note.mean_plddt == pytest.approx(PREDICTED.mean(), abs=0.02)
    else:
        assert np.isnan(arrays["plddt"]).all()
        assert note.mean_plddt is None


def test_the_packed_numbers_of_the_test_itself():
    for value in (0, 5, -5, 32766, 32767, -32768, 100_000, -100_000):
        parts = list(_packed(value))
        assert sum(parts) == value
        assert all(part in (32767, -32768) for part, _ in pairwise(parts))
