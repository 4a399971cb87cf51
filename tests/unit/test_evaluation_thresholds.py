"""Decisions, tuned thresholds and uncertainty."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from halo.baselines.stage import decision_thresholds
from halo.decisions import decide, uncertainty
from halo.evaluation.thresholds import FIXED, GRID, tuned_thresholds
from halo.label_groups import all_groups, by_group
from halo.training.decisions import macro_f1


@st.composite
def tables(draw):
    """Truth and probabilities of a few proteins and two labels, many of them equal."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 30)), 2)
    return rng.random(shape) < rng.random(), rng.integers(0, draw(st.integers(1, 101)), shape) / 100


@settings(max_examples=80, deadline=None)
@given(tables())
def test_no_threshold_is_better_than_the_tuned_one(table):
    truth, probabilities = table
    found = tuned_thresholds(truth, probabilities)
    for label, threshold in enumerate(found):
        t, p = truth[:, label], probabilities[:, label]
        if not t.any():
            assert threshold == FIXED
            continue
        given_label = p >= np.linspace(-0.005, 1.0, 202)[:, None]
        best = (2 * (given_label & t).sum(axis=1) / (given_label.sum(axis=1) + t.sum())).max()
        assert f1_score(t, p >= threshold) == pytest.approx(best)


def test_a_tuned_threshold_lies_between_the_proteins():
    truth = np.array([[0], [0], [1], [1]], dtype=bool)
    probabilities = np.array([[0.1], [0.2], [0.6], [0.9]])
    assert tuned_thresholds(truth, probabilities) == pytest.approx([0.4])


def test_the_common_thresholds():
    assert list(GRID) == pytest.approx(np.linspace(0.02, 0.98, 49))


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


def test_a_score_that_equals_its_threshold_gives_the_label():
    """In the evaluation of probabilities and in the training, which has logits, alike."""
    truth = np.array([[1.0], [0.0]], dtype=np.float32)
    logits, tau = torch.tensor([[0.25], [0.2]]), torch.tensor([0.25])
    groups = all_groups(("A",), "multilabel", ())
    assert macro_f1(by_group(groups, decide, logits.numpy(), tau.numpy()), truth) == 1
    for scores, limits in ((logits, tau), (logits.sigmoid(), tau.sigmoid())):
        found = decide(scores.numpy(), limits.numpy(), "multilabel")
        assert found.tolist() == [[True], [False]]
    frequencies = np.array([0.3, 0.1])
    found = decide(frequencies[None], decision_thresholds(frequencies), "multilabel")
    assert found.tolist() == [[True, False]]


@given(tables(), st.floats(0, 1))
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
    assert uncertainty(np.array([[0.7, 0.3]]), np.ones(2), "singlelabel") == pytest.approx([0.6])


def test_uncertainty_at_the_ends_of_the_scale():
    """A threshold of 1 that is reached leaves no room above it; a single label is certain."""
    reached = uncertainty(np.array([[1.0, 0.0]]), np.array([1.0, 0.5]), "multilabel")
    assert reached == [1.0]
    assert uncertainty(np.array([[1.0]]), np.ones(1), "singlelabel") == [0.0]
