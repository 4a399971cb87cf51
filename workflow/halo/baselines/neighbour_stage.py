"""Run the nearest neighbours in embedding space on one fold, and write their predictions."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from halo import methods
from halo.baselines.neighbours import Annotated, Neighbourhood, candidates
from halo.baselines.settings import NeighbourSettings
from halo.decisions import decide
from halo.embeddings.layout import LAYOUT, read_embedding
from halo.embeddings.leakage import require_own_language_model
from halo.evaluation.thresholds import tuned_thresholds
from halo.fold_parts import TRAIN, FoldParts
from halo.label_groups import LabelGroup, by_group
from halo.macro_f1 import macro_f1
from halo.model_description import write_model
from halo.model_key import ModelKey
from halo.predictions import write_predictions
from halo.proteins.table import Proteins
from halo.shards import open_store
from halo.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chosen:
    """The neighbourhood with the best macro-F1 on ``val``.

    Attributes
    ----------
    thresholds : those with the best F1 on ``val``, float64 [n_labels]
    macro_f1 : on ``val``
    """

    neighbourhood: Neighbourhood
    thresholds: np.ndarray
    macro_f1: float


def run_neighbours(
    proteins: Proteins,
    parts: FoldParts,
    embeddings: list[Path],
    store: Path,
    language_model: Path | None,
    key: ModelKey,
    method_class: str,
    settings: NeighbourSettings,
    folder: Path,
) -> None:
    """Write ``predictions.csv`` and ``model.json`` to `folder`.

    Parameters
    ----------
    embeddings, store : shard files of the embeddings, and root of the store
    language_model : ``language_model.json`` of the fold's fine-tuned language model, or None
    method_class : a key of `halo.methods.NEIGHBOURS`
    """
    parts.require(TRAIN, "val")
    own = open_store(embeddings, LAYOUT, store)
    require_own_language_model(own.path, language_model, proteins, parts)
    hashes = proteins.table["seq_hash"].to_numpy(dtype=object)
    train, held_out = parts.rows(TRAIN), parts.held_out
    training = annotated(own, proteins, train)
    validation = annotated(own, proteins, parts.rows("val"))
    chosen = choose(training, validation, proteins.groups, settings)
    used = chosen.neighbourhood
    log.info(
        "fold %s: %s neighbours, %s distance, %s: macro-F1 %.3f on val; %s training proteins",
        key.fold, used.k, used.distance, "standardized" if used.standardize else "as they are",
        chosen.macro_f1, f"{len(train):,}",
    )  # fmt: skip
    method = methods.load(method_class)
    probabilities = method(training, mean_embeddings(own, hashes[held_out]), used)
    write_predictions(folder / "predictions.csv", proteins, parts, held_out, probabilities)
    write_model(
        folder, method_class, key, proteins, parts, chosen.thresholds, neighbours=asdict(used)
    )


def choose(
    training: Annotated,
    validation: Annotated,
    groups: Sequence[LabelGroup],
    settings: NeighbourSettings,
) -> Chosen:
    """The neighbourhood with the best macro-F1 on the validation proteins; of equal ones the first.

    Thresholds are tuned on the same proteins.
    """
    known, truth = validation.known, validation.labels.astype(bool)
    tried = []
    for neighbourhood, probabilities in candidates(training, validation.vectors, settings):
        thresholds = tuned_thresholds(truth, probabilities, known)
        decisions = by_group(groups, decide, probabilities, thresholds)
        score = macro_f1(decisions, truth, known)
        tried.append(Chosen(neighbourhood, thresholds, score))
    return max(tried, key=lambda candidate: candidate.macro_f1)


def annotated(store: Store, proteins: Proteins, rows: np.ndarray) -> Annotated:
    """Mean embeddings and labels of the proteins in `rows`."""
    hashes = proteins.table["seq_hash"].to_numpy(dtype=object)[rows]
    return Annotated(mean_embeddings(store, hashes), proteins.labels[rows], proteins.known[rows])


def mean_embeddings(store: Store, hashes: Iterable[str]) -> np.ndarray:
    """Mean embedding over the residues of each protein, float32 [n, dim]."""
    means = [
        read_embedding(store, name).mean(axis=0, dtype=np.float64).astype(np.float32)
        for name in hashes
    ]
    return np.stack(means)
