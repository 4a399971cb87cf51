"""Folders, archives and tables of contacts as sources of structures."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from halo.errors import HaloError
from halo.structures import parse
from halo.structures.archive import fasta_of_archive, make_index, open_archive, read_index
from halo.structures.contacts import Contacts
from halo.structures.fetch import fetch_structures
from halo.structures.files import FileName, NamePattern, files_by_fragment, open_folder
from halo.structures.parse import StructureError
from halo.structures.resolve import Name
from halo.structures.search import search
from halo.structures.settings import SourceSettings, StructureSettings, TransportSettings
from halo.structures.transport import FetchError

from .test_structures_server import (
    ACCESSIONS,
    by_accession,
    members_of,
    model_cif,
    model_pdb,
    sequence_of,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
SEQUENCES = {name: sequence_of(name) for name in ACCESSIONS[:6]}


def folder_of(path):
    """Six models under AlphaFold DB's names, of three kinds of files."""
    path.mkdir()
    for number, (name, sequence) in enumerate(SEQUENCES.items()):
        stem = f"AF-{name}-F1-model_v4"
        if number % 3 == 0:
            (path / f"{stem}.pdb").write_bytes(model_pdb(sequence))
        elif number % 3 == 1:
            (path / f"{stem}.cif.gz").write_bytes(gzip.compress(model_cif(sequence)))
        else:
            (path / f"{stem}.pdb.gz").write_bytes(gzip.compress(model_pdb(sequence)))
    return path


def tar_of(path, folder, mode="w", prefix=""):
    with tarfile.open(path, mode) as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, prefix + file.name)
    return path


def job(proteins, root, **settings):
    members = members_of(proteins)
    store, notes = fetch_structures(
        members, root, StructureSettings(**settings), TransportSettings()
    )
    return store, by_accession(members, notes)


# ------------------------------------------------------------------------- patterns


def test_a_pattern_tells_what_a_name_means():
    pattern = NamePattern("AF-{accession}-F{fragment}-model_v{version}.*")
    assert pattern.read("AF-P12345-F2-model_v4.pdb.gz") == FileName("P12345", 2, "4")
    assert pattern.read("AF-P12345-2-F1-model_v6.cif") == FileName("P12345-2", 1, "6")
    assert pattern.read("AF-P12345-F1-predicted_aligned_error_v4.json") is None
    own = NamePattern("{accession}.pdb")
    assert own.read("my.protein_1.pdb") == FileName("my.protein_1", 1, "")
    assert own.read(".hidden.pdb") is None
    assert NamePattern("a+b-{accession}").read("aab-x") is None


@pytest.mark.parametrize(
    "pattern", ["x.pdb", "{accession}{accession}", "{id}.pdb", "{accession}-{fragment}-{fragment}"]
)
def test_patterns_that_cannot_work_are_refused(pattern):
    with pytest.raises(HaloError, match="pattern"):
        NamePattern(pattern)


def test_the_newest_version_with_the_most_fragments_is_taken(caplog):
    pattern = NamePattern("AF-{accession}-F{fragment}-model_v{version}.*")
    files = [
        "AF-P1-F1-model_v4.pdb",
        "AF-P1-F2-model_v10.pdb",
        "AF-P1-F1-model_v10.pdb",
        "AF-P1-F1-model_v10.cif",
        "AF-P1-F2-model_v4.pdb",
    ]
    names = {file: pattern.read(file) for file in files}
    assert files_by_fragment(names, None) == {
        "P1": {
            1: ["AF-P1-F1-model_v10.cif", "AF-P1-F1-model_v10.pdb"],
            2: ["AF-P1-F2-model_v10.pdb"],
        }
    }
    assert list(files_by_fragment(names, 4)["P1"]) == [1, 2]
    assert files_by_fragment(names, 5) == {}
    assert not caplog.messages
    part = {
        file: pattern.read(file) for file in ("AF-P1-F1-model_v11.pdb", "AF-P2-F1-model_v4.pdb")
    }
    chosen = files_by_fragment(names | part, None)
    assert chosen["P1"] == files_by_fragment(names, None)["P1"]
    assert list(chosen["P2"]) == [1]
    assert "P1, of which version 11 has 1 and version 10 has 2" in caplog.text
    assert list(files_by_fragment(names | part, 11)["P1"]) == [1]


# -------------------------------------------------------------------------- folders


