"""One fold, one seed, one method: train, save, and score the held-out proteins."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.errors import HaloError
from halo.files import write_table
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.network.model import NetworkSettings
from halo.predictions import HELD_OUT, write_predictions
from halo.proteins.table import Proteins
from halo.shards import open_store
from halo.training.checkpoint import parameter_count, save_model
from halo.training.data import ProteinDataset
from halo.training.decisions import probabilities
from halo.training.loop import Trained, score, train
from halo.training.settings import TrainingSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """Which fold, seed and method; their names are the folders of the output."""

    split: str
    fold: str
    seed: int
    method: str


def train_fold(
    proteins: Proteins,
    parts: pd.Series,
    graphs: list[Path],
    embeddings: list[Path],
    run: Run,
    network_settings: NetworkSettings,
    settings: TrainingSettings,
    folder: Path,
    device: str,
) -> None:
    """Write ``model.safetensors``, ``model.json``, ``history.csv`` and ``predictions.csv``.

    `parts` is the part (train, val, cal, test, removed) of each protein, by id; `graphs`
    and `embeddings` are the shard files of these stages.
    """
    part = parts.reindex(proteins.ids).to_numpy()
    rows = {name: np.flatnonzero(part == name) for name in ("train", *HELD_OUT)}
    for name in ("train", "val", "test"):
        if not len(rows[name]):
            raise HaloError(
                f"fold {run.fold} has no protein in {name!r}; give more proteins or fewer folds"
            )
    lengths = proteins.table["length"].to_numpy()
    dataset = ProteinDataset(
        proteins.table["seq_hash"].to_numpy(dtype=object),
        proteins.labels,
        open_store(graphs, GRAPHS),
        open_store(embeddings, EMBEDDINGS),
        settings.cache_gb * 1e9,
    )
    sizes = ", ".join(f"{len(found):,} {name}" for name, found in rows.items())
    log.info("fold %s, seed %s: %s proteins", run.fold, run.seed, sizes)
    trained = train(
        dataset,
        lengths,
        rows["train"].tolist(),
        rows["val"].tolist(),
        proteins.task,
        network_settings,
        settings,
        run.seed,
        device,
    )
    write_table(folder / "history.csv", pd.DataFrame(trained.history))
    held_out = np.concatenate([rows[name] for name in HELD_OUT])
    logits, _ = score(trained.network, dataset, lengths, held_out.tolist(), settings, device)
    found = probabilities(logits, proteins.task).numpy()
    write_predictions(folder / "predictions.csv", proteins, part, held_out, found)
    embedding_dim = dataset[int(held_out[0])].embedding.shape[1]
    save_model(
        folder,
        trained.network,
        embedding_dim,
        network_settings,
        _description(proteins, trained, run, rows)
        | {
            "training": asdict(settings),
            "graphs": dataset.graphs.fingerprint,
            "embeddings": dataset.embeddings.fingerprint,
        },
    )


def _description(
    proteins: Proteins, trained: Trained, run: Run, rows: dict[str, np.ndarray]
) -> dict[str, object]:
    thresholds = trained.thresholds.probabilities()
    return {
        "class": "network",
        **vars(run),
        "task": proteins.task,
        "labels": list(proteins.label_names),
        "thresholds": dict(zip(proteins.label_names, thresholds, strict=True)),
        "modality_weights": trained.network.fusion.global_weights(),
        "parameters": parameter_count(trained.network),
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        "proteins": {name: len(found) for name, found in rows.items()},
    }
