"""Unknown labels are ignored in loss, thresholds, calibration and metrics."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from halo.baselines.methods import Training, homology, majority
from halo.baselines.stage import run_baseline
from halo.cascade.calibration import calibrate
from halo.cascade.combination import MemberPrediction, choose_band
from halo.cascade.stage import CascadeSettings, join_fold
from halo.evaluation.bootstrap import GroupBootstrap
from halo.evaluation.metrics import (
    decision_replicates,
    probability_replicates,
    reliability_replicates,
)
from halo.evaluation.models import read_model
from halo.evaluation.stage import EvaluationSettings, evaluate
from halo.evaluation.thresholds import tuned_thresholds
from halo.files import read_json
from halo.finetuning.stage import _examples
from halo.fold_parts import FoldParts
from halo.model_key import ModelKey
from halo.network.loss import focal_loss, softmax_focal_loss
from halo.predict.build_bundle import _fit
from halo.report.page import fold_table
from halo.training import loop
from halo.training.decisions import label_frequencies, label_weights, macro_f1, macro_f1_error
from halo.training.settings import TrainingSettings
from halo.training.thresholds import ThresholdLoss, learn_thresholds
from made_proteins import random_sequence
from simulated_run import make_run
from test_training import run as train
from test_training import setting_of

N, LABELS = 80, 3


@pytest.fixture
def data():
    """Truth, the same with other values where it is unknown, probabilities, and what is known."""
    rng = np.random.default_rng(0)
    truth = rng.random((N, LABELS)) < 0.4
    known = rng.random((N, LABELS)) < 0.7
    probabilities = np.clip(0.3 * truth + 0.7 * rng.random((N, LABELS)), 0.01, 0.99)
    return truth, np.where(known, truth, ~truth), probabilities, known


def targets_of(truth: np.ndarray, known: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.where(known, truth, np.nan).astype(np.float32))


def test_loss_is_the_mean_over_what_is_known(data):
    truth, _, probabilities, known = data
    logits = torch.logit(torch.from_numpy(probabilities.astype(np.float32))).requires_grad_()
    loss = focal_loss(logits, targets_of(truth, known), 2.0, torch.ones(LABELS))
    p_true = np.where(truth, probabilities, 1 - probabilities)
    by_hand = ((1 - p_true) ** 2 * -np.log(p_true))[known].mean()
    assert loss.item() == pytest.approx(by_hand, rel=1e-4)
    loss.backward()
    assert (logits.grad.numpy()[~known] == 0).all()
    nothing = torch.full((4, LABELS), torch.nan)
    assert focal_loss(torch.zeros(4, LABELS), nothing, 2.0, torch.ones(LABELS)).item() == 0


def test_weights_of_the_labels_count_for_their_positives():
    """By hand: a weight multiplies the loss of a label's positives and of nothing else."""
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(size=(6, LABELS)).astype(np.float32))
    targets = torch.from_numpy((rng.random((6, LABELS)) < 0.5).astype(np.float32))
    weights = torch.tensor([1.0, 3.0, 0.5])
    each = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    by_hand = torch.where(targets == 1, weights, torch.ones(LABELS)) * each
    torch.testing.assert_close(focal_loss(logits, targets, 0.0, weights), by_hand.mean())
    one = torch.eye(LABELS)[torch.tensor([0, 1, 1, 2, 0, 2])]
    each = -torch.log_softmax(logits, dim=1)[one.bool()]
    by_hand = (weights[one.argmax(dim=1)] * each).mean()
    torch.testing.assert_close(softmax_focal_loss(logits, one, 0.0, weights), by_hand)


def test_frequencies_weights_and_f1_of_the_training(data):
    truth, _, probabilities, known = data
    targets = targets_of(truth, known)
    positives, count = (truth & known).sum(axis=0), known.sum(axis=0)
    np.testing.assert_allclose(label_frequencies(targets), positives / count, rtol=1e-6)
    np.testing.assert_allclose(
        label_weights(targets), np.sqrt((count - positives) / positives), rtol=1e-6
    )
    logits = torch.logit(torch.from_numpy(probabilities.astype(np.float32)))
    decided = logits.numpy() > 0
    f1 = [sk.f1_score(truth[k, i], decided[k, i]) for i, k in enumerate(known.T)]
    certain = np.where(known, truth, np.nan).astype(np.float32)
    assert macro_f1(decided, certain) == pytest.approx(np.mean(f1))
    error = macro_f1_error(decided.astype(np.uint8), certain)
    other = np.where(known, decided, ~decided).astype(np.uint8)
    assert 0 < error == macro_f1_error(other, certain)


