"""From probabilities to regions, against an enumeration of all paths."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo.regions.decode import best_path, count_transitions, decode
from halo.regions.table import UNKNOWN, Region, runs_of

SIGNAL = np.array([1] * 20 + [0] * 30, dtype=np.int8)
NONE = np.zeros(50, dtype=np.int8)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_best_path_is_that_of_an_enumeration(length, seed):
    rng = np.random.default_rng(seed)
    transitions = count_transitions([rng.integers(0, 3, 9).astype(np.int8) for _ in range(3)], 2)
    logs = np.log(rng.dirichlet(np.ones(3), length))

    def score(path):
        total = transitions.first[path[0]] + logs[0, path[0]]
        for place in range(1, length):
            total += transitions.next[path[place - 1], path[place]] + logs[place, path[place]]
        return total

    best = max(product(range(3), repeat=length), key=score)
    assert score(best_path(logs, transitions)) == pytest.approx(score(best))


def test_transitions_are_counted_where_both_residues_are_known():
    target = np.array([1, 1, 0, UNKNOWN, 0, 0], dtype=np.int8)
    found = count_transitions([target], 1)
    counts = np.array([[1.1, 0.1], [1.1, 1.1]])
    np.testing.assert_allclose(np.exp(found.next), counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(np.exp(found.first), [0.1 / 1.2, 1.1 / 1.2])


@pytest.mark.parametrize(
    ("target", "first"),
    [
        ((UNKNOWN, 1), (0.1, 0.1)),
        ((0, UNKNOWN), (1.1, 0.1)),
        ((1, 0), (0.1, 1.1)),
        ((), (0.1, 0.1)),
    ],
)
def test_the_first_residue_is_counted_where_it_is_known(target, first):
    found = count_transitions([np.array(target, dtype=np.int8)], 1)
    np.testing.assert_allclose(np.exp(found.first), np.array(first) / sum(first))


def test_a_region_without_gaps_is_found_in_noise():
    transitions = count_transitions([SIGNAL] * 20 + [NONE] * 80, 1)
    p = np.where(SIGNAL == 1, 0.8, 0.1)
    p[7], p[40] = 0.3, 0.7  # single residues that say otherwise
    [region] = decode(np.stack([1 - p, p], axis=1), ["signal peptide"], transitions)
    assert (region.start, region.end, region.kind) == (1, 20, "signal peptide")
    assert region.confidence == pytest.approx(p[:20].mean())


def test_without_a_signal_no_region_is_found():
    transitions = count_transitions([SIGNAL] * 20 + [NONE] * 80, 1)
    p = np.full(50, 0.05)
    assert decode(np.stack([1 - p, p], axis=1), ["signal peptide"], transitions) == []
    assert decode(np.zeros((0, 2)), ["signal peptide"], transitions) == []
    assert best_path(np.zeros((0, 2)), transitions).shape == (0,)


def test_runs():
    numbers = np.array([UNKNOWN, 1, 1, 2, 0, 0, 1], dtype=np.int8)
    assert runs_of(numbers, ["", "a", "b"]) == (
        Region(2, 3, "a"), Region(4, 4, "b"), Region(5, 6, ""), Region(7, 7, "a"),
    )  # fmt: skip
