"""Decisions with homologues: the rule, the search for homologues, and the measured gain."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from halo.evaluation.models import by_method, read_model
from halo.evaluation.settings import EvaluationSettings
from halo.homologues import rule as rule_module
from halo.homologues.gain import _coverage, _Tested, measure_gains
from halo.homologues.pairs import find_homologues, fit_to_models, similar_hits
from halo.homologues.rule import Evidence, HomologueRule, fit_rule
from halo.proteins.table import Proteins
from simulated_run import make_run

RULE = HomologueRule(
    *(0.8, 1.5, 2.0, 0.5, 1.0), least=0.3, threshold=0.6, cut=0.2, proteins=90, groups=40
)
UNIT = st.floats(0.001, 0.999)


def evidence(identity, labels, known=None) -> Evidence:
    labels = np.array(labels, dtype=bool)
    known = np.ones_like(labels) if known is None else np.array(known, dtype=bool)
    return Evidence(np.array(identity, dtype=float), labels, known)


def expit(x):
    return 1 / (1 + np.exp(-x))


def test_the_rule_by_hand():
    found = RULE(np.full((2, 2), 0.5), evidence([0.3, 1.0], [[1, 0], [1, 0]]), "multilabel")
    np.testing.assert_allclose(found, [[expit(1.5), expit(-0.5)], [expit(3.5), expit(-1.5)]])
    half = RULE(np.array([[0.9]]), evidence([0.65], [[1]]), "multilabel")
    np.testing.assert_allclose(half, [[expit(0.8 * np.log(9) + 2.5)]])


def test_the_threshold_is_that_of_the_rule_where_the_label_of_the_homologue_is_known():
    known = [[True, True], [True, False]]
    found = RULE.thresholds(np.array([0.3, 0.45]), evidence([0.5] * 2, known, known))
    assert found.tolist() == [[0.6, 0.6], [0.6, 0.45]]


def test_combined_probabilities_are_calibrated_if_those_of_the_model_are():
    """Of all labels with 0.7 to 0.9, as many are true as the mean says."""
    rng = np.random.default_rng(0)
    n, frequency = 8000, np.array([0.35, 0.12, 0.1, 0.05])
    logits = np.log(frequency / (1 - frequency)) + rng.normal(0, 1.3, (n, 4))
    truth = rng.random((n, 4)) < expit(logits)
    identity = rng.uniform(0.3, 1, n)
    same = rng.random((n, 4)) < (0.65 + 0.34 * identity)[:, None]
    labels = np.where(same, truth, rng.random((n, 4)) < frequency)
    found = evidence(identity, labels)
    half = n // 2
    first = Evidence(identity[:half], labels[:half], np.ones((half, 4), dtype=bool))
    fitted = fit_rule(
        expit(logits[:half]),
        first,
        truth[:half],
        first.known,
        np.arange(half),
        "multilabel",
        0.3,
        0.1,
    )
    joint = fitted(expit(logits), found, "multilabel")[half:]
    chosen = (joint > 0.7) & (joint < 0.9)
    assert chosen.sum() > 400
    assert truth[half:][chosen].mean() == pytest.approx(joint[chosen].mean(), abs=0.06)


def test_an_unknown_label_of_the_homologue_changes_nothing():
    one = evidence([0.9], [[0, 0]], [[False, True]])
    found = RULE(np.array([[0.7, 0.7]]), one, "multilabel")
    assert found[0, 0] == pytest.approx(0.7)
    assert found[0, 1] < 0.6


def test_probabilities_of_one_label_sum_to_one():
    found = RULE(np.array([[0.2, 0.5, 0.3]]), evidence([0.5], [[1, 0, 0]]), "singlelabel")
    assert found.sum() == pytest.approx(1)
    assert found[0, 0] > 0.5


@given(UNIT, st.floats(0.3, 1), st.floats(0.3, 1))
def test_it_is_monotone(probability, one, other):
    low, high = sorted((one, other))
    table = np.full((2, 2), probability)
    found = RULE(table, evidence([low, high], [[1, 0]] * 2), "multilabel")
    assert found[1, 0] >= found[0, 0] >= found[0, 1] >= found[1, 1]


def simulated(n: int, seed: int = 0):
    """Probabilities, evidence, truth and groups: homologues agree the more, the more similar."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 4)) < 0.3
    identity = rng.uniform(0.3, 1, n)
    agrees = rng.random((n, 4)) < (0.55 + 0.45 * identity[:, None])
    logits = 1.5 * (2.0 * truth - 1) + rng.normal(-0.5, 1.5, truth.shape)
    return expit(logits), evidence(identity, np.where(agrees, truth, ~truth)), truth, np.arange(n)


