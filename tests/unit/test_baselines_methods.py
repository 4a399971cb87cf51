"""Baselines: their predictions, and that they do not use held-out labels."""

import numpy as np
import pandas as pd
import pytest

from halo.baselines.methods import Training, best_hits, homology, majority
from halo.baselines.stage import decision_thresholds, read_hits, run_baseline
from halo.errors import HaloError
from halo.files import read_json
from halo.fold_parts import FoldParts
from halo.methods import BASELINES
from halo.model_key import ModelKey
from halo.proteins.table import Proteins
from halo.split.tables import hit_table, write_gzipped_table

COLUMNS = ["query", "target", "identity", "shorter_coverage", "evalue", "bits"]


def hits(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame([(q, t, 0.3, 0.9, 1e-9, bits) for q, t, bits in rows], columns=COLUMNS)


@pytest.fixture
def training() -> Training:
    found = hits(
        ("q1", "a", 50), ("q1", "b", 90), ("c", "q2", 40), ("q1", "q3", 500), ("a", "b", 9)
    )
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1]], dtype=np.uint8)
    return Training(np.array(["a", "b", "c"], dtype=object), labels, found)


def test_majority_gives_the_frequencies_of_the_training_part(training):
    found = majority(training, np.array(["q1", "q2"], dtype=object))
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3, 1 / 3]] * 2)


def test_homology_gives_the_labels_of_the_best_hit_in_the_training_part(training):
    queries = np.array(["q1", "q2", "q3"], dtype=object)
    found = homology(training, queries)
    np.testing.assert_allclose(found[0], [0, 1, 0])  # b beats a; q3 is no training protein
    np.testing.assert_allclose(found[1], [1, 0, 1])  # found from the other side
    np.testing.assert_allclose(found[2], training.frequencies)  # its only hit is q1


def test_the_best_hit_is_the_one_of_an_exhaustive_search():
    rng = np.random.default_rng(0)
    names = np.array([f"p{i}" for i in range(40)], dtype=object)
    table = pd.DataFrame(
        {
            "query": rng.choice(names, 300),
            "target": rng.choice(names, 300),
            "bits": rng.permutation(300).astype(float),
        }
    )
    queries, targets = names[:15], names[15:]
    for query, found in zip(queries, best_hits(table, queries, targets), strict=True):
        pairs = [
            (bits, other)
            for q, t, bits in table.itertuples(index=False)
            for one, other in ((q, t), (t, q))
            if one == query and other in set(targets)
        ]
        assert (targets[found] == max(pairs)[1]) if pairs else (found == -1)


def test_the_frequencies_give_at_least_the_most_frequent_label():
    rare = decision_thresholds(np.array([0.2, 0.4, 0.1]))
    assert (np.array([0.2, 0.4, 0.1]) >= rare).tolist() == [False, True, False]
    common = decision_thresholds(np.array([0.6, 0.8, 0.1]))
    assert (np.array([0.6, 0.8, 0.1]) >= common).tolist() == [True, True, False]


@pytest.fixture
def setting() -> tuple[Proteins, pd.Series]:
    ids = [f"p{i}" for i in range(8)]
    table = pd.DataFrame({"id": ids, "accession": "", "sequence": "M", "seq_hash": "", "length": 1})
    labels = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [1, 0], [0, 1], [0, 1], [1, 0]], np.uint8)
    parts = ["train", "train", "train", "val", "cal", "test", "test", "removed"]
    return Proteins(table.assign(split=""), ("A", "B"), labels, "multilabel"), pd.Series(parts, ids)


def run(setting, folder, kind="homology", **change):
    proteins, parts = setting
    found = hits(("p5", "p2", 80), ("p3", "p0", 60), ("p7", "p6", 90))
    of_fold = FoldParts("0", change.get("parts", parts).to_numpy(dtype=object))
    key = ModelKey("kfold", "0", 1, "mine")
    run_baseline(change.get("proteins", proteins), of_fold, found, kind, key, folder)


