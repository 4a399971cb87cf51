"""The bootstrap resamples groups, and its intervals have the nominal coverage."""

import numpy as np
import pytest

from halo.evaluation.bootstrap import GroupBootstrap, estimate, reported
from halo.evaluation.metrics import decision_replicates, probability_replicates

PROPENSITY = np.array([-0.5, -1.0, -1.5, -2.5])  # logit of each label


def test_whole_groups_are_drawn():
    groups = np.array(["a", "a", "b", "c", "c", "c"])
    bootstrap = GroupBootstrap(groups, 200, 1)
    sizes = bootstrap.sums(np.ones((6, 1)))[0]
    assert sizes[0] == 6
    assert (bootstrap.weights[:, 1:].sum(axis=0) == 3).all()
    assert sizes[1:].min() == 3  # three times b
    assert sizes[1:].max() == 9  # three times c


def test_sums_are_those_of_the_resampled_proteins():
    rng = np.random.default_rng(0)
    groups, values = rng.integers(0, 9, 40), rng.normal(size=(40, 3))
    bootstrap = GroupBootstrap(groups, 20, 1)
    for column in range(21):
        times = bootstrap.weights[bootstrap.group, column].astype(int)
        expected = values[np.repeat(np.arange(40), times)].sum(axis=0)
        np.testing.assert_allclose(bootstrap.sums(values)[:, column], expected)


def test_the_same_seed_draws_the_same():
    groups = np.arange(30)
    one, two, other = (GroupBootstrap(groups, 50, seed).weights for seed in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()


def test_an_interval_leaves_out_what_is_not_defined():
    drawn = np.array([0.5, *np.linspace(0, 1, 101), np.nan, np.nan])
    found = estimate(drawn)
    assert found == {"value": 0.5, "low": 0.025, "high": 0.975}


def test_dependent_proteins_widen_the_interval():
    """A hundred copies of ten proteins are ten observations, not a thousand."""
    right = np.repeat(np.arange(10) < 6, 100)[:, None]
    truth = np.ones_like(right)

    def width(groups: np.ndarray) -> float:
        bootstrap = GroupBootstrap(groups, 500, 1)
        found = estimate(decision_replicates(truth, right, bootstrap).overall["exact_match"])
        return found["high"] - found["low"]

    assert width(np.repeat(np.arange(10), 100)) > 5 * width(np.arange(1000))


def draw(rng: np.random.Generator, n_groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of one to three proteins that share a part of their labels' propensity."""
    groups = np.repeat(np.arange(n_groups), rng.integers(1, 4, n_groups))
    shared = rng.normal(0, 0.8, (n_groups, 4))[groups]
    logits = PROPENSITY + shared + rng.normal(0, 1.5, (len(groups), 4))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return groups, truth, 1 / (1 + np.exp(-1.5 * logits))  # too sure of itself


def test_intervals_cover_the_truth_at_their_nominal_rate():
    """Of 200 experiments, the 95 % interval holds the value of the population in about 190."""
    rng = np.random.default_rng(0)

    def measure(n_groups: int, resamples: int, seed: int) -> dict[str, np.ndarray]:
        groups, truth, probabilities = draw(rng, n_groups)
        bootstrap = GroupBootstrap(groups, resamples, seed)
        decided = decision_replicates(truth, probabilities >= 0.5, bootstrap)
        scored = probability_replicates(truth, probabilities, bootstrap)
        return (decided | scored).overall

    names = ("macro_f1", "macro_mcc", "exact_match", "macro_auroc", "calibration_error")
    population = {name: values[0] for name, values in measure(50_000, 1, 0).items()}
    covered = dict.fromkeys(names, 0)
    experiments = 200
    for experiment in range(experiments):
        found = measure(120, 250, experiment)
        for name in names:
            interval = estimate(found[name], biased=name == "calibration_error")
            covered[name] += interval["low"] <= population[name] <= interval["high"]
            assert interval["low"] <= interval["value"] <= interval["high"]
    # Three and a half standard errors of 200 experiments; the correction of the calibration
    # error, of 120 groups, is not perfect.
    lowest = dict.fromkeys(names, 0.9) | {"calibration_error": 0.85}
    for name in names:
        assert lowest[name] <= covered[name] / experiments <= 0.99, (name, covered)


def test_a_biased_metric_is_corrected():
    """Without the correction, the interval of a calibration error lies above the truth."""
    rng = np.random.default_rng(0)
    probabilities = rng.random((200, 1))
    truth = rng.random((200, 1)) < probabilities  # calibrated: the true error is 0
    replicates = probability_replicates(
        truth, probabilities, GroupBootstrap(np.arange(200), 400, 1)
    )
    error = replicates.overall["calibration_error"]
    assert estimate(error)["low"] > 0.02
    assert estimate(error, biased=True)["low"] < 0.02


def test_a_value_that_is_not_defined_is_none():
    assert reported(0.12345678) == 0.123457
    assert reported(np.nan) is None
    assert reported(np.inf) is None


def test_one_group_has_no_interval():
    bootstrap = GroupBootstrap(np.zeros(5), 10, 1)
    truth = np.array([[1], [0], [1], [1], [0]], dtype=bool)
    found = estimate(decision_replicates(truth, ~truth, bootstrap).overall["exact_match"])
    assert found == {"value": 0, "low": None, "high": None}
    for undefined in (np.full(11, np.nan), [np.nan, 0.5, 0.5]):
        assert estimate(np.array(undefined)) == {"value": None, "low": None, "high": None}
    found = estimate(np.array([0.5, np.nan, np.nan]))
    assert found == {"value": 0.5, "low": None, "high": None}
    assert bootstrap.n_groups == pytest.approx(1)