def test_the_fit_is_that_of_scikit_learn():
    """Where all parameters are positive, the bounds do not matter and both have one optimum."""
    probabilities, found, truth, groups = simulated(400)
    fitted = fit_rule(
        probabilities, found, truth, np.ones_like(truth), groups, "multilabel", 0.3, 0.1
    )
    closeness = (found.identity[:, None] - 0.3) / 0.7
    has = found.labels.astype(float)
    logits = np.log(probabilities / (1 - probabilities))
    columns = [logits, has, has * closeness, has - 1, (has - 1) * closeness]
    features = np.stack(columns, axis=-1).reshape(-1, 5)
    # The prior of the scale is centered at 1: an offset of one logit, which is not fitted.
    assert fitted.scale > 0
    theirs = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=1000)
    theirs.fit(features, truth.ravel())
    names = ("scale", "present", "present_by_identity", "absent", "absent_by_identity")
    ours = np.array([getattr(fitted, name) for name in names])
    np.testing.assert_allclose(ours, theirs.coef_[0], atol=0.02)
    assert (fitted.proteins, fitted.groups) == (400, 400)


def test_the_fit_of_a_single_label_is_the_optimum():
    """The loss is convex: where no change of one parameter lowers it, it is the lowest."""
    rng = np.random.default_rng(2)
    chosen = rng.integers(0, 4, 300)
    truth = np.eye(4, dtype=bool)[chosen]
    exponentials = np.exp(1.5 * truth + rng.normal(size=truth.shape))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    identity = rng.uniform(0.3, 1, 300)
    agrees = rng.random(300) < identity
    labels = np.eye(4, dtype=bool)[np.where(agrees, chosen, rng.integers(0, 4, 300))]
    fitted = fit_rule(
        probabilities, evidence(identity, labels), truth, np.ones_like(truth), np.arange(300),
        "singlelabel", 0.3, 0.1,
    )  # fmt: skip
    closeness = (identity[:, None] - 0.3) / 0.7
    columns = [np.log(probabilities)]
    for has in (labels, labels - 1.0):
        columns += [has, has * closeness]

    def loss(parameters: np.ndarray) -> float:
        scores = np.stack(columns, axis=-1) @ parameters
        prior = ((parameters - [1, 0, 0, 0, 0]) ** 2).sum() / 2
        return (np.log(np.exp(scores).sum(axis=1)) - scores[truth]).sum() + prior

    names = ("scale", "present", "present_by_identity", "absent", "absent_by_identity")
    ours = np.array([getattr(fitted, name) for name in names])
    assert (ours > 0.1).all()
    for change in 0.05 * np.concatenate([np.eye(5), -np.eye(5)]):
        assert loss(ours) < loss(ours + change)


def test_each_homology_group_counts_once():
    """A group of many equal proteins is as one of them."""
    probabilities, found, truth, groups = simulated(60)
    rows = np.concatenate([np.zeros(500, dtype=int), np.arange(1, 60)])
    more = Evidence(found.identity[rows], found.labels[rows], found.known[rows])
    known = np.ones_like(truth)
    one = fit_rule(probabilities, found, truth, known, groups, "multilabel", 0.3, 0.1)
    many = fit_rule(
        probabilities[rows], more, truth[rows], known[rows], groups[rows], "multilabel", 0.3, 0.1
    )
    assert many.groups == one.groups == 60
    for name in ("scale", "present", "absent"):
        assert getattr(many, name) == pytest.approx(getattr(one, name), abs=1e-3)


