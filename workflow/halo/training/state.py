"""The state of an unfinished training, from which it is resumed.

The state is one safetensors file with the tensors, and the position as JSON in its header. It is
replaced atomically, so that tensors and position always agree. Random numbers depend on the seed
and the position only, so no state of a generator is saved.
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

SMOOTHED_EPOCHS = 5  # over which the validation macro-F1 is averaged to find the best epoch


@dataclass
class Position:
    """Progress of a training.

    Attributes
    ----------
    epoch, step : current epoch, from 1, and its completed steps
    loss, proteins : sum of the losses in this epoch, and number of its proteins so far
    seconds : time that this epoch has taken
    history : scores of completed epochs
    best_epoch, best_f1 : best epoch, and its smoothed macro-F1
    kept_epoch : the epoch whose weights are kept, see `end_epoch`
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

    def end_epoch(self, row: dict[str, float], error: float = 0.0) -> bool:
        """Finish the epoch and go to the next one; returns whether its weights are kept.

        Early stopping with the one-standard-error rule (Breiman 1984). The score of an epoch is
        the mean ``val_macro_f1`` of the last `SMOOTHED_EPOCHS` epochs, because a single value is
        noisy for a small validation set. The weights are kept if the score is the best so far, or
        at most one standard error below: of epochs that the validation set cannot distinguish,
        the last one has been trained longest.

        Parameters
        ----------
        row : scores of the epoch, to which ``kept`` is added
        error : standard error of its macro-F1
        """
        self.history.append(row)
        last = [known["val_macro_f1"] for known in self.history[-SMOOTHED_EPOCHS:]]
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
    """The state in `file`; None if there is none, or if it is damaged."""
    if not file.exists():
        return None
    require_readable(file)
    try:
        with safe_open(file, framework="pt") as content:
            position = Position(**json.loads(content.metadata()["position"]))
            _require_numbers(position)
            return position, {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        log.warning("%s: damaged (%s); the training starts from the beginning", file, error)
        return None


def _require_numbers(position: Position) -> None:
    """Raise a TypeError if a field has another type than its default."""
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
    """Restore the tensors of `optimizer_tensors`; other tensors are ignored."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