def test_learned_and_tuned_thresholds(data):
    truth, other, probabilities, known = data
    logits = torch.logit(torch.from_numpy(probabilities.astype(np.float32)))
    frequencies = torch.full((LABELS,), 0.4)
    all_of_one = known.copy()
    all_of_one[:, 0] = False
    loss = ThresholdLoss(logits, targets_of(truth, all_of_one), frequencies, 5.0)
    assert loss.occurs.tolist() == [False, True, True]
    with torch.no_grad():
        q = torch.sigmoid((logits - loss.thresholds()) / 0.2).numpy()
    f1 = [
        2 * (q[k, i] * truth[k, i]).sum() / (q[k, i].sum() + truth[k, i].sum())
        for i, k in enumerate(all_of_one.T)
        if k.any()
    ]
    assert loss().item() == pytest.approx(sum(1 - np.array(f1)) / LABELS, abs=1e-5)
    tau = learn_thresholds(logits, targets_of(truth, known), frequencies, 5.0)
    assert torch.isfinite(tau).all()
    assert not torch.equal(
        tau, learn_thresholds(logits, targets_of(truth, truth | True), frequencies, 5.0)
    )
    tuned = tuned_thresholds(truth, probabilities, known)
    np.testing.assert_array_equal(tuned, tuned_thresholds(other, probabilities, known))
    alone = [
        tuned_thresholds(truth[k, i : i + 1], probabilities[k, i : i + 1])[0]
        for i, k in enumerate(known.T)
    ]
    np.testing.assert_array_equal(tuned, alone)


