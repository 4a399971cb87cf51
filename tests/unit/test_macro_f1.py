"""The macro-F1 that stages maximize is the F1 of each label, also of a single one."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from halo.evaluation.bootstrap import GroupBootstrap
from halo.evaluation.metrics import decision_replicates
from halo.macro_f1 import macro_f1
from halo.training import decisions as of_training


def rare(n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Decisions and truth of labels with a tenth of positives."""
    rng = np.random.default_rng(0)
    return rng.random((200, n_labels)) < 0.2, rng.random((200, n_labels)) < 0.1


@pytest.mark.parametrize("n_labels", [1, 3])
def test_it_is_that_of_the_evaluation(n_labels):
    decisions, truth = rare(n_labels)
    known = np.random.default_rng(1).random(truth.shape) < 0.8
    found = macro_f1(decisions, truth, known)
    resampled = GroupBootstrap(np.arange(len(truth)), 10, 0)
    evaluated = decision_replicates(truth, decisions, resampled, known).overall["macro_f1"][0]
    assert found == pytest.approx(evaluated)
    alone = [f1_score(truth[k, i], decisions[k, i]) for i, k in enumerate(known.T)]
    assert found == pytest.approx(np.mean(alone))
    assert macro_f1(decisions ^ ~known, truth ^ ~known, known) == found
    targets = np.where(known, truth, np.nan).astype(np.float32)
    assert of_training.macro_f1(decisions, targets) == found


def test_to_predict_a_single_label_of_no_protein_has_no_worth():
    _, truth = rare(1)
    none = np.zeros_like(truth)
    assert macro_f1(none, truth, ~none) == 0
    assert of_training.macro_f1(none, truth.astype(np.float32)) == 0
    assert macro_f1(~none, truth, ~none) == pytest.approx(f1_score(truth[:, 0], ~none[:, 0]))
