"""Embeddings of files: layouts, what cannot be used and why, and their way into the store."""

import hashlib
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from halo.embeddings import hdf5_names
from halo.embeddings.convert import convert_buckets
from halo.embeddings.embedded import only_embedded
from halo.embeddings.files import EmbeddingFile, index_of, require_usable
from halo.embeddings.index import faults, read_index, write_index
from halo.embeddings.layout import read_embedding
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import FILE, Weights
from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.proteins.members import Member
from halo.proteins.table import Proteins
from halo.store import Store, Writer, bucket_of
from halo.tables.readers import read_records

DIM = 6
ONE = Member(sha256_of_text("MKVLA"), ("P12345", "sp|P12345|ONE_HUMAN"), "MKVLA")
TWO = Member(sha256_of_text("MWW"), ("Q9Y277", "NP_000537.3"), "MWW")


def rows_of(member: Member, extra: int = 0, dtype: str = "float32") -> np.ndarray:
    """Numbers of a protein that float16 represents; rows of special tokens are 99."""
    rng = np.random.default_rng(len(member.sequence))
    rows = rng.integers(-50, 50, (len(member.sequence), DIM)).astype(dtype) / 8
    start = np.full((extra // 2, DIM), 99, dtype)
    return np.concatenate([start, rows, np.full((extra - len(start), DIM), 99, dtype)])


def write(path: Path, content: dict[str, np.ndarray], ids: dict[str, str] | None = None) -> Path:
    with h5py.File(path, "w") as file:
        for key, rows in content.items():
            file[key] = rows
            if ids:
                file[key].attrs["original_id"] = ids[key]
    return path


def by_bucket(*members: Member) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for one in members:
        found.setdefault(bucket_of(one.seq_hash), []).append(one)
    return found


def converted(path: str | Path, root: Path, *members: Member) -> Store:
    weights = Weights("model", str(path), EmbeddingFile(path).digest, source=FILE)
    return convert_buckets(by_bucket(*members), root, weights, EmbeddingSettings())


def faults_of(path: str | Path, *members: Member) -> dict[str, tuple[str, str]]:
    file = EmbeddingFile(path)
    return faults(path, index_of(file, file.entries, values=True), members)


def md5(member: Member) -> str:
    return hashlib.md5(member.sequence.encode()).hexdigest()


LAYOUTS = {
    "accessions, as UniProt": (lambda: {"P12345": ONE, "Q9Y277": TWO}, None),
    "ids": (lambda: {"sp|P12345|ONE_HUMAN": ONE, "NP_000537.3": TWO}, None),
    "headers": (lambda: {"sp|P12345|ONE_HUMAN Protein one": ONE, "NP_000537.3 two": TWO}, None),
    "as ProtTrans": (lambda: {"P12345": ONE, "NP_000537_3": TWO}, None),
    "versions": (lambda: {"P12345": ONE, "NP_000537": TWO}, None),
    "md5, as TMbed": (lambda: {md5(ONE): ONE, md5(TWO): TWO}, None),
    "sha256": (lambda: {ONE.seq_hash: ONE, TWO.seq_hash.upper(): TWO}, None),
    "original_id, as biotrainer": (lambda: {"0": ONE, "1": TWO}, {"0": "P12345", "1": "Q9Y277"}),
    "digest and original_id, as bio_embeddings": (
        lambda: {md5(ONE): ONE, md5(TWO): TWO},
        {md5(ONE): "unknown", md5(TWO): "unknown"},
    ),
    "in groups": (lambda: {"human/P12345": ONE, "sp/Q9Y277": TWO}, None),
}


@pytest.mark.parametrize(
    ("layout", "extra", "dtype"),
    [
        *((layout, 0, "float16") for layout in LAYOUTS),
        *(("ids", extra, dtype) for extra in (1, 2) for dtype in ("float16", "float32")),
    ],
)
def test_layouts_are_distinguished(tmp_path, layout, extra, dtype):
    if layout == "in groups":
        members = (Member(ONE.seq_hash, ("human/P12345",), ONE.sequence), TWO)
    else:
        members = (ONE, TWO)
    make, ids = LAYOUTS[layout]
    content = {key: rows_of(one, extra, dtype) for key, one in make().items()}
    path = write(tmp_path / "some.h5", content, ids)
    assert faults_of(path, *members) == {}
    store = converted(path, tmp_path, *members)
    for one in members:
        np.testing.assert_array_equal(read_embedding(store, one.seq_hash), rows_of(one))


def test_the_sequence_counts_more_than_a_name(tmp_path):
    """The id of one protein, and the digest of another: that is what was embedded."""
    path = write(tmp_path / "a.h5", {md5(ONE): rows_of(ONE), "P12345": rows_of(TWO)})
    assert faults_of(path, ONE) == {}


def alike(name: str, letter: str) -> Member:
    """Proteins of the same length, so that the embedding of one would fit another."""
    text = "MKTAYIAK" + letter
    return Member(sha256_of_text(text), (name,), text)


@pytest.mark.parametrize(
    ("keys", "names", "wanted"),
    [
        (["p.1"], ["p.1", "p.2"], {"p.2": "no embedding"}),
        (["g_1"], ["g.1", "g_1"], {"g.1": "no embedding"}),
        (["g_1"], ["g.1", "g/1"], dict.fromkeys(["g.1", "g/1"], "unusable embedding")),
        (["p"], ["p.1", "p.2"], dict.fromkeys(["p.1", "p.2"], "unusable embedding")),
        (["p"], ["p", "p.2"], {"p.2": "no embedding"}),
        (["q.1", "q.2", "q.3"], ["q.1", "q.2", "q.4"], {"q.4": "no embedding"}),
    ],
)
def test_the_embedding_of_another_protein_is_not_used(tmp_path, keys, names, wanted):
    members = [alike(*each) for each in zip(names, "ACDE", strict=False)]
    path = write(tmp_path / "some.h5", {key: rows_of(members[0]) for key in keys})
    found = faults_of(path, *members)
    reasons = {m.accessions[0]: found[m.seq_hash][0] for m in members if m.seq_hash in found}
    assert reasons == wanted


def test_real_embeddings_of_prott5_are_those_in_the_file(shared, tmp_path):
    path = shared / "plm_h5/tmbed_prott5_sample.h5"
    records = read_records(shared / "plm_h5/tmbed_prott5_sample.fasta")
    members = [
        Member(sha256_of_text(text), (name,), text)
        for name, text in zip(records["id"], records["sequence"], strict=True)
    ]
    assert faults_of(path, *members) == {}
    store = converted(path, tmp_path, *members)
    with h5py.File(path, locking=False) as file:
        for one in members:
            found = store.read(one.seq_hash)
            np.testing.assert_array_equal(found["residues"], file[md5(one)][:])
            assert found["scale"].tolist() == [1]


def test_a_folder_with_a_pattern(shared, tmp_path):
    folder = shared / "halo_published"
    path = f"{folder}/{{id}}_esm2_650M_finetuned.npy"
    file = EmbeddingFile(path)
    assert [entry.name for entry in file.entries] == [
        "A0A0A1I6E7", "A0A0A1I6N9", "A0A0B4J2F0", "A0A0F7YZQ7",
    ]  # fmt: skip
    entry = file.entries[2]
    rows = np.load(folder / entry.key)
    member = Member(sha256_of_text("A" * len(rows)), ("A0A0B4J2F0",), "A" * len(rows))
    found = read_embedding(converted(path, tmp_path, member), member.seq_hash)
    np.testing.assert_array_equal(found, rows.astype(np.float16))


def test_a_folder_of_arrays_and_tensors(tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    np.save(folder / "P12345.npy", rows_of(ONE)[None])  # a batch of one
    layers = {5: torch.zeros(3, DIM), 6: torch.from_numpy(rows_of(TWO)).bfloat16()}
    torch.save({"label": "Q9Y277 two", "representations": layers}, folder / "Q9Y277.pt")
    assert faults_of(folder, ONE, TWO) == {}
    store = converted(folder, tmp_path, ONE, TWO)
    for one in (ONE, TWO):
        np.testing.assert_array_equal(read_embedding(store, one.seq_hash), rows_of(one))
    first = EmbeddingFile(folder, layer=5)
    assert not first.read(first.entries[1]).any()
    before = EmbeddingFile(folder).digest
    np.save(folder / "P12345.npy", rows_of(ONE))
    assert EmbeddingFile(folder).digest != before


class Harmful:
    """Would run code when it is unpickled."""

    def __reduce__(self):
        return (print, ("harm",))


def unusable(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Files in which the embedding of the protein `ONE` cannot be used, and why."""
    rows = rows_of(ONE)
    folders = {name: tmp_path / name for name in ("harmful", "pickled", "none", "layer", "header")}
    for folder in folders.values():
        folder.mkdir()
    torch.save(Harmful(), folders["harmful"] / "P12345.pt")
    (folders["pickled"] / "P12345.npy").write_bytes(pickle.dumps([1]))
    (folders["none"] / "Q9Y277.npy").write_bytes(b"")
    header = b"{'descr': '<f4', 'shape': (3, 4"  # a bracket is missing
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (folders["header"] / "P12345.npy").write_bytes(content)
    torch.save({"mean_representations": {6: torch.zeros(DIM)}}, folders["layer"] / "P12345.pt")
    nan = rows.copy()
    nan[2, 3] = np.nan
    other = {"Q9Y277": rows_of(TWO), "Q00001": rows_of(TWO), "P12345": rows[:, :4]}
    return {
        "too short": (write(tmp_path / "1.h5", {"P12345": rows[1:]}), "4 rows.*5 residues"),
        "too long": (write(tmp_path / "2.h5", {"P12345": rows_of(ONE, 3)}), "8 rows.*5 residues"),
        "NaN": (write(tmp_path / "3.h5", {"P12345": nan}), "NaN or infinite"),
        "one vector": (write(tmp_path / "4.h5", {"P12345": rows[0]}), "one vector of 6 numbers"),
        "text": (write(tmp_path / "5.h5", {"P12345": np.array([[b"a"]] * 5)}), "no numbers"),
        "batch": (write(tmp_path / "6.h5", {"P12345": rows[:, None]}), r"shape is \(5, 1, 6\)"),
        "twice": (
            write(tmp_path / "7.h5", {"P12345": rows, "sp|P12345|ONE_HUMAN": rows}),
            "several: P12345 and sp",
        ),
        "width": (write(tmp_path / "8.h5", other), "4 columns, and most others have 6"),
        "absent": (write(tmp_path / "9.h5", {"Q9Y277": rows}), "none of this protein"),
        "program": (folders["harmful"], "not read safely"),
        "pickled": (folders["pickled"], "not an array of numpy"),
        "empty": (folders["none"], "none of this protein"),
        "header": (folders["header"], "not an array of numpy"),
        "large": (with_shape(tmp_path / "10.h5", (1 << 20, 1 << 12)), "too large for a protein"),
        "means": (folders["layer"], "no tensor and no 'representations'"),
    }


def with_shape(path: Path, shape: tuple[int, int]) -> Path:
    """A file with a data set of that shape that nothing was written to."""
    with h5py.File(path, "w") as file:
        file.create_dataset("P12345", shape, np.float16, chunks=(64, 64))
    return path


def test_unusable_embeddings_are_reported_by_protein(tmp_path, capsys):
    for path, words in unusable(tmp_path).values():
        found = faults_of(path, ONE)
        assert set(found) == {ONE.seq_hash}
        reason, detail = found[ONE.seq_hash]
        assert reason in ("no embedding", "unusable embedding")
        assert re.search(words, detail), detail
    assert capsys.readouterr().out == ""  # nothing was run


def test_one_row_more_than_in_the_other_proteins_is_no_special_token(tmp_path):
    three = Member(sha256_of_text("MKK"), ("Q00001",), "MKK")
    content = {"P12345": rows_of(ONE), "Q9Y277": rows_of(TWO, 1), "Q00001": rows_of(three)}
    found = faults_of(write(tmp_path / "a.h5", content), ONE, TWO, three)
    assert set(found) == {TWO.seq_hash}
    assert found[TWO.seq_hash][1] == "Q9Y277 has 4 rows, and the sequence 3 residues"


@pytest.mark.parametrize("extra", [1, 2])
def test_of_a_single_embedding_by_name_another_row_is_no_special_token(tmp_path, extra):
    """The first residue may be missing in the sequence, as where the initiator is removed."""
    path = write(tmp_path / "a.h5", {"P12345": rows_of(ONE, extra), "other": rows_of(TWO, extra)})
    reason, detail = faults_of(path, ONE)[ONE.seq_hash]
    assert reason == "unusable embedding"
    assert f"P12345 has {5 + extra} rows, and the sequence 5 residues" in detail
    assert "remove special tokens from the file, or name the embedding by the sha256" in detail


@pytest.mark.parametrize("digest", [md5, lambda member: member.seq_hash])
def test_of_an_embedding_of_the_very_sequence_another_row_is_one(tmp_path, digest):
    """And so it is in the others of the file, which are found by name."""
    content = {digest(ONE): rows_of(ONE, 1), "Q9Y277": rows_of(TWO, 1)}
    path = write(tmp_path / "a.h5", content)
    assert faults_of(path, ONE) == {}
    assert faults_of(path, ONE, TWO) == {}
    store = converted(path, tmp_path, ONE, TWO)
    for one in (ONE, TWO):
        np.testing.assert_array_equal(read_embedding(store, one.seq_hash), rows_of(one))


def test_the_very_sequences_count_more_than_names(tmp_path):
    """Two proteins lack their first residue since they were embedded, without special tokens."""
    short = [Member(sha256_of_text(text), (text,), text) for text in ("KVLA", "KVLAA")]
    content = {md5(ONE): rows_of(ONE), **{each.sequence: rows_of(each, 1) for each in short}}
    found = faults_of(write(tmp_path / "a.h5", content), ONE, *short)
    assert set(found) == {each.seq_hash for each in short}


def test_proteins_without_an_embedding_are_rejected_and_the_others_kept(tmp_path):
    path = write(tmp_path / "a.h5", {"P12345": rows_of(ONE), "Q9Y277": rows_of(TWO)[1:]})
    file, table = EmbeddingFile(path), tmp_path / "index.csv"
    write_index(table, index_of(file, file.entries, values=True))
    index = read_index(table)
    assert index == index_of(file, file.entries, values=False)
    records = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "accession": ["P12345", "Q9Y277", ""],
            "sequence": ["MKVLA", "MWW", "MKVLA"],
            "seq_hash": [ONE.seq_hash, TWO.seq_hash, ONE.seq_hash],
            "length": [5, 3, 5],
            "split": "",
        }
    )
    proteins = Proteins(records, ("A",), np.array([[1], [1], [0]], np.uint8), "multilabel")
    kept, rejected = only_embedded(proteins, str(path), index)
    assert kept.ids.tolist() == ["a", "c"]  # the latter has the sequence of the former
    assert kept.labels.tolist() == [[1], [0]]
    assert kept.known.shape == (2, 1)
    [record] = rejected
    assert (record.id, record.reason) == ("b", "unusable embedding")
    assert record.detail == "Q9Y277 has 2 rows, and the sequence 3 residues"
    with pytest.raises(HaloError, match=r"none of 1 proteins.*\(b\).*such as 'P12345'"):
        only_embedded(replace(kept, **one_row(proteins, 1)), str(path), index)


def one_row(proteins: Proteins, row: int) -> dict[str, object]:
    """The fields of one protein."""
    return {
        "table": proteins.table.iloc[[row]],
        "labels": proteins.labels[[row]],
        "known": proteins.known[[row]],
    }


FOREIGN = {
    "page": (b"<!DOCTYPE html><title>Sign in</title>", r"a web page \(Sign in\), not an HDF5 file"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "empty": (b"", "the file is empty"),
    "gzip": (b"\x1f\x8b\x08\x00", "packed with gzip"),
    "text": (b"id,sequence\n", "not an HDF5 file; give one, or a folder"),
    "cut": (b"\x89HDF\r\n\x1a\n" + bytes(40), "truncated or damaged"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_kinds_of_files_are_named(tmp_path, name):
    content, words = FOREIGN[name]
    path = tmp_path / "some.h5"
    path.write_bytes(content)
    with pytest.raises(HaloError, match=words):
        EmbeddingFile(path)


def test_a_file_of_means_alone_is_refused_as_a_whole(tmp_path):
    file = EmbeddingFile(write(tmp_path / "a.h5", {"P12345": np.zeros(1024, np.float16)}))
    with pytest.raises(HaloError, match=r"none of 1 embeddings.*one vector of 1,024 numbers"):
        require_usable(file, index_of(file, file.entries, values=True))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no.h5", "there is no such"),
        ("a.h5/{id}.npy", r"a file, but \{id\}.npy needs"),
        (".", r"no file \{id\}"),
    ],
)
def test_wrong_paths(tmp_path, path, words):
    write(tmp_path / "a.h5", {"P12345": rows_of(ONE)})
    with pytest.raises(HaloError, match=words):
        EmbeddingFile(tmp_path / path).entries  # noqa: B018


def test_each_protein_is_read_once_and_a_killed_job_is_resumed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", {"P12345": rows_of(ONE), "Q9Y277": rows_of(TWO)})
    read: list[str] = []
    whole = EmbeddingFile.read

    def counted(self, entry):
        read.append(entry.key)
        return whole(self, entry)

    monkeypatch.setattr(EmbeddingFile, "read", counted)
    add = Writer.add

    def killed(self, name, *arguments):
        if self._records:
            raise KeyboardInterrupt
        add(self, name, *arguments)

    monkeypatch.setattr(Writer, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        converted(path, tmp_path, ONE, TWO)
    monkeypatch.setattr(Writer, "add", add)
    assert sorted(read) == ["P12345", "Q9Y277"]
    first = read.pop(0)
    read.clear()
    store = converted(path, tmp_path, ONE, TWO)
    assert len(read) == 1
    assert read[0] != first
    converted(path, tmp_path, ONE, TWO)
    assert len(read) == 1
    for one in (ONE, TWO):
        np.testing.assert_array_equal(read_embedding(store, one.seq_hash), rows_of(one))
        assert store.provenance(bucket_of(one.seq_hash))["file"] == "a.h5"


def test_another_file_is_another_store_and_a_changed_one_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", {"P12345": rows_of(ONE)})
    weights = Weights("model", str(path), EmbeddingFile(path).digest, source=FILE)
    store = convert_buckets(by_bucket(ONE), tmp_path, weights, EmbeddingSettings())
    write(path, {"P12345": rows_of(ONE) + 1})
    assert converted(path, tmp_path, ONE).path != store.path
    with pytest.raises(HaloError, match="changed since its digest"):
        convert_buckets(by_bucket(TWO), tmp_path, weights, EmbeddingSettings())


def test_values_beyond_float16_are_kept(tmp_path):
    rows = rows_of(ONE) * 1e5
    store = converted(write(tmp_path / "a.h5", {"P12345": rows}), tmp_path, ONE)
    np.testing.assert_allclose(read_embedding(store, ONE.seq_hash), rows, rtol=1e-3)


def test_no_language_model_and_no_pytorch_is_needed():
    """PyTorch alone takes seconds; the job that reads embeddings does without it."""
    code = (
        "import runpy, sys; runpy.run_path('scripts/embeddings.py'); "
        "runpy.run_path('scripts/embedding_file.py'); assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": "workflow"}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, check=True)


def with_endless_heap(path: Path) -> Path:
    """A file whose heap of texts ends with an object of a wrong size, from which HDF5 goes on."""
    with h5py.File(path, "w") as file:
        for name in ("a", "b"):
            data = file.create_dataset(name, data=np.ones((3, 4), np.float32))
            data.attrs["original_id"] = f"protein {name}"
    content = bytearray(path.read_bytes())
    # Two objects of 16 bytes and their texts behind the head of 16; then the size of what is free.
    at = content.index(b"GCOL") + 16 + 2 * (16 + 16) + 8
    assert int.from_bytes(content[at : at + 8], "little") == 4096 - at + 8 + content.index(b"GCOL")
    content[at : at + 8] = (16).to_bytes(8, "little")
    path.write_bytes(content)
    return path


def test_a_file_from_which_hdf5_does_not_return(tmp_path, monkeypatch):
    path = with_endless_heap(tmp_path / "x.h5")
    monkeypatch.setattr(hdf5_names, "SILENT", 2.0)
    with pytest.raises(HaloError, match=r"x\.h5: damaged HDF5 file \(HDF5 has not returned"):
        EmbeddingFile(path).entries  # noqa: B018
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform != "linux", reason="the replacement does not reach the process")
def test_a_file_from_which_hdf5_crashes(tmp_path, monkeypatch):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.ones((3, 4), np.float32)
    found = EmbeddingFile(path)
    monkeypatch.setattr(h5py, "File", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(HaloError, match=r"x\.h5: damaged HDF5 file \(HDF5 crashes\)"):
        found.entries  # noqa: B018


def test_in_a_process_that_may_not_start_others(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = np.ones((3, 4), np.float32)
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert [entry.key for entry in EmbeddingFile(tmp_path / "x.h5").entries] == ["a"]