def test_too_few_groups_give_no_rule():
    probabilities, found, truth, groups = simulated(80)
    known, few = np.ones_like(truth), groups % (rule_module.FEWEST - 1)
    assert fit_rule(probabilities, found, truth, known, few, "multilabel", 0.3, 0.1) is None


def test_homologues_without_information_are_hardly_used():
    probabilities, found, truth, groups = simulated(600)
    rng = np.random.default_rng(5)
    useless = replace(found, labels=rng.random(truth.shape) < 0.3)
    fitted = fit_rule(
        probabilities, useless, truth, np.ones_like(truth), groups, "multilabel", 0.3, 0.1
    )
    real = fit_rule(
        probabilities, found, truth, np.ones_like(truth), groups, "multilabel", 0.3, 0.1
    )
    assert fitted.present + fitted.present_by_identity < 0.3
    assert real.present + real.present_by_identity > 2
    assert real(probabilities, found, "multilabel")[truth].mean() > probabilities[truth].mean()


PAIRS = pd.DataFrame(
    [
        ("q", "a", 0.5, 0.9, 1, 1e-9, 50.0),
        ("q", "b", 0.4, 0.9, 1, 1e-9, 90.0),
        ("q", "c", 0.9, 0.5, 0, 1e-9, 500.0),  # covers too little
        ("q", "d", 0.2, 0.9, 0, 1e-9, 600.0),  # identity is too low
        ("r", "a", 0.35, 0.9, 1, 1e-9, 70.0),
        ("r", "s", 1.0, 1.0, 1, np.nan, np.nan),  # identical sequences are not aligned
    ],
    columns=["query", "target", "identity", "shorter_coverage", "similar", "evalue", "bits"],
)


def test_the_homologue_is_the_best_alignment_of_similar_proteins():
    ids = list("qabcdrs")
    proteins = Proteins(pd.DataFrame({"id": ids}), ("A",), np.zeros((7, 1), np.uint8), "multilabel")
    similar = similar_hits(PAIRS)
    queries = np.array([0, 5, 1, 3])
    found = find_homologues(similar, proteins, queries, np.arange(7))
    assert [ids[row] if row >= 0 else None for row in found.rows] == ["b", "s", "r", None]
    np.testing.assert_allclose(found.identity, [0.4, 1.0, 0.35, np.nan])
    without = find_homologues(similar, proteins, queries, np.array([1, 3, 4]))
    assert [ids[row] if row >= 0 else None for row in without.rows] == ["a", "a", None, None]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose hits are between proteins of a group, and never across parts."""
    run = make_run(tmp_path_factory.mktemp("run"), n=900)
    rng = np.random.default_rng(0)
    rows = []
    for _, ids in run.assignments.groupby("group")["id"]:
        rows += [
            (one, other, rng.uniform(0.3, 1), 0.95, 1, 1e-9, rng.uniform(50, 500))
            for one, other in pairwise(ids)
        ]
    return run, pd.DataFrame(rows, columns=PAIRS.columns)


def models_of(run, proteins=None):
    assignments = run.assignments.set_index("id")
    paths = [path for path in run.models if path.parts[-2] in ("halo", "majority")]
    return by_method(read_model(path, proteins or run.proteins, assignments) for path in paths)


def gains(run, hits, proteins=None, models=None):
    return measure_gains(
        models or models_of(run, proteins), proteins or run.proteins,
        run.assignments.set_index("id"), hits, 0.3, 0.1, EvaluationSettings(resamples=100),
    )  # fmt: skip


def alike(run, share: float) -> Proteins:
    """The run's proteins with the labels of the first of their group, in a share of groups."""
    labels = run.proteins.labels.copy()
    group = run.assignments["group"].to_numpy()
    rng = np.random.default_rng(1)
    for name in np.unique(group):
        rows = np.flatnonzero(group == name)
        if rng.random() < share:
            labels[rows] = labels[rows[0]]
    return Proteins(run.proteins.table, run.proteins.label_names, labels, run.proteins.task)


