"""Metrics agree with scikit-learn, for the data and every resample."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from halo.evaluation.bootstrap import GroupBootstrap, estimate
from halo.evaluation.metrics import (
    BINS,
    decision_replicates,
    probability_replicates,
    reliability_replicates,
)
from halo.evaluation.ranking import ranking_replicates

RESAMPLES = 5


@st.composite
def outcomes(draw):
    """Truth, probabilities (with ties) and groups of a few proteins."""
    n, n_labels = draw(st.integers(1, 25)), draw(st.integers(1, 4))
    truth = draw(arrays.arrays(bool, (n, n_labels)))
    tenths = draw(arrays.arrays(np.int64, (n, n_labels), elements=st.integers(0, 20)))
    groups = draw(arrays.arrays(np.int64, n, elements=st.integers(0, 6)))
    return truth, tenths / 20, groups


def resampled(bootstrap: GroupBootstrap, column: int) -> np.ndarray:
    """Rows of the proteins of a resample, each as often as its group was drawn."""
    return np.repeat(
        np.arange(len(bootstrap.group)), bootstrap.weights[bootstrap.group, column].astype(int)
    )


def by_scikit_learn(truth: np.ndarray, decisions: np.ndarray) -> dict[str, float]:
    defined = truth.any(axis=0)
    prf = {"zero_division": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            "exact_match": sk.accuracy_score(truth, decisions),
            "jaccard": sk.jaccard_score(truth, decisions, average="samples", zero_division=1.0),
            "micro_f1": sk.f1_score(truth, decisions, average="micro", **prf),
            "micro_precision": sk.precision_score(truth, decisions, average="micro", **prf),
            "micro_recall": sk.recall_score(truth, decisions, average="micro", **prf),
            "labels_predicted": decisions.sum(axis=1).mean(),
            "micro_mcc": sk.matthews_corrcoef(truth.ravel(), decisions.ravel()),
        }
        if defined.any():
            rows = truth[:, defined], decisions[:, defined]
            found |= {
                "macro_f1": sk.f1_score(*rows, average="macro", **prf),
                "macro_precision": sk.precision_score(*rows, average="macro", **prf),
                "macro_recall": sk.recall_score(*rows, average="macro", **prf),
                "macro_mcc": np.mean(
                    [sk.matthews_corrcoef(t, d) for t, d in zip(rows[0].T, rows[1].T, strict=True)]
                ),
            }
    return found


@settings(max_examples=30, deadline=None)
@given(outcomes())
def test_decisions_agree_with_scikit_learn_in_every_resample(outcome):
    truth, probabilities, groups = outcome
    decisions = probabilities >= 0.5
    # scikit-learn takes a single column for a binary task, not for one label.
    truth, decisions = (np.column_stack([a, a[:, ::-1]]) for a in (truth, decisions))
    bootstrap = GroupBootstrap(groups, RESAMPLES, 1)
    found = decision_replicates(truth, decisions, bootstrap).overall
    for column in range(1 + bootstrap.resamples):
        rows = resampled(bootstrap, column)
        for name, value in by_scikit_learn(truth[rows], decisions[rows]).items():
            assert found[name][column] == pytest.approx(value, abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(outcomes())
def test_rankings_agree_with_scikit_learn_in_every_resample(outcome):
    truth, probabilities, groups = outcome
    bootstrap = GroupBootstrap(groups, RESAMPLES, 1)
    replicates = probability_replicates(truth, probabilities, bootstrap)
    found = replicates.labels
    for column in range(1 + bootstrap.resamples):
        rows = resampled(bootstrap, column)
        micro, pairs = replicates.overall["micro_auroc"][column], truth[rows].ravel()
        if pairs.all() or not pairs.any():
            assert np.isnan(micro)
        else:
            expected = sk.roc_auc_score(pairs, probabilities[rows].ravel())
            assert micro == pytest.approx(expected, abs=1e-6)
        for label in range(truth.shape[1]):
            t, p = truth[rows, label], probabilities[rows, label]
            auroc, average = (found[n][label, column] for n in ("auroc", "average_precision"))
            if t.all() or not t.any():
                assert np.isnan(auroc)
                assert np.isnan(average)
            else:
                assert auroc == pytest.approx(sk.roc_auc_score(t, p), abs=1e-6)
                assert average == pytest.approx(sk.average_precision_score(t, p), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(outcomes())
def test_calibration_agrees_with_scikit_learn(outcome):
    truth, probabilities, groups = outcome
    probabilities = np.minimum(probabilities + 0.01, 1.0)  # off the edges of the bins
    bootstrap = GroupBootstrap(groups, RESAMPLES, 1)
    error = probability_replicates(truth, probabilities, bootstrap).overall["calibration_error"][0]
    curve = reliability_replicates(truth, probabilities, bootstrap)
    observed, mean = calibration_curve(truth.ravel(), probabilities.ravel(), n_bins=BINS)
    filled = curve["count"][:, 0] > 0
    np.testing.assert_allclose(curve["observed"][filled, 0], observed, atol=1e-9)
    np.testing.assert_allclose(curve["probability"][filled, 0], mean, atol=1e-9)
    weights = curve["count"][filled, 0] / truth.size
    assert error == pytest.approx((weights * np.abs(observed - mean)).sum(), abs=1e-9)


def test_values_worked_out_by_hand():
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
    decisions = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 0]], dtype=bool)
    found = decision_replicates(truth, decisions, GroupBootstrap(np.arange(3), 2, 1))
    value = {name: values[0] for name, values in found.overall.items()}
    assert value["exact_match"] == pytest.approx(2 / 3)
    assert value["jaccard"] == pytest.approx((1 + 1 / 3 + 1) / 3)  # nothing in nothing is right
    assert value["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    # The third label has no protein: it is not defined, and no part of the mean.
    assert value["macro_f1"] == pytest.approx((1 + 0) / 2)
    assert estimate(found.labels["f1"][2]) == {"value": None, "low": None, "high": None}


def test_a_perfect_and_an_inverted_ranking():
    truth = np.array([[1], [1], [0], [0]], dtype=bool)
    bootstrap = GroupBootstrap(np.arange(4), 2, 1)
    good = probability_replicates(truth, truth.astype(float), bootstrap).overall
    bad = probability_replicates(truth, 1.0 - truth, bootstrap).overall
    assert good["macro_auroc"][0] == 1
    assert bad["macro_auroc"][0] == 0
    assert good["calibration_error"][0] == 0
    assert bad["calibration_error"][0] == 1


def test_more_pairs_than_single_precision_counts():
    """Each protein drawn so often that there are more than 2**24, as pairs of protein and label."""
    rng = np.random.default_rng(0)
    truth = rng.random(3000) < 0.3
    scores = rng.random(3000) + 0.2 * truth
    once = GroupBootstrap(np.arange(3000), 0, seed=0)
    often = GroupBootstrap(np.arange(3000), 0, seed=0)
    often.weights = np.full((3000, 1), 44_443.0)
    for value, expected in zip(
        ranking_replicates(truth, scores, often),
        ranking_replicates(truth, scores, once),
        strict=True,
    ):
        assert value[0] == pytest.approx(expected[0], abs=1e-8)