def test_a_folder_of_all_kinds_of_files(tmp_path):
    folder = folder_of(tmp_path / "models")
    (folder / "notes.txt").write_text("not a model")
    store, notes = job(SEQUENCES, tmp_path, sources=[{"kind": "folder", "path": str(folder)}])
    assert {note.status for note in notes.values()} == {"ok"}
    assert {note.version for note in notes.values()} == {"4"}
    for bucket in members_of(SEQUENCES).values():
        for member in bucket:
            assert store.read(member.seq_hash)["residue"].tobytes().decode() == member.sequence


def test_how_a_model_is_packed_makes_no_difference_to_its_digest(tmp_path):
    for name, content in (("a.pdb", bytes), ("b.pdb", gzip.compress)):
        (tmp_path / name).write_bytes(content(model_pdb("ACDEG")))
    source = open_folder(
        SourceSettings("folder", str(tmp_path), "{accession}.pdb"), frozenset("ab")
    )
    assert source.find("a", "").sha256 == source.find("b", "").sha256


def test_of_several_unusable_files_each_is_named(tmp_path):
    sequence = "ACDEGKL" * 3
    for name, content in (
        ("one.pdb", model_pdb(sequence, plddt=150)),
        ("one.cif", model_pdb(sequence, plddt=-1)),
    ):
        (tmp_path / name).write_bytes(content)
    source = {"kind": "folder", "path": str(tmp_path), "pattern": "{accession}.*"}
    _, notes = job({"one": sequence}, tmp_path, sources=[source])
    for name in ("one.pdb", "one.cif"):
        assert f"{tmp_path}/{name}: the B-factors" in notes["one"].message


def test_own_structures_by_id_without_plddt(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "protein 1.pdb").write_bytes(b"")
    (tmp_path / "mine" / "protein_1.pdb").write_bytes(model_pdb("ACDEGKL" * 3, plddt=150))
    source = {"kind": "folder", "path": str(tmp_path / "mine"), "pattern": "{accession}.pdb"}
    sequences = {"protein_1": "ACDEGKL" * 3}
    _, notes = job(sequences, tmp_path, sources=[source])
    assert notes["protein_1"].status == "error"
    assert notes["protein_1"].message.startswith(f"{tmp_path}/mine/protein_1.pdb: the B-factors")
    assert "`--confidence none`, or in a configuration `confidence: none`" in (
        notes["protein_1"].message
    )
    store, notes = job(sequences, tmp_path, sources=[{**source, "confidence": "none"}])
    note = notes["protein_1"]
    assert (note.status, note.resolved, note.mean_plddt) == ("ok", "name", None)
    (member,) = (m for bucket in members_of(sequences).values() for m in bucket)
    assert np.isnan(store.read(member.seq_hash)["plddt"]).all()


def test_an_isoform_gets_the_canonical_model_only_if_it_fits(tmp_path):
    folder = folder_of(tmp_path / "models")
    name = ACCESSIONS[0]
    sequences = {f"{name}-2": SEQUENCES[name][:57], f"{name}-3": SEQUENCES[name][:20] + "K" * 40}
    _, notes = job(sequences, tmp_path, sources=[{"kind": "folder", "path": str(folder)}])
    assert notes[f"{name}-2"].accession == name
    assert notes[f"{name}-2"].status == "ok"
    assert notes[f"{name}-3"].status == "mismatch"
    assert "another sequence" in notes[f"{name}-3"].message


def test_what_covers_too_little_or_has_one_wrong_fragment_is_a_mismatch(tmp_path):
    sequence = sequence_of("long", 100)
    pieces = {
        "P10001": [sequence[:60]],
        "P10002": [sequence[:40]],
        "P10003": [sequence[:60], sequence[40:]],
        "P10004": [sequence[:60], sequence_of("else", 60)],
    }
    folder = tmp_path / "models"
    folder.mkdir()
    for name, fragments in pieces.items():
        for number, fragment in enumerate(fragments, start=1):
            file = folder / f"AF-{name}-F{number}-model_v4.pdb"
            file.write_bytes(model_pdb(fragment))
    notes = {}
    for name in pieces:  # one sequence under four names, so four stores
        source = {"kind": "folder", "path": str(folder)}
        notes |= job({name: sequence}, tmp_path / name, sources=[source])[1]
    assert {name: note.status for name, note in notes.items()} == {
        "P10001": "ok",
        "P10002": "mismatch",
        "P10003": "ok",
        "P10004": "mismatch",
    }
    assert "40.0 % of the protein's" in notes["P10002"].message
    assert [notes[name].n_residues for name in ("P10001", "P10003")] == [60, 100]


