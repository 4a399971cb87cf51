from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from halo.cascade.calibration import TEMPERATURES, calibrate, to_logits, to_probabilities
from halo.cascade.combination import Band, MemberPrediction, average, choose_band, combine
from halo.decisions import decide
from halo.evaluation.conformal import label_coverage, label_sets, risk_control


def multilabel(n, labels=4, seed=0, base=-1.0):
    """True logits and what they lead to."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(base, 2.0, (n, labels))
    return logits, rng.random((n, labels)) < expit(logits)


# ------------------------------------------------------------------ calibration


def test_a_known_distortion_is_undone():
    logits, truth = multilabel(20_000)
    shifts = np.array([0.5, -0.5, 1.0, 0.0])
    distorted = expit((logits - shifts) * 0.4)
    found = calibrate(distorted, truth, "multilabel")
    assert found.temperature == pytest.approx(0.4, rel=0.05)
    assert found.shifts == pytest.approx(shifts, abs=0.08)
    assert found(distorted) == pytest.approx(expit(logits), abs=0.03)


def test_a_known_distortion_of_a_softmax_is_undone():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20_000, 3))
    true = softmax(logits, axis=1)
    truth = (rng.random((len(true), 1)) < true.cumsum(axis=1)).argmax(axis=1)[:, None] == range(3)
    found = calibrate(softmax(logits * 2.5, axis=1), truth, "singlelabel")
    assert found.temperature == pytest.approx(2.5, rel=0.05)
    assert found(softmax(logits * 2.5, axis=1)) == pytest.approx(true, abs=0.03)


def test_decisions_stay_the_same():
    logits, truth = multilabel(500)
    raw, thresholds = expit(logits * 0.3 + 1), np.array([0.3, 0.5, 0.7, 0.9])
    found = calibrate(raw, truth, "multilabel")
    before = decide(raw, thresholds, "multilabel")
    after = decide(found(raw), found.thresholds(thresholds), "multilabel")
    assert (before == after).all()


def test_a_label_without_positives_stays_near_the_others():
    logits, truth = multilabel(300)
    truth[:, 2] = False
    found = calibrate(expit(logits), truth, "multilabel")
    assert np.isfinite(found.shifts).all()
    assert found.shifts[2] > -6


def test_the_fit_is_the_maximum_of_the_posterior():
    """There the slope is 0: residuals of the labels, and the prior of their shifts."""
    logits, truth = multilabel(60, seed=3)
    known = np.random.default_rng(3).random(truth.shape) < 0.8
    found = calibrate(expit(logits), truth, "multilabel", known)
    residual = ((expit(logits / found.temperature + found.shifts) - truth) * known).sum(axis=0)
    own = found.shifts - found.shifts.mean()  # the common shift has no prior
    assert residual + own == pytest.approx(np.zeros(4), abs=1e-3)


def test_proteins_without_their_one_label_change_no_calibration():
    rng = np.random.default_rng(2)
    raw = softmax(rng.normal(0, 2, (80, 3)), axis=1)
    truth = np.eye(3, dtype=bool)[rng.integers(0, 3, 80)]
    truth[60:] = False
    all_of_them, labelled = (calibrate(raw[:n], truth[:n], "singlelabel") for n in (80, 60))
    assert all_of_them.temperature == pytest.approx(labelled.temperature, rel=1e-3)
    assert all_of_them.shifts == pytest.approx(labelled.shifts, abs=1e-3)


def test_without_proteins_nothing_is_changed():
    found = calibrate(np.empty((0, 3)), np.empty((0, 3), bool), "multilabel")
    raw = np.array([[0.1, 0.5, 0.9]])
    assert found(raw) == pytest.approx(raw)


# ------------------------------------------------------------------ conformal sets


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.1, 0.2, 0.5]), st.integers(5, 60))
@settings(max_examples=60, deadline=None)
def test_the_cut_is_the_highest_that_keeps_the_risk(seed, risk, n):
    """Against a search through all cuts."""
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, 20, (n, 4)) / 20
    truth = rng.random((n, 4)) < 0.4

    def bound(cut):
        missed = (truth & (probabilities < cut)).sum(axis=1) / np.maximum(truth.sum(axis=1), 1)
        return (missed.sum() + 1) / (truth.any(axis=1).sum() + 1)

    cut = risk_control(probabilities, truth, risk)
    kept = [value for value in np.unique(probabilities[truth]) if bound(value) <= risk + 1e-9]
    assert cut == pytest.approx(max(kept, default=0.0))


def test_the_risk_is_kept_on_other_proteins():
    found = []
    for seed in range(40):
        logits, truth = multilabel(400, seed=seed)
        probabilities = expit(logits)
        cut = risk_control(probabilities[:200], truth[:200], 0.1)
        found.append(label_coverage(label_sets(probabilities[200:], cut), truth[200:]))
    assert 0.895 < np.mean(found) < 0.93


def test_few_proteins_give_the_widest_sets():
    assert risk_control(np.array([[0.9, 0.2]]), np.array([[True, False]]), 0.1) == 0.0


def test_a_probability_at_the_cut_is_in_the_set():
    assert label_sets(np.array([[0.2, 0.3, 0.4]]), 0.3).tolist() == [[False, True, True]]
    assert label_sets(np.array([[0.2, 0.3]]), np.array([0.2, 0.4])).tolist() == [[True, False]]


def test_the_coverage_is_the_mean_over_proteins_with_a_label():
    sets = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=bool)
    truth = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert label_coverage(sets, truth) == pytest.approx((0.5 + 1 + 0) / 3)
    assert np.isnan(label_coverage(sets[3:], truth[3:]))


# ------------------------------------------------------------------ two models


def prediction(logits, thresholds=0.5, task="multilabel"):
    return MemberPrediction(
        to_probabilities(logits, task), np.full(logits.shape[1], float(thresholds)), task
    )


def test_the_second_member_decides_where_the_first_is_uncertain():
    first = prediction(np.array([[4.0, -4.0], [0.1, -4.0], [4.0, -0.2]]))
    second = prediction(np.array([[-3.0, 3.0]] * 3))
    joint, asked = combine(first, second, Band(0.8, 1.0))
    assert asked.tolist() == [False, True, True]
    assert joint.probabilities[0] == pytest.approx(first.probabilities[0])
    assert joint.probabilities[1:] == pytest.approx(second.probabilities[1:])


def test_the_first_decides_alone_up_to_the_edge_of_the_band():
    """A probability at its threshold has the uncertainty 1."""
    first = prediction(np.array([[0.0, -4.0]]))
    assert first.uncertainty.tolist() == [1.0]
    _, asked = combine(first, prediction(np.array([[3.0, 3.0]])), Band(1.0, 1.0))
    assert not asked.any()


@pytest.mark.parametrize("task", ["multilabel", "singlelabel"])
def test_asked_about_everything_the_second_decides_as_it_would_alone(task):
    logits, _ = multilabel(200)
    others, _ = multilabel(200, seed=1)
    first, second = prediction(logits, 0.3, task), prediction(others, 0.7, task)
    joint, asked = combine(first, second, Band(-1.0, 1.0))
    assert asked.all()
    alone = decide(second.probabilities, second.thresholds, task)
    assert (decide(joint.probabilities, joint.thresholds, task) == alone).all()


def test_the_average_is_the_mean_of_the_logits():
    logits, _ = multilabel(50)
    others, _ = multilabel(50, seed=1)
    joint = average(prediction(logits), prediction(others))
    assert logit(joint.probabilities) == pytest.approx((logits + others) / 2, abs=1e-6)


def test_the_band_follows_who_is_right():
    logits, truth = multilabel(2000)
    good, bad = prediction(logits), prediction(np.random.default_rng(3).normal(size=logits.shape))
    assert choose_band(good, bad, truth).certainty > 0.9, "the second is hardly asked"
    assert choose_band(bad, good, truth) == Band(-1.0, 1.0), "the second decides everything"


def test_of_bands_that_do_not_differ_the_widest_is_used():
    """Of 40 proteins the better model is not always the better one; of 4,000 it is."""
    logits, truth = multilabel(4000)
    noise = np.random.default_rng(5).normal(size=(2, *logits.shape))
    first, second = prediction(logits + 2.5 * noise[0]), prediction(logits + 1.5 * noise[1])
    widest = 0
    for start in range(0, 400, 40):
        few = slice(start, start + 40)
        parts = [replace(one, probabilities=one.probabilities[few]) for one in (first, second)]
        widest += choose_band(*parts, truth[few]).certainty == -1
    assert widest >= 8
    assert choose_band(first, second, truth).certainty < 0.5
    assert choose_band(second, first, truth).certainty > 0


def test_the_best_band_is_that_of_all_proteins(monkeypatch):
    """Scores are those of all proteins, then of two bootstrap samples, by band."""
    scores = iter([np.array([0.9, 0.1, 0.1]), np.array([0.5, 0.6, 0.6])])
    monkeypatch.setattr(
        "halo.cascade.combination.decision_replicates",
        lambda *_: SimpleNamespace(overall={"macro_f1": next(scores)}),
    )
    logits, truth = multilabel(10)
    one = prediction(logits)
    assert choose_band(one, one, truth, shares=(0.0, 1.0), weights=(1.0,)).certainty == 1


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
def test_proteins_without_a_label_leave_the_widest_band():
    logits, truth = multilabel(20)
    assert choose_band(prediction(logits), prediction(-logits), ~truth & truth).certainty == -1


def test_two_that_err_independently_are_joined():
    logits, truth = multilabel(4000)
    rng = np.random.default_rng(4)
    first, second = (prediction(logits + rng.normal(0, 2, logits.shape)) for _ in range(2))
    band = choose_band(first, second, truth)
    assert band.weight == 0.5
    _, asked = combine(first, second, band)
    assert asked.mean() > 0.3


def test_logits_are_recovered_from_probabilities():
    logits, _ = multilabel(20)
    assert to_logits(expit(logits), "multilabel") == pytest.approx(logits, abs=1e-6)


def test_a_model_that_knows_nothing_gets_a_finite_temperature():
    """Its logits say nothing of the truth: only the frequencies of the labels are left."""
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0.3, 0.7, (400, 2))
    truth = rng.uniform(size=(400, 2)) < [0.2, 0.6]
    found = calibrate(probabilities, truth, "multilabel")
    assert found.temperature <= TEMPERATURES[1]
    np.testing.assert_allclose(found(probabilities).mean(axis=0), truth.mean(axis=0), atol=0.02)
