"""Run one baseline on one fold, and write its predictions like those of networks."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from halo import methods
from halo.baselines.methods import Training
from halo.fold_parts import TRAIN, FoldParts
from halo.model_description import write_model
from halo.model_key import ModelKey
from halo.predictions import write_predictions
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

THRESHOLD = 0.5


def read_hits(file: Path) -> pd.DataFrame:
    """Read the alignments of the split; the E-value and bits of identical sequences are NaN.

    A protein can be called NA.
    """
    types, missing = {"query": str, "target": str}, {"evalue": [""], "bits": [""]}
    return pd.read_csv(file, dtype=types, keep_default_na=False, na_values=missing)


def run_baseline(
    proteins: Proteins,
    parts: FoldParts,
    hits: pd.DataFrame,
    method_class: str,
    key: ModelKey,
    folder: Path,
) -> None:
    """Write ``predictions.csv`` and ``model.json`` to `folder`.

    `method_class` is a key of `halo.methods.BASELINES`.
    """
    parts.require(TRAIN)
    train, held_out = parts.rows(TRAIN), parts.held_out
    training = Training(proteins.ids[train], proteins.labels[train], hits, proteins.known[train])
    probabilities = methods.load(method_class)(training, proteins.ids[held_out])
    log.info(
        "fold %s: %s from %s training proteins, for %s others",
        key.fold, method_class, f"{len(train):,}", f"{len(held_out):,}",
    )  # fmt: skip
    write_predictions(folder / "predictions.csv", proteins, parts, held_out, probabilities)
    frequencies = training.frequencies
    of_groups = [decision_thresholds(frequencies[group.columns]) for group in proteins.groups]
    write_model(folder, method_class, key, proteins, parts, np.concatenate(of_groups))


def decision_thresholds(frequencies: np.ndarray) -> np.ndarray:
    """Thresholds at which label frequencies predict at least the most frequent label."""
    thresholds = np.full(len(frequencies), THRESHOLD)
    top = frequencies.argmax()
    thresholds[top] = min(THRESHOLD, frequencies[top])
    return thresholds
