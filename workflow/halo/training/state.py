"""The state of a training that goes on: what is needed to resume it where it was saved.

One safetensors file, replaced as a whole, so that it is never of two moments: the tensors, and
the position as JSON in its header. Random numbers are drawn from the seed and the position, so
no generator has a state that would have to be kept.
"""

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from halo.tensors import require_readable, save_tensors

log = logging.getLogger(__name__)

SMOOTHED_PASSES = 5  # over which the macro-F1 is averaged that tells the best pass


@dataclass
class Position:
    """How far a training is.

    Attributes
    ----------
    epoch, step : the pass that goes on, from 1, and the steps of it that are done
    loss, proteins : sum of the losses in this pass, and over how many proteins
    seconds : that this pass has taken
    history : what is known of the passes that are done
    best_epoch, best_f1 : the best of them, and its smoothed macro-F1
    kept_epoch : the last of them that is as good as the best, as far as can be told
    """

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    proteins: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_f1: float = -1.0
    kept_epoch: int = 0

    def end_of_pass(self, row: dict[str, float], error: float = 0.0) -> bool:
        """Go to the beginning of the next pass; whether this one is to be kept.

        `row` is what is known of it; whether it is kept is added. What counts is its
        ``val_macro_f1`` averaged with those of the passes before it: of a single pass it is mostly
        noise where the validation is small. It is kept if it is the best so far, or less than
        `error`, its standard error, below: of passes that the validation cannot tell apart the
        last one has learned the most (the one-standard-error rule of Breiman 1984, for passes).
        """
        self.history.append(row)
        last = [known["val_macro_f1"] for known in self.history[-SMOOTHED_PASSES:]]
        f1 = sum(last) / len(last)
        is_kept = f1 > self.best_f1 - error
        row["kept"] = int(is_kept)
        if is_kept:
            self.kept_epoch = self.epoch
        if f1 > self.best_f1:
            self.best_epoch, self.best_f1 = self.epoch, f1
        self.epoch, self.step = self.epoch + 1, 0
        self.loss, self.proteins, self.seconds = 0.0, 0, 0.0
        return is_kept


def save_state(
    file: Path, position: Position, tensors: dict[str, Tensor], shared: bool = False
) -> None:
    """Write the state in place of an earlier one; `shared` where it lies in a store."""
    save_tensors(file, tensors, {"position": json.dumps(asdict(position))}, shared)


def load_state(file: Path) -> tuple[Position, dict[str, Tensor]] | None:
    """The state in `file`, or None where there is none; one that is damaged counts for none."""
    if not file.exists():
        return None
    require_readable(file)
    try:
        with safe_open(file, framework="pt") as content:
            position = Position(**json.loads(content.metadata()["position"]))
            _require_numbers(position)
            return position, {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        log.warning("%s: damaged (%s); the training starts anew", file, error)
        return None


def _require_numbers(position: Position) -> None:
    """TypeError where a field is of another type than its default."""
    for name, default in asdict(Position()).items():
        wanted = (int, float) if isinstance(default, float) else (type(default),)
        if type(getattr(position, name)) not in wanted:
            raise TypeError(f"its {name} is {getattr(position, name)!r}")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's moments and counts, by name."""
    return {
        f"optimizer.{index}.{name}": value
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave; other tensors are ignored."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
