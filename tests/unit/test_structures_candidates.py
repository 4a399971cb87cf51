"""Selection of a protein's file: types, names, folders, archives, and replaced files."""

import io
import os
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from halo.errors import HaloError
from halo.files import read_text_table, sha256_of_text
from halo.proteins.members import read_names, write_members
from halo.structures.archive import make_index, open_archive
from halo.structures.fetch import fetch_structures
from halo.structures.files import NamePattern, open_folder, type_of
from halo.structures.layout import Note
from halo.structures.parse import parse_structure
from halo.structures.resolve import read_name_table
from halo.structures.settings import SourceSettings, StructureSettings, TransportSettings
from halo.structures.stage import structures_of_shard
from halo.structures.unused import unused_files

from .test_structures_server import by_accession, members_of, model_cif, model_pdb, sequence_of

DOCS = (Path(__file__).parents[2] / "docs" / "how-to" / "structures.md").read_text(encoding="utf-8")
SEQUENCE = sequence_of("candidates", 60)


def job(proteins, root, *sources, **settings):
    members = members_of(proteins)
    settings = StructureSettings(sources=sources, **settings)
    store, notes = fetch_structures(members, root, settings, TransportSettings())
    return store, by_accession(members, notes)


def folder(path, files, pattern="{accession}.*"):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return {"kind": "folder", "path": str(path), "pattern": pattern}


def plddt_of(store, sequence=SEQUENCE):
    return store.read(sha256_of_text(sequence))["plddt"][0]


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    ["NP_000537.3", "gene:1", "a+b", "a b", "ENSP00000354587.3", "x|y", "P12345.1", "A.pdb", "é"],
)
def test_an_id_is_looked_up_in_the_names_of_the_files(tmp_path, name):
    source = folder(tmp_path / "models", {f"{name}.pdb": model_pdb(SEQUENCE)})
    _, notes = job({name: SEQUENCE}, tmp_path, source)
    assert notes[name].status == "ok"


@pytest.mark.parametrize(
    ("name", "file"),
    [("gene:1", "gene_1.pdb"), ("My Protein", "my_protein.cif"), ("P12345", "p12345.pdb")],
)
def test_names_as_colabfold_and_alphafold_3_write_them(tmp_path, name, file):
    make = model_cif if file.endswith("cif") else model_pdb
    source = folder(tmp_path / "models", {file: make(SEQUENCE)})
    _, notes = job({name: SEQUENCE}, tmp_path, source)
    assert notes[name].status == "ok"


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_file_is_of_the_same_protein_in_every_shard(tmp_path, kind):
    """mut_a.pdb is that of mut_a, and in a shard without mut_a not of Mut_A."""
    source = folder(tmp_path / "models", {"mut_a.pdb": model_pdb(SEQUENCE)})
    if kind == "archive":
        with tarfile.open(tmp_path / "models.tar", "w") as tar:
            tar.add(tmp_path / "models/mut_a.pdb", "mut_a.pdb")
        source = {**source, "kind": kind, "path": str(tmp_path / "models.tar")}
    proteins = {"Mut_A": f"{SEQUENCE[:-1]}A", "mut_a": SEQUENCE, "p2": sequence_of("other")}
    rows = [(name, "", sha256_of_text(text), text) for name, text in proteins.items()]
    table = pd.DataFrame(rows, columns=["id", "accession", "seq_hash", "sequence"])
    write_members(tmp_path / "members", tmp_path / "digests.json", table)
    members = {bucket: some for bucket, some in members_of(proteins).items() if some}
    settings = StructureSettings(sources=[source])
    found = {}
    for bucket in members:
        root = tmp_path / bucket
        structures_of_shard(
            {bucket: members[bucket]}, settings, TransportSettings(), root,
            root / "part.csv", root / "shard.json", read_names(tmp_path / "members"),
        )  # fmt: skip
        found |= read_text_table(root / "part.csv").set_index("seq_hash")["status"].to_dict()
    status = {name: found[sha256_of_text(text)] for name, text in proteins.items()}
    assert status == {"Mut_A": "missing", "mut_a": "ok", "p2": "missing"}


