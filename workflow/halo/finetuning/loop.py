"""The fine-tuning loop: steps, epochs, early stopping, and resuming."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from halo.decisions import decide
from halo.device import moved
from halo.errors import HaloError
from halo.finetuning.data import DROPOUT, Examples, cropped, epoch_batches
from halo.finetuning.learner import Learner
from halo.finetuning.processes import Processes
from halo.finetuning.settings import FinetuneSettings
from halo.label_groups import LabelGroup, by_group
from halo.network.loss import grouped_loss
from halo.training.decisions import label_frequencies, label_weights, macro_f1
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
STANDARDIZED = 256  # proteins to which the head's standardization is fitted


@dataclass
class Finetuning:
    """Fine-tune a language model, from the start or from the last saved step.

    Attributes
    ----------
    state_file : file of the state for resuming, or None
    save_seconds : smallest time between two writes of the state, which happen after steps
    """

    learner: Learner
    train: Examples
    val: Examples
    groups: Sequence[LabelGroup]
    seed: int
    processes: Processes
    state_file: Path | None = None
    save_seconds: float = 600.0

    def __post_init__(self) -> None:
        self.settings = self.learner.settings
        self.device = self.learner.tau.device
        self.weights = label_weights(self.train.labels).to(self.device)
        # The same in every process and after every interruption, because nothing is trained yet.
        rows = np.random.default_rng(self.seed).permutation(len(self.train))[:STANDARDIZED]
        self.learner.standardize([self.train.sequences[row] for row in rows])
        self.trained = self.learner.trained()
        self.optimizer = self._optimizer()
        self.position = Position()
        self.best: dict[str, Tensor] = {}
        self._loss = torch.zeros(1, dtype=torch.float64, device=self.device)
        self._saved = time.monotonic()

    def run(self) -> Position:
        """Train; afterwards, the learner is that of the best epoch.

        On the CPU, the same input, seed and settings give the same weights, however often the job
        was interrupted and resumed; on a GPU approximately.
        """
        self._resume()
        settings, position = self.settings, self.position
        while (
            position.epoch <= settings.epochs
            and position.epoch - 1 - position.best_epoch < settings.patience
        ):
            self._train_epoch()
            self._validate()
            self._save_if_due()
        self._load(self.best)
        return position

    def _train_epoch(self) -> None:
        """The remaining steps of one epoch."""
        position, settings = self.position, self.settings
        lengths = np.minimum(self.train.lengths, self.learner.embedding.window)
        self._loss = torch.zeros(1, dtype=torch.float64, device=self.device)
        batches = epoch_batches(lengths, settings.tokens_per_batch, self.seed, position.epoch)
        steps = range(0, len(batches), settings.accumulate)
        for number in range(position.step, len(steps)):
            start = time.monotonic()
            first = steps[number]
            done = (position.epoch - 1 + (number + 0.5) / len(steps)) / settings.epochs
            loss, count = self._step(batches[first : first + settings.accumulate], first, done)
            position.step = number + 1
            self._loss += loss
            position.proteins += count
            position.seconds += time.monotonic() - start
            self._save_if_due()
        self._count_loss()

    def _count_loss(self) -> None:
        """Copy the losses from the GPU, which synchronizes; raises a HaloError if one is NaN."""
        self.position.loss += self._loss.item()
        self._loss.zero_()
        if not math.isfinite(self.position.loss):
            raise HaloError(
                f"epoch {self.position.epoch}: the loss is NaN or infinite; lower "
                "finetune.learning_rate, or set finetune.precision to float32"
            )

    def _step(self, batches: Sequence[np.ndarray], first: int, done: float) -> tuple[Tensor, int]:
        """One step of the optimizer; returns the sum of the losses and the number of proteins.

        The sum, float32 [1], is on the device.
        """
        count = sum(map(len, batches))
        for parameter in self.trained.values():
            parameter.grad = torch.zeros_like(parameter)
        total = torch.zeros(1, device=self.device)
        self.learner.train()
        for number in self.processes.share(range(len(batches))):
            rows = batches[number]
            torch.manual_seed(_seed_of(self.seed, self.position.epoch, first + number))
            logits = self._logits(rows)
            targets = moved(self.train.labels[torch.from_numpy(rows)], self.device)
            loss = self._loss_of(logits, targets, self.weights) * len(rows)
            (loss / count).backward()
            total += loss.detach()
        gradients = [value.grad for value in self.trained.values() if value.grad is not None]
        self.processes.add_up([total, *gradients])
        torch.nn.utils.clip_grad_norm_(self.trained.values(), GRADIENT_NORM)
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * _rate(done, self.settings)
        self.optimizer.step()
        return total, count

    def _logits(self, rows: np.ndarray) -> Tensor:
        window, epoch = self.learner.embedding.window, self.position.epoch
        return self.learner(
            [cropped(self.train.sequences[row], window, self.seed, epoch, row) for row in rows]
        )

    def _loss_of(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return grouped_loss(logits, targets, self.settings.gamma, weights, self.groups)

    def _validate(self) -> None:
        """Score the validation set at the end of an epoch, and keep the best weights."""
        start = time.monotonic()
        position, settings = self.position, self.settings
        logits = self.learner.score(self.val.sequences, self.processes)
        val_loss = self._loss_of(logits, self.val.labels, self.weights.cpu()).item()
        tau = learn_by_group(
            self.groups,
            logits,
            self.val.labels,
            label_frequencies(self.train.labels),
            settings.threshold_shrinkage,
        )
        self.learner.tau.copy_(tau)
        decisions = by_group(self.groups, decide, logits.numpy(), tau.numpy())
        f1 = macro_f1(decisions, self.val.labels.numpy())
        row = {
            "epoch": position.epoch,
            "train_loss": position.loss / position.proteins,
            "val_loss": val_loss,
            "val_macro_f1": f1,
            "learning_rate": settings.learning_rate
            * _rate(position.epoch / settings.epochs, settings),
            "seconds": position.seconds + time.monotonic() - start,
        }
        log.info(
            "epoch %s/%s: loss %.4f, validation loss %.4f, macro-F1 %.3f (%.1f s)",
            row["epoch"], settings.epochs, row["train_loss"], val_loss, f1, row["seconds"],
        )  # fmt: skip
        if position.end_epoch(row):
            self.best = {
                name: value.detach().cpu().clone() for name, value in self._state().items()
            }

    def _resume(self) -> None:
        saved = load_state(self.state_file) if self.state_file else None
        self.processes.barrier()  # barrier: all processes read before one writes
        if saved is None:
            return
        self.position, tensors = saved
        log.info("resumed at epoch %s, step %s", self.position.epoch, self.position.step)
        self._load({k.removeprefix("now."): v for k, v in tensors.items() if k.startswith("now.")})
        best = {key for key in tensors if key.startswith("best.")}
        self.best = {key.removeprefix("best."): tensors[key] for key in best}
        restore_optimizer(self.optimizer, tensors)

    def _save_if_due(self) -> None:
        if self.state_file is None or not self.processes.first:
            return
        if time.monotonic() - self._saved < self.save_seconds:
            return
        self._count_loss()
        now = {f"now.{name}": value for name, value in self._state().items()}
        best = {f"best.{name}": value for name, value in self.best.items()}
        tensors = now | best | optimizer_tensors(self.optimizer)
        save_state(self.state_file, self.position, tensors, shared=True)
        self._saved = time.monotonic()

    def _state(self) -> dict[str, Tensor]:
        """All trained tensors."""
        return {**self.trained, "tau": self.learner.tau}

    @torch.no_grad()
    def _load(self, state: dict[str, Tensor]) -> None:
        for name, value in self._state().items():
            value.copy_(state[name])

    def _optimizer(self) -> torch.optim.AdamW:
        head = list(self.learner.head.parameters())
        model = [value for value in self.learner.model.parameters() if value.requires_grad]
        settings, decay = self.settings, self.settings.weight_decay
        groups = [
            {"params": model, "highest": settings.learning_rate, "weight_decay": decay},
            {"params": head, "highest": settings.head_learning_rate, "weight_decay": decay},
        ]
        return torch.optim.AdamW(groups)


def _rate(done: float, settings: FinetuneSettings) -> float:
    """Factor of the learning rate at this fraction of all steps."""
    if done < settings.warmup:
        return done / settings.warmup
    left = (1 - done) / (1 - settings.warmup)
    return left if settings.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left))


def _seed_of(seed: int, epoch: int, batch: int) -> int:
    """Seed of the dropout of one batch, independent of the process that computes it."""
    return int(np.random.SeedSequence((seed, DROPOUT, epoch, batch)).generate_state(1)[0])