def test_sources_are_tried_in_order_and_a_mismatch_leads_to_the_next(tmp_path):
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    for folder, sequence in ((wrong, sequence_of("else")), (right, SEQUENCES["P10000"])):
        folder.mkdir()
        (folder / "P10000.pdb").write_bytes(model_pdb(sequence))
    sources = [
        {"kind": "folder", "path": str(folder), "pattern": "{accession}.*"}
        for folder in (wrong, right)
    ]
    _, notes = job({"P10000": SEQUENCES["P10000"]}, tmp_path, sources=sources)
    assert notes["P10000"].status == "ok"
    _, notes = job({"P10000": SEQUENCES["P10000"]}, tmp_path, sources=sources[:1])
    assert notes["P10000"].status == "mismatch"


def test_a_source_that_fails_is_not_passed_over(tmp_path):
    """A less preferred source must not win because of a passing fault of a better one."""

    class Failing:
        def candidates(self, name, sequence):
            raise FetchError("down")

    class Good:
        def candidates(self, name, sequence):
            raise AssertionError("must not be asked")

    sources = [(SourceSettings("afdb"), Failing()), (SourceSettings("afdb"), Good())]
    result = search("ACD", [Name("P12345", "accession")], sources, StructureSettings())
    assert (result.note.status, result.note.message) == ("error", "down")


@pytest.mark.parametrize("kind", ["folder", "archive", "contacts"])
def test_a_source_that_is_not_there_is_an_error_of_the_configuration(tmp_path, kind):
    source = {"kind": kind, "path": str(tmp_path / "nowhere.tar")}
    with pytest.raises(HaloError, match=r"nowhere\.tar.*fix the path"):
        job(SEQUENCES, tmp_path, sources=[source])
    assert SourceSettings(kind).faults()[0][0] == "path"


def test_a_folder_without_a_fitting_name_is_an_error(tmp_path):
    (tmp_path / "a.pdb").write_bytes(model_pdb("ACD"))
    with pytest.raises(HaloError, match="fix the pattern"):
        job(SEQUENCES, tmp_path, sources=[{"kind": "folder", "path": str(tmp_path)}])


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.pdb").write_bytes(model_pdb("ACDEG"))
    source = open_folder(SourceSettings("folder", str(tmp_path), "{accession}.pdb"), frozenset("a"))
    monkeypatch.setattr("halo.structures.files.MAX_BYTES", 100)
    with pytest.raises(parse.TooLargeError):
        source.find("a", "")


# ------------------------------------------------------------------------- archives


@pytest.mark.parametrize("prefix", ["", "./some/folder/"])
def test_an_archive_gives_what_its_folder_gives(tmp_path, prefix):
    folder = folder_of(tmp_path / "models")
    path = tar_of(tmp_path / "all.tar", folder, prefix=prefix)
    store, notes = job(SEQUENCES, tmp_path, sources=[{"kind": "archive", "path": str(path)}])
    other, expected = job(SEQUENCES, tmp_path, sources=[{"kind": "folder", "path": str(folder)}])
    assert {name: note.sha256 for name, note in notes.items()} == {
        name: note.sha256 for name, note in expected.items()
    }
    for bucket in members_of(SEQUENCES).values():
        for member in bucket:
            ours, theirs = store.read(member.seq_hash), other.read(member.seq_hash)
            assert all((ours[name] == theirs[name]).all() for name in ours)