def test_a_spelling_of_two_names_is_of_none(tmp_path):
    source = folder(tmp_path / "models", {"a_b.pdb": model_pdb(SEQUENCE)})
    proteins = {"a:b": SEQUENCE, "a|b": sequence_of("other")}
    _, notes = job(proteins, tmp_path, source)
    assert {note.status for note in notes.values()} == {"missing"}


def test_of_two_names_the_longer_one_has_the_file():
    wanted = {"NP_1": "NP_1", "NP_1.2": "NP_1.2"}
    pattern = NamePattern("{accession}.*")
    assert pattern.find("NP_1.2.pdb", wanted).accession == "NP_1.2"
    assert pattern.find("NP_1.pdb", wanted).accession == "NP_1"
    assert pattern.find("NP_1.3.pdb", wanted).accession == "NP_1"
    assert pattern.find("NP_11.pdb", wanted) is None
    assert NamePattern("*_{accession}.pdb").find("x_y_NP_1.pdb", wanted).accession == "NP_1"


@pytest.mark.parametrize(
    "name",
    [
        "p12345", "P12345.1", "sp|P12345|NAME_HUMAN", "UniRef90_P12345", "UniProtKB:P12345",
        "AF-P12345-F1", "AF-P12345-F1-model_v4", "AFDB:AF-P12345-F1", "tr|P12345", "sp:P12345",
    ],
)  # fmt: skip
def test_an_accession_within_an_id_is_understood(tmp_path, name):
    file = {"AF-P12345-F1-model_v4.pdb": model_pdb(SEQUENCE)}
    source = folder(tmp_path / "models", file, SourceSettings("folder").pattern)
    _, notes = job({name: SEQUENCE}, tmp_path, source)
    assert (notes[name].status, notes[name].resolved) == ("ok", "accession")


def test_an_id_that_no_source_could_be_asked_for_is_not_called_missing_there(tmp_path):
    _, notes = job({"gene:1": SEQUENCE}, tmp_path, {"kind": "afdb"})
    assert notes["gene:1"].status == "missing"
    assert "was not asked" in notes["gene:1"].message
    assert "'gene:1'" in notes["gene:1"].message


def test_files_of_no_protein_are_counted_and_three_are_named(tmp_path):
    files = {f"other_{number}.pdb": b"" for number in range(5)} | {"gene_1.pdb": b"", "x.txt": b""}
    source = SourceSettings(**folder(tmp_path / "models", files))
    (line,) = unused_files([source], ["gene:1"], tmp_path)
    assert "5 of 6 files" in line
    assert line.endswith("other_0.pdb, other_1.pdb, other_2.pdb, ...")
    assert list(unused_files([source], [name[:-4] for name in files], tmp_path)) == []


# --------------------------------------------------------------------------- types


def test_types_of_files():
    names = ["a.cif", "a.cif.gz", "a.bcif", "a.pdb", "a.PDB.zst", "a.ent", "a.fcz", "a.a3m", "a"]
    assert [type_of(name) for name in names] == [0, 0, 1, 2, 2, 2, 3, None, None]


def test_the_next_source_is_tried_after_a_file_that_cannot_be_used(tmp_path):
    bad = folder(tmp_path / "bad", {"P10000.pdb": b"damaged", "P10001.pdb": b"damaged"})
    good = folder(tmp_path / "good", {"P10000.pdb": model_pdb(SEQUENCE)})
    proteins = {"P10000": SEQUENCE, "P10001": sequence_of("x")}
    _, notes = job(proteins, tmp_path, bad, good)
    assert (notes["P10000"].status, notes["P10001"].status) == ("ok", "error")
    assert "bad/P10001.pdb" in notes["P10001"].message