def test_the_files_are_those_of_a_trained_network(setting, tmp_path):
    run(setting, tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert list(table.columns) == ["id", "part", "p:A", "p:B"]
    assert table["id"].tolist() == ["p3", "p4", "p5", "p6"]
    assert table["part"].tolist() == ["val", "cal", "test", "test"]
    assert table[["p:A", "p:B"]].to_numpy().tolist()[2] == [0, 1]
    description = read_json(tmp_path / "model.json")
    assert description["class"] == "homology"
    assert description["method"] == "mine"
    assert description["labels"] == ["A", "B"]
    assert description["thresholds"] == {"A": 0.5, "B": 0.5}
    assert description["proteins"] == {"train": 3, "val": 1, "cal": 1, "test": 2}


@pytest.mark.parametrize("kind", sorted(BASELINES))
def test_labels_of_other_parts_have_no_influence(setting, tmp_path, kind):
    proteins, parts = setting
    labels = proteins.labels.copy()
    other = (parts != "train").to_numpy()
    labels[other] = 1 - labels[other]
    changed = Proteins(proteins.table, proteins.label_names, labels, proteins.task)
    run(setting, tmp_path / "one", kind)
    run(setting, tmp_path / "two", kind, proteins=changed)
    one, two = (tmp_path / name / "predictions.csv" for name in ("one", "two"))
    assert one.read_text() == two.read_text()


def test_a_fold_without_training_proteins_is_an_error(setting, tmp_path):
    _, parts = setting
    with pytest.raises(HaloError, match="fold 0 has no protein in 'train'"):
        run(setting, tmp_path, parts=parts.replace("train", "removed"))


def test_identical_sequences_are_the_best_hits_of_a_split(tmp_path):
    """They have no bits in the file, which is the split's own."""
    pairs = pd.DataFrame({"a": [0], "b": [1], "evalue": [1e-9], "bits": [90.0], "identity": [0.9]})
    pairs = pairs.assign(covered_a=10, covered_b=10, similar=True, score=100)
    ids = np.array(["x", "y", "NA", "z"], dtype=object)
    table = hit_table(ids, np.array([0, 1, 0, 1]), pairs, np.array([10, 10]))
    write_gzipped_table(tmp_path / "hits.csv.gz", table)
    read = read_hits(tmp_path / "hits.csv.gz")
    assert read["bits"].dtype == float
    assert read["evalue"].isna().sum() == 4
    found = best_hits(read, np.array(["x", "NA", "y"]), np.array(["x", "y", "NA", "z"])[1:])
    assert found.tolist() == [1, 0, 2]


def test_the_split_says_which_hits_are_similar():
    """By its whole rule, `split.coverage_of` included."""
    pairs = pd.DataFrame({"a": [0, 0], "b": [1, 2], "evalue": 1e-9, "identity": [0.31, 0.35]})
    pairs = pairs.assign(covered_a=1.0, covered_b=[1.0, 0.5], score=100)
    pairs["similar"] = [True, False]
    ids = np.array(["x", "y", "z", "copy"], dtype=object)
    table = hit_table(ids, np.array([0, 1, 2, 1]), pairs, np.array([90, 90, 90]))
    pairs = table.set_index(["query", "target"])
    assert pairs.loc[("x", "z")][["identity", "shorter_coverage"]].tolist() == [0.35, 1.0]
    similar = pairs["similar"]
    assert set(similar.index[similar == 1]) == {
        *(("x", "y"), ("x", "copy"), ("y", "x"), ("copy", "x"), ("y", "copy"), ("copy", "y"))
    }
    assert set(similar.index[similar == 0]) == {("x", "z"), ("z", "x")}


def test_hits_are_read_with_ids_as_text(tmp_path):
    file = tmp_path / "hits.csv.gz"
    hits(("007", "NA", 50.0)).to_csv(file, index=False)
    assert read_hits(file)[["query", "target"]].to_numpy().tolist() == [["007", "NA"]]
