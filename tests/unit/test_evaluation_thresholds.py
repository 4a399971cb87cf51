"""Decisions, tuned thresholds and uncertainty."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import f1_score

from halo.evaluation.thresholds import FIXED, decide, tuned_thresholds, uncertainty

tables = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        arrays.arrays(bool, (n, 2)),
        arrays.arrays(np.int64, (n, 2), elements=st.integers(0, 100)).map(lambda a: a / 100),
    )
)


@settings(max_examples=80, deadline=None)
@given(tables)
def test_no_threshold_is_better_than_the_tuned_one(table):
    truth, probabilities = table
    found = tuned_thresholds(truth, probabilities)
    for label, threshold in enumerate(found):
        t, p = truth[:, label], probabilities[:, label]
        if not t.any():
            assert threshold == FIXED
            continue
        best = max(
            f1_score(t, p >= cut, zero_division=0.0) for cut in np.linspace(-0.005, 1.0, 202)
        )
        assert f1_score(t, p >= threshold, zero_division=0.0) == pytest.approx(best)


def test_a_tuned_threshold_lies_between_the_proteins():
    truth = np.array([[0], [0], [1], [1]], dtype=bool)
    probabilities = np.array([[0.1], [0.2], [0.6], [0.9]])
    assert tuned_thresholds(truth, probabilities) == pytest.approx([0.4])


def test_several_labels_or_the_best_one():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    thresholds = np.array([0.5, 0.25, 0.9])
    assert decide(probabilities, thresholds, "multilabel").tolist() == [
        [True, True, False],
        [False, False, False],
    ]
    assert decide(probabilities, thresholds, "singlelabel").tolist() == [
        [True, False, False],
        [False, False, True],
    ]


@given(tables, st.floats(0, 1))
def test_uncertainty_is_between_0_and_1(table, threshold):
    _, probabilities = table
    found = uncertainty(probabilities, np.full(2, threshold), "multilabel")
    assert ((found >= 0) & (found <= 1)).all()


def test_uncertainty_is_the_nearness_to_the_own_threshold():
    thresholds = np.array([0.2, 0.5])
    certain = uncertainty(np.array([[0.0, 1.0]]), thresholds, "multilabel")
    on_one = uncertainty(np.array([[0.2, 1.0]]), thresholds, "multilabel")
    halfway = uncertainty(np.array([[0.6, 0.0]]), thresholds, "multilabel")
    assert certain == [0.0]
    assert on_one == [1.0]
    assert halfway == pytest.approx([0.5])
    assert uncertainty(np.array([[0.4, 0.4, 0.2]]), np.ones(3), "singlelabel") == [1.0]
    assert uncertainty(np.array([[1.0, 0.0]]), np.ones(2), "singlelabel") == [0.0]