def test_the_index_is_made_once_and_again_for_another_archive(tmp_path, monkeypatch):
    folder = folder_of(tmp_path / "models")
    path = tar_of(tmp_path / "all.tar", folder)
    first = read_index(path, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    monkeypatch.setattr("halo.structures.archive.make_index", None)
    again = read_index(path, tmp_path / "cache")
    assert first.name.tolist() == again.name.tolist()
    monkeypatch.undo()
    file.write_bytes(b"damaged")
    assert read_index(path, tmp_path / "cache").offset.tolist() == first.offset.tolist()
    (folder / "AF-P99999-F1-model_v4.pdb").write_bytes(model_pdb("ACD"))
    tar_of(path, folder)
    assert len(read_index(path, tmp_path / "cache").name) == len(first.name) + 1


def test_several_archives_by_wildcard(tmp_path):
    folder = folder_of(tmp_path / "models")
    for number, file in enumerate(sorted(folder.iterdir())):
        with tarfile.open(tmp_path / f"part{number}.tar", "w") as archive:
            archive.add(file, file.name)
    source = SourceSettings("archive", str(tmp_path / "part*.tar"))
    files = open_archive(source, frozenset(SEQUENCES), tmp_path / "cache")
    for name, sequence in SEQUENCES.items():
        assert files.find(name, sequence).fragments[0][0].letters == sequence


def test_files_of_one_name_in_several_archives_are_all_tried(tmp_path):
    """The first tar has a model of another sequence under this name."""
    name, sequence = next(iter(SEQUENCES.items()))
    for number, letters in enumerate((sequence[::-1], sequence)):
        folder = tmp_path / f"models{number}"
        folder.mkdir()
        (folder / f"AF-{name}-F1-model_v4.pdb").write_bytes(model_pdb(letters))
        tar_of(tmp_path / f"part{number}.tar", folder)
    source = {"kind": "archive", "path": str(tmp_path / "part*.tar")}
    _, notes = job({name: sequence}, tmp_path, sources=[source])
    assert notes[name].status == "ok"


def test_archives_that_are_cut_off_or_packed_are_refused(tmp_path):
    folder = folder_of(tmp_path / "models")
    content = tar_of(tmp_path / "all.tar", folder).read_bytes()
    last_header = content.rfind(b"AF-P1000")
    for bad in (content[: last_header + 100], gzip.compress(content), b"", b"x" * 2000):
        path = tmp_path / "bad.tar"
        path.write_bytes(bad)
        with pytest.raises(HaloError, match=r"bad\.tar"):
            make_index(path)


def test_a_member_that_is_cut_off_is_refused(tmp_path):
    folder = folder_of(tmp_path / "models")
    path = tar_of(tmp_path / "all.tar", folder)
    files = open_archive(
        SourceSettings("archive", str(path)), frozenset(SEQUENCES), tmp_path / "cache"
    )
    with path.open("rb+") as file:
        file.truncate(2000)
    with pytest.raises(StructureError, match="truncated"):
        files.find(ACCESSIONS[5], SEQUENCES[ACCESSIONS[5]])


def test_the_sequences_of_an_archive(tmp_path):
    folder = folder_of(tmp_path / "models")
    (folder / "AF-P99999-F1-model_v4.pdb").write_bytes(b"damaged")
    (folder / "AF-P99998-F1-model_v4.pdb").write_bytes(model_pdb("ACD"))
    (folder / "AF-P99998-F2-model_v4.pdb").write_bytes(model_pdb("CDE"))
    path = tar_of(tmp_path / "all.tar", folder)
    fasta = fasta_of_archive(path, tmp_path / "cache")
    expected = "".join(f">AFDB:AF-{name}-F1\n{SEQUENCES[name]}\n" for name in sorted(SEQUENCES))
    assert fasta.read_text() == expected
    ids = {f"ENSP{number:011d}": sequence for number, sequence in enumerate(SEQUENCES.values())}
    _, notes = job(
        ids, tmp_path, sources=[{"kind": "archive", "path": str(path)}], sequences=str(path)
    )
    assert {(note.status, note.resolved) for note in notes.values()} == {("ok", "sequence")}


# ------------------------------------------------------------------------- contacts


def table_of(path, proteins):
    """`proteins`: accession to (length, pairs)."""
    di, dj, offsets = [], [], [0]
    for _, pairs in proteins.values():
        first = np.array([pair[0] for pair in pairs], dtype=np.int64)
        di += np.diff(first, prepend=0).tolist()
        dj += [j - i for i, j in pairs]
        offsets.append(len(di))
    lengths = [length for length, _ in proteins.values()]
    arrays = {"n_res": lengths, "offsets": offsets, "di": di, "dj": dj}
    typed = {name: np.array(values, np.int64) for name, values in arrays.items()}
    np.savez(path, accession=np.array(list(proteins)), **typed)


def test_contacts_of_the_right_length_are_stored(tmp_path):
    pairs = [(0, 4), (0, 9), (3, 7)]
    table_of(tmp_path / "edges_0.npz", {"P12345": (10, pairs), "P12346": (10, [])})
    table_of(tmp_path / "edges_1.npz", {"P12347": (9, [])})
    sequences = {"P12345-2": "A" * 10, "P12346": "C" * 10, "P12347": "D" * 10, "P12348": "E" * 10}
    sources = [{"kind": "contacts", "path": str(tmp_path)}]
    store, notes = job(sequences, tmp_path, sources=sources)
    statuses = {name: note.status for name, note in notes.items()}
    assert statuses == {
        "P12345-2": "ok",
        "P12346": "ok",
        "P12347": "mismatch",
        "P12348": "missing",
    }
    assert (notes["P12345-2"].n_residues, notes["P12345-2"].mean_plddt) == (10, None)
    for bucket in members_of(sequences).values():
        for member in bucket:
            arrays = store.read(member.seq_hash)
            assert len(arrays["coordinates"]) == len(arrays["fragment"]) == 0
            found = arrays["contacts"].tolist()
            assert found == ([list(p) for p in pairs] if member.accessions[0] == "P12345-2" else [])


@pytest.mark.parametrize("pairs", [[(0, 10)], [(3, 3)], [(5, 2)]])
def test_contacts_outside_of_the_protein_are_refused(tmp_path, pairs):
    table_of(tmp_path / "bad.npz", {"P12345": (10, pairs)})
    with pytest.raises(HaloError, match=r"bad\.npz.*P12345"):
        Contacts(SourceSettings("contacts", str(tmp_path)), frozenset(["P12345"]))


def test_a_pair_that_is_given_twice_counts_once(tmp_path):
    table_of(tmp_path / "edges.npz", {"P12345": (10, [(0, 5), (0, 5), (2, 6)])})
    source = Contacts(SourceSettings("contacts", str(tmp_path)), frozenset(["P12345"]))
    assert source.find("P12345", "A" * 10).contacts.tolist() == [[0, 5], [2, 6]]


@pytest.mark.parametrize(
    "change",
    [
        {"di": [0, 0, 3], "dj": [4, 9, 4]},
        {"di": [0, 0, 3, 0]},
        {"offsets": [0, 5, 3]},
        {"offsets": [1, 3, 5]},
        {"offsets": [0, 3]},
        {"n_res": [10]},
    ],
)
def test_tables_that_are_cut_off_are_refused(tmp_path, change):
    """The second protein would have lost contacts, or had those of the first."""
    pairs = [(0, 4), (0, 9), (3, 7)]
    table_of(tmp_path / "bad.npz", {"P12345": (10, pairs), "P12346": (10, pairs[:2])})
    with np.load(tmp_path / "bad.npz") as table:
        arrays = dict(table) | {name: np.array(values) for name, values in change.items()}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(HaloError, match=r"bad\.npz.*(offsets|lengths)"):
        Contacts(SourceSettings("contacts", str(tmp_path)), frozenset(["P12346"]))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"text"])
