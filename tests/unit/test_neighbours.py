"""Nearest neighbours in embedding space, compared with scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from halo.baselines import neighbours as module
from halo.baselines.neighbour_stage import choose, mean_embeddings, run_neighbours
from halo.baselines.neighbours import (
    Annotated,
    Neighbourhood,
    candidates,
    nearest_neighbour,
    neighbours,
    vote,
)
from halo.baselines.settings import NeighbourSettings
from halo.embeddings.layout import LAYOUT
from halo.errors import HaloError
from halo.evaluation.models import read_model
from halo.evaluation.thresholds import tuned_thresholds
from halo.files import sha256_of_text, write_json
from halo.fold_parts import FoldParts
from halo.label_groups import all_groups
from halo.model_key import ModelKey
from halo.proteins.table import Proteins
from halo.store import Store

KEY = ModelKey("kfold", "0", 1, "knn")
DISTANCES = [(name, scaled) for name in ("cosine", "euclidean") for scaled in (False, True)]


@pytest.fixture(scope="module")
def training() -> Annotated:
    """70 proteins whose channels differ a hundredfold in mean and spread."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(rng.normal(size=12) * 300, 10 ** rng.uniform(-1, 1, 12), size=(70, 12))
    labels = rng.integers(0, 2, (70, 3)).astype(np.uint8)
    return Annotated(vectors.astype(np.float32), labels, np.ones_like(labels, dtype=bool))


@pytest.fixture(scope="module")
def queries(training) -> np.ndarray:
    rng = np.random.default_rng(1)
    return training.vectors[:25] + rng.normal(0, 0.5, (25, 12)).astype(np.float32)


@pytest.mark.parametrize(("distance", "standardize"), DISTANCES)
def test_the_neighbours_are_those_of_scikit_learn(
    training, queries, distance, standardize, monkeypatch
):
    monkeypatch.setattr(module, "BLOCK", 70 * 4)  # several blocks, the last one smaller
    parts = [training.vectors.astype(float), queries.astype(float)]
    if standardize:
        scaler = StandardScaler().fit(parts[0])
        parts = [scaler.transform(part) for part in parts]
    expected = NearestNeighbors(n_neighbors=7, metric=distance).fit(parts[0])
    distances, rows = expected.kneighbors(parts[1])
    found, similarities = neighbours(
        training.vectors, queries, Neighbourhood(7, distance, standardize)
    )
    np.testing.assert_array_equal(found, rows)
    wanted = 1 - distances if distance == "cosine" else 0.5 / (0.5 + distances)
    np.testing.assert_allclose(similarities, np.maximum(wanted, 0), rtol=1e-4)


def test_votes_are_weighted_by_similarity():
    labels = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.uint8)
    known = np.array([[True, True], [True, True], [False, True]])
    table = Annotated(np.zeros((3, 1), np.float32), labels, known)
    rows, similarities = np.array([[0, 1, 2], [2, 2, 2]]), np.array([[0.6, 0.2, 0.2], [1, 1, 0.0]])
    found = vote(table, rows, similarities)
    np.testing.assert_allclose(found[0], [0.6 / 0.8, 0.4])  # an unknown label does not vote
    np.testing.assert_allclose(found[1], [1 / 2, 1])  # no votes: the frequency where known


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_equal_neighbours_are_in_the_order_of_the_table(distance):
    same = np.ones((5, 3), dtype=np.float32)
    rows, _ = neighbours(same, same[:2], Neighbourhood(5, distance, standardize=False))
    assert rows.tolist() == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 7, 19, 40])
def test_of_equal_neighbours_at_the_last_place_the_first_in_the_table_are_taken(distance, k):
    """Multiples by two of vectors with whole numbers, so that nothing is rounded."""
    rng = np.random.default_rng(k)
    directions = np.array([[1, 0], [0, 1], [1, 1]])
    table = rng.integers(1, 3, (40, 1)) * directions[rng.integers(0, 3, 40)]
    asked = rng.integers(1, 3, (10, 1)) * directions[rng.integers(0, 2, 10)]
    rows, _ = neighbours(
        table.astype(np.float32), asked.astype(np.float32), Neighbourhood(k, distance, False)
    )
    far = np.square(asked[:, None] - table).sum(axis=2)
    if distance == "cosine":
        far = np.round(-(asked @ table.T) / np.linalg.norm(table, axis=1), 9)
    np.testing.assert_array_equal(rows, np.argsort(far, axis=1, kind="stable")[:, :k])


def test_few_training_proteins_are_all_neighbours(training, queries):
    few = Annotated(training.vectors[:4], training.labels[:4], training.known[:4])
    tried = [n for n, _ in candidates(few, queries, NeighbourSettings(distance=("cosine",)))]
    assert [(n.k, n.standardize) for n in tried] == [
        (k, s) for s in (False, True) for k in (1, 3, 4)
    ]


def test_candidates_predict_as_alone(training, queries):
    settings = NeighbourSettings(k=(1, 4))
    for neighbourhood, probabilities in candidates(training, queries, settings):
        alone = nearest_neighbour(training, queries, neighbourhood)
        np.testing.assert_allclose(probabilities, alone, atol=1e-12)


