"""The training loop: the same weights for the same seed and steps, however often interrupted."""

import logging
import math
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from esm.model.esm2 import ESM2

from batches import batches, choose_hidden, corrupt, pad
from halo.embeddings.saving import save_esm2
from halo.errors import HaloError
from halo.files import atomic_path
from masked import (
    Quiz,
    autocast,
    losses,
    new_model,
    perplexity,
    start_from_frequencies,
)

log = logging.getLogger("halo.pretrain")

BETAS = (0.9, 0.98)  # and the decay: Lin et al. 2023
WEIGHT_DECAY = 0.01
WARMUP = 0.03  # of the budget
LARGEST_GRADIENT = 1.0
REPORT_SECONDS = 60.0
STATE, CHECKPOINT = "state.pt", "esm2_offline.pt"


@dataclass(frozen=True)
class Plan:
    """What is trained, and how.

    Attributes
    ----------
    layers, dimension, heads : of the model
    longest : tokens of a piece of a protein
    tokens : of a batch, padding included
    rate : highest learning rate
    seed : decides the first weights, the batches and the masks
    bfloat16 : matrix products in bfloat16
    """

    layers: int
    dimension: int
    heads: int
    longest: int
    tokens: int
    rate: float
    seed: int
    bfloat16: bool


@dataclass
class State:
    """How far the training is: steps, tokens without padding, and seconds."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """When the training ends: after so many steps, or else so many minutes."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps or self.minutes or 0) <= 0:
            raise HaloError("--steps or --minutes: give a number above 0")

    def used(self, state: State) -> float:
        """Share that is used after `state`; 1 or more at the end."""
        if self.steps is not None:
            return state.steps / self.steps
        return state.seconds / (60 * self.minutes)


class Training:
    """A model with its optimizer, and how far they are."""

    def __init__(self, plan: Plan, device: str) -> None:
        self.plan, self.device, self.state = plan, device, State()
        self.model = new_model(plan.layers, plan.dimension, plan.heads, plan.seed).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), plan.rate, BETAS, weight_decay=WEIGHT_DECAY, fused=True
        )

    def step(self, rows: list[np.ndarray], used: float) -> torch.Tensor:
        """Learn from one batch, when the share `used` of the budget is; returns the loss."""
        # Drawn for each step, so that no generator has a state that would have to be kept.
        seed = np.random.SeedSequence([self.plan.seed, self.state.steps]).generate_state(1)
        generator = torch.Generator().manual_seed(int(seed[0]))
        tokens = pad(rows)
        hidden = choose_hidden(tokens, generator)
        seen = corrupt(tokens, hidden, generator)
        with autocast(self.device, self.plan.bfloat16):
            loss = losses(self.model, *(x.to(self.device) for x in (seen, hidden, tokens))).mean()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.plan.rate, used)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.state.steps += 1
        self.state.tokens += sum(map(len, rows))
        return loss.detach()

    def save(self, file: Path) -> None:
        """Write all that is needed to go on."""
        content = {
            "plan": asdict(self.plan),
            "state": asdict(self.state),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(file) as temporary:
            torch.save(content, temporary)

    def resume(self, file: Path) -> None:
        """Go on from what `save` wrote, if it was by the same plan."""
        content = torch.load(file, map_location=self.device, weights_only=True)
        if content["plan"] != asdict(self.plan):
            raise HaloError(
                f"{file}: another training, by {content['plan']}; give its options, or delete it"
            )
        self.state = State(**content["state"])
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])


def train(
    proteins: list[np.ndarray],
    quiz: Quiz,
    plan: Plan,
    budget: Budget,
    folder: Path,
    device: str = "cpu",
    check_every: float = 300.0,
) -> State:
    """Train until `budget` is used up, from the last state in `folder` where there is one.

    Every `check_every` seconds and at the end, the perplexity of `quiz` is logged and two files
    are written to `folder`: ``state.pt``, to go on from, and ``esm2_offline.pt``, the model so
    far. `proteins` are arrays of tokens; a duplicate is used twice per epoch.
    """
    training = Training(plan, device)
    start_from_frequencies(training.model, proteins)
    if (folder / STATE).exists():
        training.resume(folder / STATE)
    state = training.state
    size = count_parameters(training.model)
    log.info("%s parameters, from step %d on", f"{size:,}", state.steps)
    drawn = batches([len(protein) for protein in proteins], plan.longest, plan.tokens, plan.seed)
    drawn = islice(drawn, state.steps, None)
    begun, checked = time.monotonic() - state.seconds, time.monotonic()
    meter = Meter()
    while (used := budget.used(state)) < 1:
        rows = [proteins[piece.protein][piece.start : piece.stop] for piece in next(drawn)]
        meter.add(training.step(rows, used), rows)
        state.seconds = time.monotonic() - begun
        meter.report(state)
        if time.monotonic() - checked >= check_every:
            _check(training, quiz, folder)
            checked = time.monotonic()
    _check(training, quiz, folder)
    return state


def count_parameters(model: ESM2) -> int:
    """Parameters of `model` that a checkpoint holds."""
    named = model.named_parameters()
    return sum(value.numel() for name, value in named if not name.startswith("contact_head."))


def learning_rate(highest: float, used: float) -> float:
    """Linear warm-up, then half a cosine down to zero at the end of the budget."""
    return highest * min(used / WARMUP, 0.5 * (1 + math.cos(math.pi * used)))


class Meter:
    """Logs loss, speed and padding of the last while, at most every `REPORT_SECONDS`."""

    def __init__(self) -> None:
        self._from_the_beginning()

    def _from_the_beginning(self) -> None:
        self._losses: list[torch.Tensor] = []
        self._tokens = self._padded = 0
        self._begun = time.monotonic()

    def add(self, loss: torch.Tensor, rows: list[np.ndarray]) -> None:
        """Count a batch."""
        self._losses.append(loss)
        self._tokens += sum(map(len, rows))
        self._padded += len(rows) * max(map(len, rows))

    def report(self, state: State) -> None:
        """Log a line if it is time."""
        seconds = time.monotonic() - self._begun
        if seconds < REPORT_SECONDS:
            return
        log.info(
            "step %d, %.2f million tokens, %.0f s: loss %.4f, %.0f tokens/s, padding %.1f %%",
            state.steps,
            state.tokens / 1e6,
            state.seconds,
            torch.stack(self._losses).mean().item(),
            self._tokens / seconds,
            100 * (1 - self._tokens / self._padded),
        )
        self._from_the_beginning()


def _check(training: Training, quiz: Quiz, folder: Path) -> None:
    plan, state = training.plan, training.state
    value = perplexity(quiz.by_model(training.model, training.device, plan.bfloat16))
    log.info("step %d: validation perplexity %.3f", state.steps, value)
    training.save(folder / STATE)
    save_esm2(training.model, folder / CHECKPOINT)
