"""Learned thresholds: near the best F1 with many positives, shrunk with few."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_recall_curve

from halo.training.thresholds import USUAL_RATIO, ThresholdLoss, learn_thresholds

SHRINKAGE = 50.0


def proteins(n, frequencies, distance, seed=1):
    """Logits of two normal classes a label, `distance` apart, and the labels."""
    generator = torch.Generator().manual_seed(seed)
    targets = (torch.rand(n, len(frequencies), generator=generator) < frequencies).float()
    return torch.randn(targets.shape, generator=generator) + distance * targets - 3.0, targets


def macro_f1(logits, targets, tau):
    return f1_score(targets.numpy(), (logits > tau).numpy(), average="macro", zero_division=0)


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0, 5.0])
def test_much_data_gives_the_threshold_with_the_best_f1(distance):
    frequencies = torch.tensor([0.05, 0.2, 0.5])
    logits, targets = proteins(8000, frequencies, distance)
    tau = learn_thresholds(logits, targets, frequencies, SHRINKAGE)
    unseen, truth = proteins(8000, frequencies, distance, seed=2)
    for label in range(3):
        x, y = unseen[:, label].numpy(), truth[:, label].numpy()
        precision, recall, _ = precision_recall_curve(y, x)
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-9)).max()
        assert f1_score(y, x > tau[label].item()) > best - 0.03


def test_gradients_reach_every_threshold():
    frequencies = torch.tensor([0.1, 0.3, 0.5])
    loss = ThresholdLoss(*proteins(60, frequencies, 1.0), frequencies, SHRINKAGE)
    loss().backward()
    assert (loss.ratios.grad != 0).all()
    torch.nn.init.zeros_(loss.common)
    loss().backward()
    assert loss.common.grad != 0


def test_few_proteins_hold_the_ratios_together():
    frequencies = torch.full((8,), 0.1)
    logits, targets = proteins(60, frequencies, 1.0)

    def predicted(shrinkage):
        tau = learn_thresholds(logits, targets, frequencies, shrinkage)
        return (logits > tau).sum(dim=0).float()

    # Odds of 2 / 9 are 11 of 60 proteins.
    assert predicted(1e9).sub(11).abs().max() <= 3
    assert predicted(1e-9).std() > 2 * predicted(1e9).std()


@pytest.mark.slow
def test_on_unseen_proteins_shrinkage_is_better_than_none():
    """Few held-out proteins of a weak network: thresholds of their own would follow the noise."""
    frequencies = torch.linspace(0.02, 0.2, 10)
    unseen, truth = proteins(4000, frequencies, 0.8, seed=0)
    shrunk, free = [], []
    for seed in range(1, 21):
        logits, targets = proteins(60, frequencies, 0.8, seed)
        for found, shrinkage in ((shrunk, SHRINKAGE), (free, 1e-9)):
            tau = learn_thresholds(logits, targets, frequencies, shrinkage)
            found.append(macro_f1(unseen, truth, tau))
    assert np.mean(shrunk) > np.mean(free)


def test_a_label_that_does_not_occur_takes_the_common_ratio():
    frequencies = torch.tensor([0.2, 0.2])
    logits, targets = proteins(500, frequencies, 2.0)
    targets[:, 1] = 0
    loss = ThresholdLoss(logits, targets, frequencies, SHRINKAGE)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss.ratios[1].item() == pytest.approx(loss.common.item(), abs=0.02)
    assert loss.ratios[0].item() < loss.common.item() < USUAL_RATIO + 1e-3


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_proteins_are_enough(n):
    tau = learn_thresholds(torch.zeros(n, 3), torch.zeros(n, 3), torch.full((3,), 0.3), SHRINKAGE)
    assert torch.equal(tau, torch.zeros(3))


def test_logits_of_inference_mode_are_taken_and_left_alone():
    frequencies = torch.tensor([0.4, 0.6])
    values, occurs = proteins(40, frequencies, 1.0)
    with torch.inference_mode():
        logits, targets = values.clone(), occurs.clone()
    first = learn_thresholds(logits, targets, frequencies, SHRINKAGE)
    assert torch.equal(first, learn_thresholds(logits, targets, frequencies, SHRINKAGE))
    assert torch.equal(logits, values)
    assert not first.requires_grad
    assert math.isfinite(first.sum().item())


def test_unknown_pairs_have_no_part_in_the_threshold():
    """Their logits are ranked with no others: a label can be annotated for one class alone."""
    frequencies = torch.tensor([0.3, 0.3, 0.3])
    logits, targets = proteins(300, frequencies, 1.5)
    targets[60:, 0] = math.nan
    targets[:, 2] = math.nan
    tau = learn_thresholds(logits, targets, frequencies, SHRINKAGE)
    assert tau[2] == 0  # nothing is known
    for shift in (-6.0, 3.0):
        other = logits + shift * targets.isnan()
        assert torch.equal(tau, learn_thresholds(other, targets, frequencies, SHRINKAGE))
    assert not torch.equal(tau, learn_thresholds(logits + 1, targets, frequencies, SHRINKAGE))


def test_a_label_that_few_proteins_have_known_has_the_threshold_of_these_alone():
    frequencies = torch.full((2,), 0.3)
    logits, targets = proteins(300, frequencies, 1.5)
    alone = learn_thresholds(logits[:60], targets[:60], frequencies, SHRINKAGE)
    targets[60:] = math.nan
    torch.testing.assert_close(learn_thresholds(logits, targets, frequencies, SHRINKAGE), alone)
