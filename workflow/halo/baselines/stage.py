"""One fold of one baseline: probabilities of its held-out proteins, in the networks' files."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.baselines.methods import BASELINES, Training
from halo.errors import HaloError
from halo.files import write_json
from halo.predictions import HELD_OUT, write_predictions
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

THRESHOLD = 0.5


@dataclass(frozen=True)
class Run:
    """Which baseline (`kind`, a key of `BASELINES`) runs on what, and under which name."""

    kind: str
    method: str
    split: str
    fold: str
    seed: int


def read_hits(file: Path) -> pd.DataFrame:
    """The alignments that the split's search has found."""
    types = {"query": str, "target": str}
    return pd.read_csv(file, dtype=types, keep_default_na=False, na_values=[])


def run_baseline(
    proteins: Proteins, parts: pd.Series, hits: pd.DataFrame, run: Run, folder: Path
) -> None:
    """Write ``predictions.csv`` and ``model.json`` to `folder`.

    `parts` is the part (train, val, cal, test, removed) of each protein, by id.
    """
    part = parts.reindex(proteins.ids).to_numpy(dtype=object)
    train = np.flatnonzero(part == "train")
    held_out = np.concatenate([np.flatnonzero(part == name) for name in HELD_OUT])
    if not len(train):
        raise HaloError(
            f"fold {run.fold} has no protein in 'train'; give more proteins or fewer folds"
        )
    training = Training(proteins.ids[train], proteins.labels[train], hits, proteins.known[train])
    probabilities = BASELINES[run.kind](training, proteins.ids[held_out])
    log.info(
        "fold %s: %s from %s training proteins, for %s others",
        run.fold, run.kind, f"{len(train):,}", f"{len(held_out):,}",
    )  # fmt: skip
    write_predictions(folder / "predictions.csv", proteins, part, held_out, probabilities)
    thresholds = decision_thresholds(training.frequencies)
    write_json(
        folder / "model.json",
        {
            "class": run.kind,
            "method": run.method,
            "split": run.split,
            "fold": run.fold,
            "seed": run.seed,
            "task": proteins.task,
            "labels": list(proteins.label_names),
            "thresholds": dict(zip(proteins.label_names, thresholds.tolist(), strict=True)),
            "proteins": {name: int((part == name).sum()) for name in ("train", *HELD_OUT)},
        },
    )


def decision_thresholds(frequencies: np.ndarray) -> np.ndarray:
    """Thresholds by which the label frequencies give at least the most frequent label."""
    thresholds = np.full(len(frequencies), THRESHOLD)
    top = frequencies.argmax()
    thresholds[top] = min(THRESHOLD, frequencies[top])
    return thresholds