def test_the_gain_is_measured_where_there_is_a_homologue(run):
    made, hits = run
    found = gains(made, hits, alike(made, 1.0))
    assert list(found) == ["halo"]  # a baseline gets none
    content = found["halo"]
    paired = set(hits["query"]) | set(hits["target"])
    bins = content["bins"]
    assert bins["all"]["proteins"] == len(paired)
    assert sum(part["proteins"] for name, part in bins.items() if name != "all") == len(paired)
    assert bins["all"]["homologue"]["macro_f1"]["value"] == 1
    assert bins["all"]["gain"]["alone"]["macro_f1"]["low"] > 0.1
    for part in bins.values():
        for metric, gain in part["gain"]["alone"].items():
            values = [part[way][metric]["value"] for way in ("joined", "alone")]
            assert gain["value"] == pytest.approx(values[0] - values[1], abs=2e-6)
    assert len(content["rules"]) == 6
    assert content["conformal"]["observed"] > 0.8


def test_a_label_counts_where_it_is_known_of_both(run):
    """An unknown label of a homologue is no statement that its protein has not the label."""
    made, hits = run
    proteins = alike(made, 1.0)
    known = np.random.default_rng(2).random(proteins.labels.shape) < 0.7
    proteins = replace(proteins, labels=proteins.labels * known, known=known)
    bins = gains(made, hits, proteins)["halo"]["bins"]
    assert bins["all"]["homologue"]["macro_f1"]["value"] == 1
    assert bins["all"]["homologue"]["exact_match"]["value"] == 1


def test_without_labels_there_is_no_coverage(run):
    proteins = run[0].proteins
    proteins = replace(proteins, labels=np.zeros_like(proteins.labels))
    sets = np.ones((2, proteins.labels.shape[1]), dtype=bool)
    part = _Tested(np.arange(2), np.ones(2), sets, {}, sets)
    assert _coverage({1: [part]}, proteins, 0.1)["observed"] is None


def test_homologues_that_say_nothing_do_little_harm(run):
    gain = gains(*run)["halo"]["bins"]["all"]["gain"]["alone"]["macro_f1"]
    assert gain["value"] > -0.02


def test_labels_of_the_test_have_no_influence_on_the_rules(run):
    made, hits = run
    usual = fit_to_models(
        models_of(made)["halo"][1][:1], made.proteins, made.assignments.set_index("id"),
        similar_hits(hits), 0.3, 0.1,
    )  # fmt: skip
    for part, same in (("test", True), ("val", False)):
        labels = made.proteins.labels.copy()
        chosen = (made.assignments["part_0"] == part).to_numpy()
        labels[chosen] = 1 - labels[chosen]
        changed = Proteins(
            made.proteins.table, made.proteins.label_names, labels, made.proteins.task
        )
        other = fit_to_models(
            models_of(made)["halo"][1][:1], changed, made.assignments.set_index("id"),
            similar_hits(hits), 0.3, 0.1,
        )  # fmt: skip
        assert (other == usual) is same


def test_too_few_homologues_are_reported(run, caplog):
    made, hits = run
    with caplog.at_level("INFO"):
        found = gains(made, hits.head(20))
    assert found["halo"].keys() == {"rules"}
    assert {entry["rule"] for entry in found["halo"]["rules"]} == {None}
    assert "halo: labels of homologues are not used: " in caplog.text
    assert "a homologue are of fewer than 30 homology groups" in caplog.text
