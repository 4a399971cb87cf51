"""Rounded probabilities and thresholds lead to the decisions of the exact ones."""

import numpy as np
import pytest

from halo.decisions import decide, rounded

UNIT = 1e-6


def test_rounding_moves_no_probability_across_its_threshold():
    scores = np.array([[0.2999996, 0.3000004, 0.3, 0.8, 0.9999999, 0.0]])
    thresholds = np.array([0.3, 0.3000001, 0.3, 0.1, 1.0, 1e-9])
    values, limits = rounded(scores, thresholds, "multilabel", 6)
    assert decide(scores, thresholds, "multilabel").tolist() == [[0, 1, 1, 1, 0, 0]]
    assert (values >= limits).tolist() == [[0, 1, 1, 1, 0, 0]]
    np.testing.assert_allclose(values, scores, atol=1.5 * UNIT)
    np.testing.assert_allclose(limits[0], thresholds, atol=1.5 * UNIT)
    assert values.min() >= 0


def test_thresholds_may_be_those_of_each_protein():
    scores, thresholds = np.array([[0.4], [0.4]]), np.array([[0.3], [0.4000001]])
    values, limits = rounded(scores, thresholds, "multilabel", 6)
    assert (values >= limits).tolist() == [[True], [False]]


@pytest.mark.parametrize("higher", [0, 1, 2])
def test_the_highest_stays_the_highest(higher):
    scores = np.full((1, 3), 0.3333331)
    scores[0, higher] += 1e-8
    values, _ = rounded(scores, np.full(3, 0.5), "singlelabel", 6)
    assert decide(values, np.full(3, 0.5), "singlelabel")[0].argmax() == higher