def test_any_number_of_bad_files_ends_no_run(tmp_path):
    proteins = {f"x{number}": sequence_of(number) for number in range(60)}
    files = {f"{name}.pdb": b"damaged" for name in proteins} | {"x7.pdb": model_pdb(proteins["x7"])}
    _, notes = job(proteins, tmp_path, folder(tmp_path / "models", files))
    statuses = [note.status for note in notes.values()]
    assert (statuses.count("error"), statuses.count("ok")) == (59, 1)
    assert all(note.message for note in notes.values() if note.status != "ok")


# ------------------------------------------------------------------- layouts on disk

LAYOUTS = {
    "AlphaFold 3": (
        "*/{accession}_model.cif",
        ["p10000/p10000_model.cif"],
        ["p10000/p10000_confidences.json", "p10000/seed-1_sample-0/p10000_model.cif"],
    ),
    "Boltz": (
        "predictions/*/{accession}_model_0.*",
        ["predictions/P10000/P10000_model_0.cif"],
        ["predictions/P10000/P10000_model_1.cif", "predictions/P10000/plddt_P10000_model_0.npz"],
    ),
    "Chai-1": (
        "{accession}/pred.model_idx_0.cif",
        ["P10000/pred.model_idx_0.cif"],
        ["P10000/pred.model_idx_1.cif", "P10000/scores.model_idx_0.npz"],
    ),
    "ColabFold": (
        "{accession}_*relaxed_rank_001_*.pdb",
        ["P10000_unrelaxed_rank_001_alphafold2_ptm_model_3_seed_000.pdb"],
        ["P10000_unrelaxed_rank_002_alphafold2_ptm_model_1_seed_000.pdb", "P10000.a3m",
         "P10000_scores_rank_001_alphafold2_ptm_model_3_seed_000.json"],
    ),
    "AlphaFold 2, AlphaPulldown": (
        "{accession}/ranked_0.pdb",
        ["P10000/ranked_0.pdb"],
        ["P10000/ranked_1.pdb", "P10000/ranking_debug.json", "P10000/msas/A/x.sto"],
    ),
    "ESMFold": ("{accession}.pdb", ["P10000.pdb"], ["P10000.json"]),
}  # fmt: skip


@pytest.mark.parametrize("program", LAYOUTS)
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_outputs_as_they_lie_on_disk(tmp_path, program, kind):
    pattern, good, others = LAYOUTS[program]
    assert f"`{pattern}`" in DOCS
    make = model_cif if good[0].endswith("cif") else model_pdb
    files = {name: make(SEQUENCE) for name in good}
    wrong = {name: make(sequence_of("wrong", 60)) for name in others}
    source = folder(tmp_path / "out", files | wrong, pattern)
    if kind == "archive":
        with tarfile.open(tmp_path / "out.tar", "w") as archive:
            archive.add(tmp_path / "out", "out")
        source |= {"kind": "archive", "path": str(tmp_path / "out.tar")}
    _, notes = job({"P10000": SEQUENCE}, tmp_path, source)
    assert notes["P10000"].status == "ok", notes


# ------------------------------------------------------------------- replaced files


def test_a_file_that_is_replaced_is_read_again_and_others_are_not(tmp_path, monkeypatch):
    other = sequence_of("unchanged")
    files = {"P10000.pdb": model_pdb(SEQUENCE, 60), "P10001.pdb": model_pdb(other, 60)}
    source = folder(tmp_path / "models", files)
    proteins = {"P10000": SEQUENCE, "P10001": other}
    job(proteins, tmp_path, source)
    read = []

    def noting(text, name):
        read.append(name)
        return parse_structure(text, name)

    monkeypatch.setattr("halo.structures.files.parse_structure", noting)
    job(proteins, tmp_path, source)
    assert read == []
    file = tmp_path / "models" / "P10000.pdb"
    file.write_bytes(model_pdb(SEQUENCE, 80))
    os.utime(file, ns=(1, 1))
    store, notes = job(proteins, tmp_path, source)
    assert read == [str(file)]
    assert (notes["P10000"].mean_plddt, plddt_of(store), plddt_of(store, other)) == (80, 80, 60)
    file.write_bytes(b"damaged")
    store, notes = job(proteins, tmp_path, source)
    assert notes["P10000"].status == "error"
    assert len(store.read(sha256_of_text(SEQUENCE))["coordinates"]) == 0
    file.write_bytes(model_pdb(SEQUENCE, 70))
    assert job(proteins, tmp_path, source)[1]["P10000"].mean_plddt == 70


