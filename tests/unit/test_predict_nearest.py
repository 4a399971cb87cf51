"""The search among the training sequences: with an index in the user's cache, or without."""

import logging
import lzma
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from halo.config import checked_config
from halo.config.yaml_file import load_yaml
from halo.errors import HaloError
from halo.label_groups import LabelGroup
from halo.plan import Plan
from halo.predict import nearest
from halo.predict.description import Search
from halo.predict.homologues import evidence_of, homologue_of, nearest_of, remarks
from halo.predict.nearest import TrainingSequences, read_training
from halo.predict.search_index import CACHE, cached_folder
from halo.relevance import relevant
from halo.stage_settings import release_settings
from predict_bundle import ROOT, SEARCH
from test_predict_homologues import RESIDUES, changed

# Packages that take long to import, and a prediction without downloads does not need.
UNNEEDED = {
    "httpx", "matplotlib", "numba", "openpyxl", "scipy.special", "scipy.sparse", "sklearn",
    "snakemake", "tenacity", "torch_geometric", "transformers",
}  # fmt: skip


@pytest.fixture(scope="module")
def training() -> list[str]:
    """Families of related sequences."""
    rng = np.random.default_rng(11)
    first = ["".join(rng.choice(RESIDUES, length)) for length in rng.integers(40, 400, 60)]
    return [*first, *(changed(text, 0.5, seed) for seed, text in enumerate(first))]