def test_tables_that_are_none_are_refused(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(HaloError, match=r"bad\.npz"):
        Contacts(SourceSettings("contacts", str(tmp_path)), frozenset(["P12345"]))
    packed = io.BytesIO()
    np.savez(packed, accession=np.array(["P12345"]))
    (tmp_path / "bad.npz").write_bytes(packed.getvalue())
    with pytest.raises(HaloError, match=r"bad\.npz"):
        Contacts(SourceSettings("contacts", str(tmp_path)), frozenset(["P12345"]))


@pytest.mark.skipif(not (DATA / "af2_contacts").is_dir(), reason="shared/data is not there")
def test_real_contacts_are_those_of_the_real_models():
    """Every stored contact is one of the model's below 10 angstrom (CA), and most are stored."""
    names = [path.name.split("-")[1] for path in sorted((DATA / "afdb").glob("*.gz"))[::30]]
    contacts = Contacts(SourceSettings("contacts", str(DATA / "af2_contacts")), frozenset(names))
    models = open_folder(SourceSettings("folder", str(DATA / "afdb")), frozenset(names))
    seen = 0
    for name in names:
        model = contacts.find(name, "")
        if model is None:
            continue
        seen += 1
        ca = models.find(name, "").fragments[0][0].coordinates[:, 1].astype(np.float64)
        assert model.length == len(ca)
        distance = np.sqrt(((ca[:, None] - ca[None]) ** 2).sum(axis=2))
        true = np.stack(np.nonzero(np.triu(distance < 10, 1)), axis=1)
        i, j = model.contacts.T.astype(int)
        assert (distance[i, j] < 10).all()
        assert len(i) > 0.9 * len(true)
    assert seen > 5