def test_a_file_that_comes_later_is_found(tmp_path):
    source = folder(tmp_path / "models", {"P10001.pdb": model_pdb(sequence_of("x"))})
    assert job({"P10000": SEQUENCE}, tmp_path, source)[1]["P10000"].status == "missing"
    folder(tmp_path / "models", {"P10000.pdb": model_pdb(SEQUENCE)})
    assert job({"P10000": SEQUENCE}, tmp_path, source)[1]["P10000"].status == "ok"


def test_what_the_store_has_needs_its_folder_no_longer(tmp_path):
    source = folder(tmp_path / "models", {"P10000.pdb": model_pdb(SEQUENCE)})
    job({"P10000": SEQUENCE}, tmp_path, source)
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    assert job({"P10000": SEQUENCE}, tmp_path, source)[1]["P10000"].status == "ok"
    with pytest.raises(HaloError, match="fix the path"):
        job({"P10000": SEQUENCE, "P10001": sequence_of("x")}, tmp_path, source)


def test_a_mean_plddt_of_zero_stays_one():
    note = Note("ok", mean_plddt=0.0)
    assert Note.from_json(note.to_json()).mean_plddt == 0.0
    assert Note.from_json(Note("ok").to_json()).mean_plddt is None


# ------------------------------------------------------------------------ archives


def tar(path, members):
    """A tar of (name, bytes), or of (name, type, target)."""
    with tarfile.open(path, "w") as archive:
        for name, *content in members:
            info = tarfile.TarInfo(name)
            if len(content) == 2:
                info.type, info.linkname = content
                archive.addfile(info)
            else:
                info.size = len(content[0])
                archive.addfile(info, io.BytesIO(content[0]))
    return path


def archive_of(path):
    return {"kind": "archive", "path": str(path), "pattern": "{accession}.pdb"}


def damaged(kind, content, at):
    """A tar with a damage at the header of its second member, which is at byte `at`."""
    if kind == "cut off":
        return content[:at]
    if kind == "cut off within a header":
        return content[: at + 200]
    if kind == "bad header":
        return content[:at] + b"\xff" * 512 + content[at + 512 :]
    if kind == "hole of one block":
        return content[:at] + bytes(512) + content[at + 512 :]
    return content[:at] + bytes(4096) + content[at + 4096 :]


