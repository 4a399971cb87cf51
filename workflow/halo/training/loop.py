"""The training loop: epochs, early stopping, and the scores of the held-out proteins."""

import logging
import math
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from halo.network.features import hide_embedding, hide_structure
from halo.network.loss import LearnedThresholds, focal_loss, softmax_focal_loss
from halo.network.model import HaloNetwork, NetworkSettings
from halo.training.data import ProteinDataset, ResidueBudget, loader
from halo.training.decisions import label_weights, macro_f1
from halo.training.settings import TrainingSettings

log = logging.getLogger(__name__)

GRADIENT_NORM = 1.0


@dataclass
class Trained:
    """A trained network with its thresholds, and how it came about."""

    network: HaloNetwork
    thresholds: LearnedThresholds
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0


def train(
    dataset: ProteinDataset,
    lengths: np.ndarray,
    train_rows: Sequence[int],
    val_rows: Sequence[int],
    task: str,
    network_settings: NetworkSettings,
    settings: TrainingSettings,
    seed: int,
    device: str,
) -> Trained:
    """Train on `train_rows` and keep the epoch with the best macro-F1 on `val_rows`.

    Nothing else of the data set is read. The same inputs, seed and machine give the same
    result.
    """
    torch.manual_seed(seed)
    targets = dataset.labels[list(train_rows)]
    embedding_dim = dataset[train_rows[0]].embedding.shape[1]
    network = HaloNetwork(embedding_dim, targets.shape[1], network_settings).to(device)
    thresholds = LearnedThresholds(targets.sum(dim=0), settings.threshold_shrinkage).to(device)
    weights = label_weights(targets).to(device)
    sampler = ResidueBudget(lengths, train_rows, settings.residues_per_batch, seed, shuffle=True)
    batches = loader(dataset, sampler, settings.workers)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.parameters(), "weight_decay": settings.weight_decay},
            {"params": thresholds.parameters(), "weight_decay": 0.0, "lr": 1e-2},
        ],
        lr=settings.learning_rate,
    )
    steps_an_epoch = max(1, sum(1 for _ in sampler))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, [_warmup_cosine(settings, steps_an_epoch), lambda step: 1.0]
    )
    generator = torch.Generator().manual_seed(seed)
    loss_of = softmax_focal_loss if task == "singlelabel" else focal_loss

    trained = Trained(network, thresholds)
    best: tuple[float, dict[str, Any], dict[str, Any]] | None = None
    for epoch in range(1, settings.epochs + 1):
        start = time.monotonic()
        sampler.epoch = epoch
        network.train()
        total = count = 0.0
        for batch in batches:
            batch = drop_modalities(batch, settings, generator).to(device)
            logits = network(batch).logits
            loss = loss_of(logits, batch.y, settings.gamma, weights)
            optimizer.zero_grad()
            (loss + thresholds(logits, batch.y)).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(logits)
            count += len(logits)
        logits, val_targets = score(network, dataset, lengths, val_rows, settings, device)
        val_loss = loss_of(logits, val_targets, settings.gamma, weights.cpu()).item()
        val_f1 = macro_f1(logits, val_targets, thresholds.tau.detach().cpu(), task)
        seconds = time.monotonic() - start
        trained.history.append(
            {
                "epoch": epoch,
                "train_loss": total / count,
                "val_loss": val_loss,
                "val_macro_f1": val_f1,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "seconds": seconds,
                **{f"weight_{k}": v for k, v in network.fusion.global_weights().items()},
            }
        )
        log.info(
            "epoch %s/%s: loss %.4f, validation loss %.4f, macro-F1 %.3f (%.1f s)",
            epoch, settings.epochs, total / count, val_loss, val_f1, seconds,
        )  # fmt: skip
        if best is None or val_f1 > best[0]:
            trained.best_epoch = epoch
            best = (val_f1, deepcopy(network.state_dict()), deepcopy(thresholds.state_dict()))
        elif epoch - trained.best_epoch >= settings.patience:
            log.info("no better for %s epochs: stopped", settings.patience)
            break
    assert best is not None
    network.load_state_dict(best[1])
    thresholds.load_state_dict(best[2])
    return trained


@torch.inference_mode()
def score(
    network: HaloNetwork,
    dataset: ProteinDataset,
    lengths: np.ndarray,
    rows: Sequence[int],
    settings: TrainingSettings,
    device: str,
) -> tuple[Tensor, Tensor]:
    """Logits and labels of `rows`, in their order, float32 [n, n_labels] on the CPU."""
    network.eval()
    sampler = ResidueBudget(lengths, rows, settings.residues_per_batch, seed=0, shuffle=False)
    logits = [
        network(batch.to(device)).logits.float().cpu() for batch in loader(dataset, sampler, 0)
    ]
    return torch.cat(logits), dataset.labels[list(rows)]


def drop_modalities(batch: Batch, settings: TrainingSettings, generator: torch.Generator) -> Batch:
    """Hide the structure or the embedding of some proteins, as if they had none.

    A network that has met proteins without a modality does not depend on it.
    """
    chance = torch.rand(batch.num_graphs, generator=generator)
    without_structure = chance < settings.structure_dropout
    without_embedding = chance > 1 - settings.embedding_dropout
    return hide_embedding(hide_structure(batch, without_structure), without_embedding)


def _warmup_cosine(settings: TrainingSettings, steps_an_epoch: int) -> Any:
    warmup = max(1.0, settings.warmup_epochs * steps_an_epoch)
    total = settings.epochs * steps_an_epoch

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1.0, total - warmup)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return factor