@pytest.fixture(scope="module")
def fasta(training, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("training") / "training.fasta.xz"
    text = "".join(f">p{row}\tA;B\tC\n{text}\n" for row, text in enumerate(training))
    path.write_bytes(lzma.compress(text.encode()))
    return path


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """The modules of MMseqs2 that are run."""
    names: list[str] = []
    run = nearest.run_mmseqs

    def noted(*arguments: object) -> None:
        names.append(str(arguments[0]))
        run(*arguments)

    monkeypatch.setattr(nearest, "run_mmseqs", noted)
    return names


@pytest.mark.slow
def test_the_index_is_made_once_and_changes_no_result(
    training, fasta, calls, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(nearest, "EXHAUSTIVE", 0)  # as for a large training set
    queries = [
        *(changed(text, share, 5) for text in training[:20] for share in (0.2, 0.6)),
        *(text[: len(text) // 2] + changed(text, 1.0) for text in training[20:30]),
        training[3],
    ]

    def found(name: str) -> list:
        calls.clear()
        return TrainingSequences(fasta, SEARCH, tmp_path / name, 1).nearest(queries)

    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    expected = found("without")
    assert "cannot be kept" in caplog.text
    assert "createindex" not in calls
    assert expected[-1][0].id == "p3"
    assert (expected[-1][0].labels, expected[-1][0].unknown) == (["A", "B"], ["C"])
    hits = {near.similar for those in expected for near in those}
    assert hits == {True, False}

    cache = tmp_path / "cache"
    monkeypatch.setenv(CACHE, str(cache))
    assert found("making") == expected
    assert "createindex" in calls
    [kept] = (cache / "search").iterdir()
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert found("again") == expected
    assert "createindex" not in calls
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before


def test_sequences_of_the_training_need_no_search(training, fasta, calls, tmp_path):
    sequences = TrainingSequences(fasta, SEARCH, tmp_path, 1)
    found = sequences.nearest(training[:5])
    assert [[near.id for near in those] for those in found] == [[f"p{n}"] for n in range(5)]
    assert calls == []


def test_a_protein_that_is_not_annotated_in_a_group_does_not_hide_the_next(tmp_path):
    """Neither a similar one does, nor the same sequence."""
    rng = np.random.default_rng(4)
    first = "".join(rng.choice(RESIDUES, 200))
    second, third = changed(first, 0.3, 1), changed(first, 0.5, 2)
    lines = [f">a\tX\tM\n{first}\n", f">b\tM\tX\n{second}\n", f">c\tX;M\n{third}\n"]
    (tmp_path / "t.xz").write_bytes(lzma.compress("".join(lines).encode()))
    one, both = (
        TrainingSequences(tmp_path / "t.xz", SEARCH, tmp_path / name, 1, groups)
        for name, groups in (("one", [["X"]]), ("both", [["X"], ["M"]]))
    )
    query = changed(first, 0.05, 3)
    assert [[near.id for near in those] for those in one.nearest([first, query])] == [["a"]] * 2
    for found in both.nearest([first, query]):
        assert [near.id for near in found] == ["a", "b"]
        assert all(near.similar for near in found)
        groups = [
            LabelGroup("X", "multilabel", ("X",), 0),
            LabelGroup("M", "multilabel", ("M",), 1),
        ]
        assert [homologue_of(found, group).id for group in groups] == ["a", "b"]
        assert nearest_of(found, groups[1]).id == "b"
        rows, evidence = evidence_of([[], found], groups[1])
        assert (rows.tolist(), evidence.labels.tolist()) == ([1], [[True]])


def test_what_is_aligned_of_both(tmp_path):
    rng = np.random.default_rng(6)
    whole, tail = "".join(rng.choice(RESIDUES, 300)), "".join(rng.choice(RESIDUES, 900))
    (tmp_path / "t.xz").write_bytes(lzma.compress(f">a\tX\n{whole}\n".encode()))
    sequences = TrainingSequences(tmp_path / "t.xz", SEARCH, tmp_path / "db", 1)
    texts = [whole, "M" + whole[35:], whole[:-3], whole[:-2], whole + tail]
    told = []
    for [near] in sequences.nearest(texts):
        assert near.similar
        told.append((near.start, near.end, near.query_coverage, near.training_coverage))
    assert told[0] == (1, 300, 1, 1)
    assert told[1][:2] in [(36, 300), (35, 300)]  # the M may be that of the protein
    assert told[2:] == [(1, 297, 1, 0.99), (1, 298, 1, 0.993), (1, 300, 0.25, 1)]
    said = [
        remarks(len(t), near, 300) for t, near in zip(texts, sequences.nearest(texts), strict=True)
    ]
    assert [any("differ in extent" in text for text in those) for those in said] == [
        *(False, True, True, False, True)
    ]
    assert "residues 1-300 of 300 of a are aligned with 25% of this protein" in said[4][0]
    assert remarks(2, [], 300) == [
        "2 residues, fewer than any training protein has (300 or more): the model knows nothing of "
        "such peptides"
    ]
    assert sequences.shortest == 300
    assert remarks(2, [], None) == []


@pytest.mark.parametrize(
    "limit", [{"coverage_of": "both"}, {"identity_of": "shorter", "identity": 0.7, "coverage": 0.2}]
)
def test_similar_is_what_the_split_keeps_together(tmp_path, limit):
    """What identity and coverage are relative to was left out: a part was similar to the whole."""
    rng = np.random.default_rng(7)
    whole, tail = ("".join(rng.choice(RESIDUES, length)) for length in (300, 200))
    (tmp_path / "t.xz").write_bytes(lzma.compress(f">a\tX\n{whole}\n".encode()))
    part = {"both": whole[:150]}.get(limit.get("coverage_of"), whole[:150] + tail)
    usual = {name: value for name, value in limit.items() if not name.endswith("_of")}
    for search, similar in ((SEARCH | usual, True), (SEARCH | limit, False)):
        sequences = TrainingSequences(tmp_path / "t.xz", search, tmp_path / str(similar), 1)
        [[near]] = sequences.nearest([part])
        assert (near.id, near.similar) == ("a", similar)


def test_the_bundle_has_the_rule_of_the_split():
    content = load_yaml(ROOT / "config/config.yaml")
    content["split"] = {**content.get("split", {}), "identity_of": "shorter", "coverage_of": "both"}
    config = checked_config(content)
    search = release_settings(config, relevant(config), Plan.from_config(config), ROOT)["search"]
    assert (search["identity_of"], search["coverage_of"]) == ("shorter", "both")
    assert Search(**search).model_dump() == search


def test_the_first_of_equal_sequences_and_labels_of_all_kinds(tmp_path):
    lines = [
        ">a\tX\n",
        "MKVLA\n",
        ">b\t\tY;Z\n",
        "MKVLA\n",
        ">c d\n",
        "MKVL\n",
        ">e\tX\tY\n",
        "MW\n",
    ]
    (tmp_path / "t.xz").write_bytes(lzma.compress("".join(lines).encode()))
    found = TrainingSequences(tmp_path / "t.xz", SEARCH, tmp_path / "db", 1).nearest(
        ["MKVLA", "MKVL", "MW"]
    )
    told = [(near.id, near.labels, near.unknown, near.identity) for [near] in found]
    assert told == [("a", ["X"], [], 1), ("c d", [], [], 1), ("e", ["X"], ["Y"], 1)]


def test_a_folder_of_the_cache_is_complete_or_absent(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))

    def make(folder: Path) -> None:
        (folder / "file").write_text("whole")

    def fail(folder: Path) -> None:
        (folder / "file").write_text("half")
        raise HaloError("no space")

    def overtaken(folder: Path) -> None:
        cached_folder("kind/other", make)
        fail(folder)

    with caplog.at_level(logging.WARNING):
        assert cached_folder("kind/name", fail) is None
    assert "no space" in caplog.text
    assert list((tmp_path / "cache/kind").iterdir()) == []
    folder = cached_folder("kind/name", make)
    assert (folder / "file").read_text() == "whole"
    assert cached_folder("kind/name", fail) == folder
    assert (cached_folder("kind/other", overtaken) / "file").read_text() == "whole"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["name", "other"]


@pytest.mark.slow
def test_a_prediction_imports_only_what_it_needs(root, small_bundle, tmp_path):
    (tmp_path / "one.fasta").write_text(">one\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ\n")
    code = "import sys; from halo.__main__ import main; main();print(*sys.modules)"
    model = root / "resources/demo/esm2_demo.pt"
    options = ["--bundle", small_bundle, "--language-model", model, "--no-download", "--page", "0"]
    words = [sys.executable, "-c", code, "predict", tmp_path / "one.fasta", "-o", tmp_path / "out"]
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [*map(str, (*words, *options))], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert "torch" in imported
    assert imported & UNNEEDED == set()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no xz, but a text that is as long as a header", "no xz of a FASTA"),
        (lzma.compress(b">a\tA\nMKTAYI\n")[:-8], "cut off"),
        (lzma.compress(b"MKTAYI\n>a\tA\n"), "line 1 is no header"),
        (lzma.compress(b">a\tA\n>b\tB\nMKTAYI\n"), r"'a\\tA' has no protein sequence"),
        (lzma.compress(b">a\tA\nMKT1\n"), r"'a\\tA' has no protein sequence"),
        (lzma.compress(b">a\tA\n" + b"A" * (1 << 24)), "more than"),
    ],
)
def test_damaged_training_sequences_are_named(tmp_path, content, words):
    file = tmp_path / "training.fasta.xz"
    file.write_bytes(content)
    with pytest.raises(HaloError, match=rf"training.fasta.xz: damaged, .*{words}.*; copy the"):
        TrainingSequences(file, SEARCH, tmp_path, 1)


def test_sequences_of_several_lines_are_joined(tmp_path):
    file = tmp_path / "training.fasta.xz"
    file.write_bytes(lzma.compress(b">a\tA;B\nMKT\nAYI\n>b\tB\nMA"))
    assert read_training(file) == (["a\tA;B", "b\tB"], ["MKTAYI", "MA"])


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "earlier"])
def test_a_damaged_folder_of_the_cache_is_made_again(tmp_path, monkeypatch, caplog, damage):
    monkeypatch.setenv(CACHE, str(tmp_path))
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "index").write_bytes(b"whole")

    folder = cached_folder("search/name", make)
    assert cached_folder("search/name", make) == folder
    assert len(made) == 1
    if damage == "gone":
        (folder / "index").unlink()
    elif damage == "earlier":
        (folder / "content.json").unlink()
    else:
        (folder / "index").write_bytes(b"whXle" if damage == "changed" else b"who")
    assert cached_folder("search/name", make) == folder
    assert (len(made), (folder / "index").read_bytes()) == (2, b"whole")
    assert f"{folder}: damaged" in caplog.text
    assert [path.name for path in folder.parent.iterdir()] == ["name"]


def test_a_search_that_fails_names_the_folder_of_its_index(fasta, tmp_path, monkeypatch):
    monkeypatch.setattr(nearest, "EXHAUSTIVE", 0)
    monkeypatch.setattr(nearest, "cached_folder", lambda *_: tmp_path / "kept")

    def fail(*arguments: object) -> None:
        if arguments[0] == "prefilter":
            raise HaloError("mmseqs failed")

    monkeypatch.setattr(nearest, "run_mmseqs", fail)
    sequences = TrainingSequences(fasta, SEARCH, tmp_path, 1)
    with pytest.raises(HaloError, match=rf"mmseqs failed. The search index is {tmp_path}/kept"):
        sequences.nearest(["MKTAYIAKQR"])