@pytest.mark.parametrize(
    "kind",
    ["cut off", "cut off within a header", "bad header", "hole of one block", "hole of many"],
)
def test_a_damaged_tar_is_an_error_that_names_the_byte(tmp_path, kind):
    first, second = model_pdb(SEQUENCE), model_pdb(sequence_of("second", 100))
    path = tar(tmp_path / "x.tar", [("P10000.pdb", first), ("P10001.pdb", second)])
    at = 512 + -(-len(first) // 512) * 512
    path.write_bytes(damaged(kind, path.read_bytes(), at))
    with pytest.raises(HaloError, match=rf"x\.tar: .*byte {at:,}\b.*again"):
        make_index(path)


def test_an_archive_that_is_replaced_is_asked_again(tmp_path):
    proteins = {"P10000": SEQUENCE, "P10001": sequence_of("second")}
    path = tar(tmp_path / "x.tar", [("P10000.pdb", model_pdb(SEQUENCE))])
    source = archive_of(path)
    assert job(proteins, tmp_path, source)[1]["P10001"].status == "missing"
    tar(path, [(f"{name}.pdb", model_pdb(text, 70)) for name, text in proteins.items()])
    _, notes = job(proteins, tmp_path, source)
    assert {(note.status, note.mean_plddt) for note in notes.values()} == {("ok", 70)}


def test_links_in_an_archive_stand_for_what_they_name(tmp_path):
    path = tar(
        tmp_path / "x.tar",
        [
            ("models/real.pdb", model_pdb(SEQUENCE)),
            ("models/soft.pdb", tarfile.SYMTYPE, "real.pdb"),
            ("hard.pdb", tarfile.LNKTYPE, "models/real.pdb"),
            ("far.pdb", tarfile.SYMTYPE, "models/soft.pdb"),
            ("nowhere.pdb", tarfile.SYMTYPE, "gone.pdb"),
            ("round.pdb", tarfile.SYMTYPE, "round.pdb"),
        ],
    )
    wanted = frozenset(["real", "soft", "hard", "far", "nowhere", "round"])
    source = open_archive(SourceSettings(**archive_of(path)), wanted, tmp_path)
    assert source.accessions == ["far", "hard", "real", "soft"]
    assert source.find("far", "").fragments[0][0].letters == SEQUENCE


def test_of_two_members_of_one_name_the_last_counts_as_for_tar(tmp_path, caplog):
    members = [("P10000.pdb", model_pdb(SEQUENCE, 60)), ("./P10000.pdb", model_pdb(SEQUENCE, 80))]
    source = archive_of(tar(tmp_path / "x.tar", members))
    with caplog.at_level("WARNING"):
        _, notes = job({"P10000": SEQUENCE}, tmp_path, source)
    assert notes["P10000"].mean_plddt == 80
    assert "the last member counts" in caplog.text


def test_members_of_one_name_in_two_folders_are_both_tried(tmp_path):
    members = [("a/P10000.pdb", model_pdb(sequence_of("x"))), ("b/P10000.pdb", model_pdb(SEQUENCE))]
    source = archive_of(tar(tmp_path / "x.tar", members))
    assert job({"P10000": SEQUENCE}, tmp_path, source)[1]["P10000"].status == "ok"


def test_a_folder_where_a_tar_should_be(tmp_path):
    (tmp_path / "models.tar").mkdir()
    with pytest.raises(HaloError, match=r"models\.tar is a folder.*`folder`"):
        job({"P10000": SEQUENCE}, tmp_path, archive_of(tmp_path / "*.tar"))


def test_a_link_to_nowhere_is_that_proteins_alone(tmp_path):
    source = folder(tmp_path / "models", {"P10001.pdb": model_pdb(sequence_of("x"))})
    (tmp_path / "models" / "P10000.pdb").symlink_to("nowhere")
    proteins = {"P10000": SEQUENCE, "P10001": sequence_of("x")}
    _, notes = job(proteins, tmp_path, source)
    assert [notes[name].status for name in proteins] == ["error", "ok"]
    assert open_folder(SourceSettings(**source), frozenset(["P10000"])).state(["P10000"])


# ------------------------------------------------------------------ tables of names


@pytest.mark.parametrize(
    "text",
    [
        "name,accession\ngene:1,P12345\n",
        'name, accession\n"gene:1", "P12345"\n\n\n',
        "accession;name\nP12345;gene:1\n",
        "From\tEntry\tReviewed\tEntry Name\ngene:1\tP12345\treviewed\tX_HUMAN\n",
        "From\tTo\ngene:1\tP12345\n",
        "name,accession\nother,nonsense\ngene:1,P12345\nanother\n",
        "name,accession\ngene:1,p12345\n",
        "\ufeffname,accession\r\ngene:1,P12345.2\r\n",
        "name,accession,note\ngene:1,P12345\n",
    ],
)
def test_tables_of_names_as_they_are_downloaded(tmp_path, text):
    path = tmp_path / "names"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_name_table(path, frozenset(["gene:1"])) == {"gene:1": ["P12345"]}


def test_tables_that_are_no_utf_8_or_cut_off(tmp_path):
    path = tmp_path / "names.csv"
    path.write_bytes("name,accession\nprotéine,P12345\n".encode("latin-1"))
    assert read_name_table(path, frozenset(["protéine"])) == {"protéine": ["P12345"]}
    path.write_bytes(b"\x1f\x8b\x08\x00 cut off")
    with pytest.raises(HaloError, match=r"names\.csv"):
        read_name_table(path, frozenset(["x"]))
