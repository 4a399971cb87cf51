"""The training loop: epochs, early stopping, resuming, and scoring."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from halo.cli import Progress
from halo.decisions import decide
from halo.device import moved
from halo.errors import HaloError
from halo.label_groups import LabelGroup, by_group
from halo.network.batch import Batch, Data
from halo.network.classes import prepared
from halo.network.features import hide_embedding, hide_structure
from halo.network.loss import grouped_loss, region_loss
from halo.training.crop import CroppedProteins
from halo.training.data import ProteinDataset, ResidueBudget, loader
from halo.training.decisions import (
    label_frequencies,
    label_weights,
    macro_f1,
    macro_f1_error,
)
from halo.training.precision import mixed_precision
from halo.training.settings import TrainingSettings
from halo.training.state import (
    Position,
    load_state,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)
from halo.training.thresholds import learn_by_group

log = logging.getLogger(__name__)

GRADIENT_NORM = 1.0
LOWEST_RATE = 0.02  # final learning rate, as a fraction of the highest


@dataclass
class Training:
    """Train a network, from the start or from the last saved state.

    Only `train_rows` and `val_rows` are read. On the CPU, the same input, seed and settings give
    the same weights, however often the job was interrupted and resumed.

    Attributes
    ----------
    network : on the device on which it is trained
    dataset, lengths : all proteins, and their lengths in residues, int [n]
    train_rows, val_rows : rows of `dataset` for training, and for choosing the best epoch
    groups : the groups of labels, see `halo.proteins.table.Proteins.groups`
    tau : thresholds in logits on the CPU, float32 [n_labels], learned from `val_rows`
    state_file : file of the state for resuming, or None
    save_seconds : smallest time between two writes of the state, which happen after epochs
    """

    network: Any  # one of `halo.network.classes.NETWORKS`
    dataset: ProteinDataset
    lengths: np.ndarray
    train_rows: Sequence[int]
    val_rows: Sequence[int]
    groups: Sequence[LabelGroup]
    settings: TrainingSettings
    seed: int
    state_file: Path | None = None
    save_seconds: float = 60.0
    position: Position = field(default_factory=Position)

    def __post_init__(self) -> None:
        self.device = next(self.network.parameters()).device
        targets = self.dataset.labels[list(self.train_rows)]
        self.frequencies = label_frequencies(targets)
        self.tau = torch.zeros_like(self.frequencies)
        self.weights = label_weights(targets).to(self.device)
        proteins: Dataset[Data] = self.dataset
        lengths = self.lengths
        if self.settings.longest is not None:
            proteins = CroppedProteins(proteins, self.settings.longest)
            lengths = np.minimum(lengths, self.settings.longest)
        self.sampler = ResidueBudget(
            lengths, self.train_rows, self.settings.residues_per_batch, self.seed, shuffle=True
        )
        self.batches = loader(proteins, self.sampler, self.settings.workers)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=True,  # all parameters in one call
        )
        self.kept: dict[str, Tensor] = {}
        self._saved = time.monotonic()

    def run(self) -> None:
        """Train; afterwards, network and thresholds are those of the selected epoch."""
        self._resume()
        position, settings = self.position, self.settings
        while (
            position.epoch <= settings.epochs
            and position.epoch - 1 - position.best_epoch < settings.patience
        ):
            self._train_epoch()
            self._validate()
            self._save_if_due()
        if position.epoch <= settings.epochs:
            log.info("no improvement for %s epochs: stopped", settings.patience)
        self._load(self.kept)

    def _train_epoch(self) -> None:
        """All steps of one epoch."""
        position = self.position
        self.sampler.epoch = position.epoch
        # Each epoch has its own random numbers, so that a repeated epoch is identical.
        torch.manual_seed(_seed_of(self.seed, position.epoch))
        steps = self.sampler.batch_count()
        progress = Progress(len(self.train_rows), "proteins", label=f"epoch {position.epoch}")
        self.network.train()
        start = time.monotonic()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for step, batch in enumerate(self.batches):
            done = (position.epoch - 1 + step / steps) / self.settings.epochs
            self.optimizer.param_groups[0]["lr"] = self._rate(done)
            if self.network.modality_dropout:
                batch = drop_modalities(batch, self.settings)
            batch = prepared(self.network, batch)
            total += self._step(moved(batch, self.device)) * batch.num_graphs
            position.proteins += batch.num_graphs
            progress.add(batch.num_graphs)
        # The CPU waits for the GPU only here; until then, it prepares the next batches.
        position.loss = total.item()
        if not math.isfinite(position.loss):
            raise HaloError(
                f"epoch {position.epoch}: the loss is NaN or infinite; lower "
                "training.learning_rate, or set training.precision to float32"
            )
        position.seconds = time.monotonic() - start

    def _step(self, batch: Batch) -> Tensor:
        """One step of the optimizer; returns the loss, on the device."""
        with mixed_precision(self.device, self.settings.precision):
            output = self.network(batch)
        loss = self._loss(output.logits.float(), batch.y, self.weights)
        if output.regions is not None:
            of_regions = region_loss(output.regions.float(), batch.region)
            loss = loss + self.settings.region_weight * of_regions
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        return loss.detach()

    def _loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        settings = self.settings
        return grouped_loss(
            logits, targets, settings.gamma, weights, self.groups, settings.group_weight
        )

    def _validate(self) -> None:
        """Score the validation set at the end of an epoch, and keep the weights if it is best."""
        start = time.monotonic()
        position, settings = self.position, self.settings
        logits, targets = score(
            self.network, self.dataset, self.lengths, self.val_rows, self.settings
        )
        self.tau = learn_by_group(
            self.groups, logits, targets, self.frequencies, settings.threshold_shrinkage
        )
        decisions = by_group(self.groups, decide, logits.numpy(), self.tau.numpy())
        row = {
            "epoch": position.epoch,
            "train_loss": position.loss / position.proteins,
            "val_loss": self._loss(logits, targets, self.weights.cpu()).item(),
            "val_macro_f1": macro_f1(decisions, targets.numpy()),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": position.seconds + time.monotonic() - start,
            **{f"weight_{k}": v for k, v in self.network.global_weights().items()},
        }
        log.info(
            "epoch %s/%s: loss %.4f, validation loss %.4f, macro-F1 %.3f (%.1f s)",
            row["epoch"], settings.epochs, row["train_loss"], row["val_loss"],
            row["val_macro_f1"], row["seconds"],
        )  # fmt: skip
        if position.end_epoch(row, macro_f1_error(decisions, targets.numpy())):
            self.kept = {name: value.cpu().clone() for name, value in self._state().items()}

    def _rate(self, done: float) -> float:
        """Learning rate at this fraction of all steps: linear warm-up, then cosine decay."""
        warmup = min(self.settings.warmup_epochs / self.settings.epochs, 0.5)
        if done < warmup:
            return self.settings.learning_rate * done / warmup
        falling = 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
        return self.settings.learning_rate * (LOWEST_RATE + (1 - LOWEST_RATE) * falling)

    def _state(self) -> dict[str, Tensor]:
        """All trained tensors."""
        network = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        return network | {"tau": self.tau}

    def _load(self, state: dict[str, Tensor]) -> None:
        own = {k.removeprefix("network."): v for k, v in state.items() if k != "tau"}
        self.network.load_state_dict(own)
        self.tau = state["tau"]

    def _resume(self) -> None:
        saved = load_state(self.state_file) if self.state_file else None
        if saved is None:
            return
        self.position, tensors = saved
        log.info("resumed at epoch %s", self.position.epoch)
        self._load({k.removeprefix("now."): v for k, v in tensors.items() if k.startswith("now.")})
        self.kept = {
            k.removeprefix("kept."): v for k, v in tensors.items() if k.startswith("kept.")
        }
        restore_optimizer(self.optimizer, tensors)

    def _save_if_due(self) -> None:
        if self.state_file is None or time.monotonic() - self._saved < self.save_seconds:
            return
        now = {f"now.{name}": value for name, value in self._state().items()}
        kept = {f"kept.{name}": value for name, value in self.kept.items()}
        save_state(self.state_file, self.position, now | kept | optimizer_tensors(self.optimizer))
        self._saved = time.monotonic()


@torch.inference_mode()
def score(
    network: nn.Module,
    dataset: ProteinDataset,
    lengths: np.ndarray,
    rows: Sequence[int],
    settings: TrainingSettings,
) -> tuple[Tensor, Tensor]:
    """Logits and labels (0, 1, NaN) of `rows`, in their order, float32 [n, n_labels] on the CPU.

    Always computed in float32, like predictions, so that thresholds learned from these logits are
    valid for predictions.
    """
    network.eval()
    device = next(network.parameters()).device
    sampler = ResidueBudget(lengths, rows, settings.residues_per_batch, seed=0, shuffle=False)
    logits = [
        network(moved(prepared(network, batch), device)).logits
        for batch in loader(dataset, sampler, 0)
    ]
    return torch.cat(logits).cpu(), dataset.labels[list(rows)]


@torch.inference_mode()
def region_probabilities(
    network: nn.Module,
    dataset: ProteinDataset,
    lengths: np.ndarray,
    rows: Sequence[int],
    settings: TrainingSettings,
) -> Iterator[tuple[int, np.ndarray]]:
    """Row and probabilities of the kind of each residue, float32 [length, n_kinds + 1].

    Computed in float32, like `score`.
    """
    network.eval()
    device = next(network.parameters()).device
    sampler = ResidueBudget(lengths, rows, settings.residues_per_batch, seed=0, shuffle=False)
    for batch in loader(dataset, sampler, 0):
        output = network(moved(prepared(network, batch), device))
        parts = torch.softmax(output.regions, dim=1).cpu().split(batch.ptr.diff().tolist())
        yield from zip(batch.row.tolist(), (part.numpy() for part in parts), strict=True)


def drop_modalities(batch: Batch, settings: TrainingSettings) -> Batch:
    """Hide the structure or the embedding of some proteins (modality dropout).

    A network that weighs the modalities of each protein, and whose class has `modality_dropout`,
    thereby learns to predict proteins without one. To others the zeros would be an input like any.
    """
    chance = torch.rand(batch.num_graphs)
    without_structure = chance < settings.structure_dropout
    without_embedding = chance > 1 - settings.embedding_dropout
    return hide_embedding(hide_structure(batch, without_structure), without_embedding)


def _seed_of(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