def test_the_best_neighbourhood_on_val_is_chosen():
    """Labels of validation proteins agree with their nearest neighbour, and not with others."""
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(200, 8)).astype(np.float32)
    labels = (np.arange(200)[:, None] % 2 == [[0, 1]]).astype(np.uint8)
    known = np.ones_like(labels, dtype=bool)
    training = Annotated(vectors, labels, known)
    validation = Annotated(vectors[:60] + 0.01, labels[:60], known[:60])
    groups = all_groups(("A", "B"), "multilabel", ())
    found = choose(training, validation, groups, NeighbourSettings(k=(1, 50)))
    assert found.neighbourhood.k == 1
    assert found.macro_f1 == 1
    far = choose(training, validation, groups, NeighbourSettings(k=(50,)))
    assert far.macro_f1 < found.macro_f1


def test_of_a_single_label_the_neighbourhood_with_the_best_f1_is_chosen():
    """And not that with the best mean of its F1 and that of the proteins without it."""
    groups, settings = all_groups(("A",), "multilabel", ()), NeighbourSettings()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        training, validation = (with_a_rare_label(rng, count) for count in (150, 60))
        truth = validation.labels.astype(bool)
        f1 = [
            f1_score(truth[:, 0], (shares >= tuned_thresholds(truth, shares))[:, 0])
            for _, shares in candidates(training, validation.vectors, settings)
        ]
        assert choose(training, validation, groups, settings).macro_f1 == pytest.approx(max(f1))


def with_a_rare_label(rng: np.random.Generator, count: int) -> Annotated:
    labels = (rng.random((count, 1)) < 0.15).astype(np.uint8)
    vectors = (rng.normal(size=(count, 6)) + 0.6 * labels).astype(np.float32)
    return Annotated(vectors, labels, np.ones_like(labels, dtype=bool))


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    rng = np.random.default_rng(3)
    ids = [f"p{number}" for number in range(40)]
    table = pd.DataFrame({"id": ids, "seq_hash": [sha256_of_text(name) for name in ids]})
    labels = np.eye(2, dtype=np.uint8)[rng.integers(0, 2, 40)]
    parts = ["train"] * 24 + ["val"] * 6 + ["cal"] * 3 + ["test"] * 6 + ["removed"]
    root = tmp_path_factory.mktemp("setting")
    store = Store.create(root, "embeddings", {}, LAYOUT)
    with store.writer() as writer:
        for name in table["seq_hash"]:
            residues = rng.normal(size=(rng.integers(5, 30), 8)).astype(np.float16)
            writer.add(name, {"residues": residues})
    write_json(root / "embeddings.json", {"store": f"embeddings/{store.fingerprint}"})
    proteins = Proteins(table, ("A", "B"), labels, "multilabel")
    return proteins, pd.Series(parts, index=ids), store


def run(setting, folder, labels=None, parts=None, own=None):
    proteins, part, store = setting
    root = store.path.parents[1]
    if labels is not None:
        proteins = type(proteins)(proteins.table, proteins.label_names, labels, proteins.task)
    of_fold = FoldParts("0", (part if parts is None else parts).to_numpy(dtype=object))
    run_neighbours(
        proteins, of_fold, [root / "embeddings.json"], root, own, KEY, "nearest_neighbour",
        NeighbourSettings(), folder,
    )  # fmt: skip
    return proteins, part.to_frame("part_0").assign(group="g", fold="0")


def test_the_files_are_those_of_any_method(setting, tmp_path):
    folder = tmp_path / KEY.path
    folder.mkdir(parents=True)
    proteins, assignments = run(setting, folder)
    model = read_model(folder / "predictions.csv", proteins, assignments)
    assert len(model.rows) == 15
    used = model.description.neighbours
    tested = model.of_part("test")
    hashes = proteins.table["seq_hash"].to_numpy(dtype=object)
    means = mean_embeddings(setting[2], hashes)
    assert means.dtype == np.float32
    one = setting[2].read(hashes[0])["residues"].astype(float)
    np.testing.assert_allclose(means[0], one.mean(axis=0), rtol=1e-6)
    table = Annotated(means[:24], proteins.labels[:24], proteins.known[:24])
    expected = nearest_neighbour(
        table, means[tested.rows], Neighbourhood(used.k, used.distance, used.standardize)
    )
    np.testing.assert_allclose(tested.probabilities, expected, atol=1e-9)


def test_labels_of_cal_and_test_have_no_influence(setting, tmp_path):
    proteins, parts, _ = setting
    for name, hidden in (("one", ()), ("two", ("cal", "test", "removed")), ("three", ("val",))):
        chosen = parts.isin(hidden).to_numpy()
        labels = proteins.labels.copy()
        labels[chosen] = 1 - labels[chosen]
        (tmp_path / name).mkdir()
        run(setting, tmp_path / name, labels)

    def content(name):
        return [(tmp_path / name / f).read_text() for f in ("predictions.csv", "model.json")]

    assert content("one") == content("two")
    assert content("one") != content("three")  # neighbourhood and thresholds are chosen on it


def test_a_fold_without_validation_is_an_error(setting, tmp_path):
    with pytest.raises(HaloError, match="fold 0 has no protein in 'val'"):
        run(setting, tmp_path, parts=setting[1].replace("val", "train"))


def test_a_single_label_is_the_most_frequent_one(training, queries):
    one_hot = np.eye(3, dtype=np.uint8)[training.labels.argmax(axis=1)]
    table = Annotated(training.vectors, one_hot, training.known)
    validation = Annotated(queries, one_hot[:25], training.known[:25])
    groups = all_groups(("A", "B", "C"), "singlelabel", ())
    found = choose(table, validation, groups, NeighbourSettings(k=(1, 70)))
    assert found.neighbourhood.k == 1