def test_metrics_are_those_of_the_known_pairs(data):
    truth, other, probabilities, known = data
    decisions = probabilities >= 0.5
    bootstrap = GroupBootstrap(np.arange(N) // 2, 20, 1)
    found = decision_replicates(truth, decisions, bootstrap, known)
    scored = probability_replicates(truth, probabilities, bootstrap, known)
    for again in (
        decision_replicates(other, decisions, bootstrap, known),
        probability_replicates(other, probabilities, bootstrap, known),
    ):
        for name, values in again.labels.items():
            np.testing.assert_array_equal(values, (found | scored).labels[name])
        for name, values in again.overall.items():
            np.testing.assert_array_equal(values, (found | scored).overall[name])
    for index, rows in enumerate(known.T):
        pair = truth[rows, index], decisions[rows, index]
        scores = truth[rows, index], probabilities[rows, index]
        for name, expected in {
            "f1": sk.f1_score(*pair),
            "precision": sk.precision_score(*pair),
            "recall": sk.recall_score(*pair),
            "mcc": sk.matthews_corrcoef(*pair),
            "auroc": sk.roc_auc_score(*scores),
            "average_precision": sk.average_precision_score(*scores),
        }.items():
            assert (found | scored).labels[name][index, 0] == pytest.approx(expected), name
    right = (truth == decisions) | ~known
    assert found.overall["exact_match"][0] == pytest.approx(right.all(axis=1).mean())
    assert found.overall["micro_f1"][0] == pytest.approx(
        sk.f1_score(truth[known], decisions[known])
    )
    curve = reliability_replicates(truth, probabilities, bootstrap, known)
    assert curve["count"][:, 0].sum() == known.sum()
    error = np.nansum(np.abs(curve["probability"] - curve["observed"])[:, 0] * curve["count"][:, 0])
    assert scored.overall["calibration_error"][0] == pytest.approx(error / known.sum())


def test_a_label_that_is_known_of_no_protein_is_not_defined(data):
    truth, _, probabilities, known = data
    known = known.copy()
    known[:, 0] = False
    bootstrap = GroupBootstrap(np.arange(N), 20, 1)
    found = probability_replicates(truth, probabilities, bootstrap, known)
    assert np.isnan(found.labels["auroc"][0]).all()
    assert np.isfinite(found.overall["macro_auroc"][0])
    assert np.isfinite(found.overall["calibration_error"]).all()
    decided = decision_replicates(truth, probabilities >= 0.5, bootstrap, known)
    assert np.isnan(decided.labels["f1"][0]).all()


def test_calibration_and_cascade(data):
    truth, other, probabilities, known = data
    one, two = (calibrate(probabilities, found, "multilabel", known) for found in (truth, other))
    assert one.temperature == two.temperature
    np.testing.assert_array_equal(one.shifts, two.shifts)
    rows = known[:, 0]
    whole = np.repeat(rows[:, None], LABELS, axis=1)
    masked = calibrate(probabilities, truth, "multilabel", whole)
    alone = calibrate(probabilities[rows], truth[rows], "multilabel")
    assert masked.temperature == pytest.approx(alone.temperature, rel=1e-4)
    np.testing.assert_allclose(masked.shifts, alone.shifts, atol=1e-3)
    # A model that is right about what is known, and one that is right about the rest.
    thresholds = np.full(LABELS, 0.5)
    good, bad = (
        MemberPrediction(
            np.where(found, 0.9, 0.1) + 0.01 * (probabilities - 0.5), thresholds, "multilabel"
        )
        for found in (truth, np.where(known, ~truth, truth))
    )
    assert choose_band(bad, good, truth, known).certainty == -1.0
    assert choose_band(good, bad, truth, known).certainty > 0.5


def test_baselines_learn_from_what_is_known():
    labels = np.array([[1, 0], [0, 0], [1, 1]], dtype=np.uint8)
    known = np.array([[True, False], [True, True], [True, True]])
    hits = pd.DataFrame({"query": ["x"], "target": ["a"], "bits": [50.0]})
    ids = np.array(["a", "b", "c"], dtype=object)
    training = Training(ids, labels, hits, known)
    np.testing.assert_allclose(majority(training, np.array(["x"])), [[2 / 3, 1 / 2]])
    np.testing.assert_allclose(homology(training, np.array(["x"])), [[1, 1 / 2]])


def test_the_evaluation_of_a_run(tmp_path):
    """What is wrong and becomes unknown no longer counts, and the tables say so."""
    run = make_run(tmp_path)
    assignments, settings = run.assignments.set_index("id"), EvaluationSettings(resamples=100)
    before, table = evaluate(run.proteins, assignments, run.models, {}, settings)
    name = run.proteins.label_names[0]
    wrong = table[(table["method"] == "majority")].set_index("id").loc[run.proteins.ids]
    decided = np.array([name in text.split(";") for text in wrong["decisions"]])
    known = np.ones_like(run.proteins.known)
    known[:, 0] = decided == run.proteins.labels[:, 0].astype(bool)
    labels = np.where(known, run.proteins.labels, 0).astype(np.uint8)
    proteins = replace(run.proteins, labels=labels, known=known)
    after, table = evaluate(proteins, assignments, run.models, {}, settings)
    assert after["unknown"][name] == (~known).sum() > 0
    assert sum(table["unknown"] == name) == len(before["methods"]) * (~known).sum()
    exact = [m["methods"]["majority"]["overall"]["exact_match"]["value"] for m in (before, after)]
    assert exact[0] < exact[1]


# -- stages: values of unknown labels in the table make no difference --------


def both(proteins):
    """The same proteins, partly unknown, with 0 and with 1 in the table where they are."""
    known = np.random.default_rng(3).random(proteins.labels.shape) < 0.7
    rows = np.arange(len(known))
    known[rows, rows % known.shape[1]] = True  # something is known of every protein
    for value in (0, 1):
        labels = np.where(known, proteins.labels, value).astype(np.uint8)
        yield replace(proteins, labels=labels, known=known)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


def test_the_stage_of_the_evaluation(run):
    assignments, settings = run.assignments.set_index("id"), EvaluationSettings(resamples=100)
    strata = {"half": {"first": np.arange(len(run.proteins)) % 2 == 0}}
    strata["half"]["second"] = ~strata["half"]["first"]
    one, two = (
        evaluate(proteins, assignments, run.models, strata, settings)[0]
        for proteins in both(run.proteins)
    )
    for metrics in (one, two):
        metrics.pop("support")
        metrics.pop("labels_averaged")
    assert one == two


@pytest.mark.parametrize("kind", ["majority", "homology"])
def test_the_stage_of_the_baselines(run, tmp_path, kind):
    ids = run.proteins.ids
    parts = FoldParts.of_fold(run.assignments.set_index("id"), "0", ids)
    hits = pd.DataFrame({"query": ids[:-1], "target": ids[1:], "bits": 50.0})
    found = []
    for proteins in both(run.proteins):
        run_baseline(proteins, parts, hits, kind, ModelKey("kfold", "0", 1, kind), tmp_path)
        found.append((tmp_path / "predictions.csv").read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["cascade", "average"])
def test_the_stage_of_the_cascade(run, tmp_path, kind):
    """But for the conformal sets, which are made of the labels that proteins are known to have."""
    members = [next(p for p in run.models if p.parts[-2] == m) for m in ("halo", "homology")]
    key = ModelKey("kfold", "0", 1, kind)
    found = []
    for proteins in both(run.proteins):
        assignments = run.assignments.set_index("id")
        join_fold(proteins, assignments, members, kind, key, CascadeSettings(), tmp_path)
        description = read_json(tmp_path / "model.json")
        found.append((description["members"], description["band"], description["thresholds"]))
    assert found[0] == found[1]


def test_the_calibration_of_a_bundle(run):
    path = next(p for p in run.models if p.parts[-2] == "halo")
    model = read_model(path, run.proteins, run.assignments.set_index("id"))
    one, two = (_fit(model, proteins, 0.1) for proteins in both(run.proteins))
    assert one == two


def test_the_stage_of_the_training(tmp_path):
    """Thresholds, weights and predictions are the same numbers."""
    rng = np.random.default_rng(0)
    sequences = [random_sequence(rng, 20) for _ in range(30)]
    labels = rng.integers(0, 2, (30, 2))
    parts = ["train"] * 18 + ["val"] * 6 + ["test"] * 6
    proteins, part, root = setting_of(tmp_path, rng, sequences, labels, parts)
    found = []
    for partly in both(proteins):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        setting = partly, part, root
        train(setting, folder, training=TrainingSettings(epochs=2, residues_per_batch=200))
        found.append((folder / "predictions.csv").read_bytes())
        history = pd.read_csv(folder / "history.csv")
        assert np.isfinite(history[["train_loss", "val_loss", "val_macro_f1"]]).all(axis=None)
    assert found[0] == found[1]


def test_the_training_weighs_the_positives_of_rare_labels(tmp_path, monkeypatch):
    """The weights are those of the training proteins, and the losses of an epoch grow with them."""
    rng = np.random.default_rng(0)
    sequences = [random_sequence(rng, 20) for _ in range(30)]
    labels = np.stack([np.arange(30) % 6 == 0, np.arange(30) % 2 == 0], axis=1)
    parts = ["train"] * 18 + ["val"] * 6 + ["test"] * 6
    setting = setting_of(tmp_path, rng, sequences, labels, parts)
    asked, losses = [], []
    for factor in (1.0, 3.0):

        def weights(targets, factor=factor):
            asked.append(targets)
            return factor * label_weights(targets)

        monkeypatch.setattr(loop, "label_weights", weights)
        folder = tmp_path / str(factor)
        folder.mkdir()
        train(setting, folder, training=TrainingSettings(epochs=1, learning_rate=1e-6))
        losses.append(pd.read_csv(folder / "history.csv")[["train_loss", "val_loss"]].to_numpy())
    assert (losses[1] > 1.2 * losses[0]).all()
    np.testing.assert_array_equal(asked[0], labels[:18])


def test_the_examples_of_the_fine_tuning(run):
    one, two = (_examples(p, np.ones(len(p), dtype=bool)).labels for p in both(run.proteins))
    known = next(both(run.proteins)).known
    np.testing.assert_array_equal(one.isnan().numpy(), ~known)
    torch.testing.assert_close(one, two, equal_nan=True)


def test_the_report_counts_what_is_not_known(run):
    partly = next(both(run.proteins))
    found = SimpleNamespace(proteins=partly, assignments=run.assignments)
    table = fold_table(found)
    assert table["not known"].tolist() == [
        *(~partly.known).sum(axis=0),
        (~partly.known).any(axis=1).sum(),
    ]
    whole = SimpleNamespace(proteins=run.proteins, assignments=run.assignments)
    assert "not known" not in fold_table(whole)
