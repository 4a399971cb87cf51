"""The finetune stage: fine-tune the language model on one fold, and write adapter and head."""

import hashlib
import logging
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from halo import __version__
from halo.code_digest import code_digest
from halo.device import needing_memory
from halo.embeddings.adapter_file import NAME, AdapterDescription, format_of
from halo.embeddings.language_model import load_language_model, require_layer
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.leakage import write_training
from halo.embeddings.weights import Weights, write_weights
from halo.files import sha256_of_file, write_json, write_table
from halo.finetuning.data import Examples
from halo.finetuning.learner import Learner
from halo.finetuning.loop import Finetuning
from halo.finetuning.processes import Processes
from halo.finetuning.settings import FinetuneSettings
from halo.fold_parts import TRAIN, FoldParts
from halo.label_groups import as_content
from halo.proteins.table import Proteins
from halo.store import fingerprint_of
from halo.tensors import save_tensors
from halo.typed_json import write_typed

log = logging.getLogger(__name__)


def finetune_fold(
    proteins: Proteins,
    parts: FoldParts,
    weights: Weights,
    seed: int,
    embedding: EmbeddingSettings,
    settings: FinetuneSettings,
    folder: Path,
    store: Path,
    save_seconds: float,
    processes: Processes,
    device: str,
) -> None:
    """Write a fold's fine-tuned language model to `folder` (``docs/reference/outputs.md``).

    Parameters
    ----------
    parts : those of train and val alone are looked at
    weights : the language model as it was published
    store : root of the store, below which the state is kept meanwhile: outputs of a job that failed
        may be deleted
    save_seconds : how often the state is written
    """
    parts.require(TRAIN, "val")
    examples = {name: _examples(proteins, parts.is_in(name)) for name in (TRAIN, "val")}
    model, alphabet = load_language_model(weights)
    require_layer(model.num_layers, embedding.layer)
    learner = Learner(model, alphabet, len(proteins.label_names), embedding, settings, seed)
    note = _description(proteins, parts, weights, seed, embedding, settings)
    state = Path(store) / "finetune" / fingerprint_of(note) / "state.safetensors"
    if processes.first:
        write_json(state.with_name("fingerprint.json"), note, shared=True)
        log.info(
            "%s training proteins, %s validation proteins; %s of %s parameters are trainable, "
            "on %s x %s",
            *(f"{len(chosen):,}" for chosen in examples.values()),
            f"{sum(value.numel() for value in learner.trained().values()):,}",
            f"{sum(value.numel() for value in learner.parameters()):,}",
            processes.count, device,
        )  # fmt: skip
    with needing_memory(
        "the language model and its head",
        "choose a smaller one in embeddings.model, or ask for a GPU with more memory",
    ):
        learner = learner.to(device)
    with needing_memory(
        f"{settings.tokens_per_batch:,} tokens of a batch",
        "set finetune.checkpointing, or lower finetune.tokens_per_batch and raise "
        "finetune.accumulate by as much",
    ):
        finetuning = Finetuning(
            learner, examples["train"], examples["val"], proteins.groups, seed, processes, state,
            save_seconds,
        )  # fmt: skip
        position = finetuning.run()
    if not processes.first:
        return
    trained = learner.trained().items()
    adapter = {name.removeprefix("model."): v for name, v in trained if name.startswith("model.")}
    save_tensors(folder / "adapter.safetensors", adapter)
    save_tensors(folder / "head.safetensors", learner.head.state_dict())
    write_training(folder / "training.csv", proteins, parts)
    write_table(folder / "history.csv", pd.DataFrame(position.history))
    thresholds = learner.tau.sigmoid().tolist()
    description = AdapterDescription(
        format=format_of(note.get("groups")),
        halo=__version__,
        **note,
        adapted=settings.adapter(embedding.layer),
        dim=learner.model.embed_dim,
        thresholds=dict(zip(proteins.label_names, thresholds, strict=True)),
        parameters=sum(value.numel() for value in learner.trained().values()),
        epochs=len(position.history),
        best_epoch=position.best_epoch,
    )
    write_typed(folder / NAME, description)
    file = folder / "adapter.safetensors"
    adapted = replace(weights, adapter=str(file), adapter_sha256=sha256_of_file(file))
    write_weights(folder / "language_model.json", adapted, store)
    # Includes temporary files of killed jobs; no other job uses this folder.
    shutil.rmtree(state.parent, ignore_errors=True)


def _examples(proteins: Proteins, chosen: np.ndarray) -> Examples:
    labels = torch.from_numpy(proteins.targets[chosen])
    return Examples(proteins.table.loc[chosen, "sequence"].tolist(), labels)


def _description(
    proteins: Proteins,
    parts: FoldParts,
    weights: Weights,
    seed: int,
    embedding: EmbeddingSettings,
    settings: FinetuneSettings,
) -> dict[str, Any]:
    """Everything that the result depends on."""
    return {
        "model": weights.name,
        "sha256": weights.sha256,
        "task": proteins.task,
        "labels": list(proteins.label_names),
        **({"groups": as_content(proteins.further)} if proteins.further else {}),
        "proteins": {name: parts.counts[name] for name in (TRAIN, "val")},
        "examples": _digest(proteins, parts),
        "seed": seed,
        "layer": embedding.layer,
        "window": embedding.window,
        "overlap": embedding.overlap,
        "precision": embedding.precision,
        "settings": asdict(settings),
        "code": code_digest("halo.finetuning.stage"),
    }


def _digest(proteins: Proteins, parts: FoldParts) -> str:
    """Digest of the sequences of train and val, their labels and parts."""
    digest = hashlib.sha256()
    targets = proteins.targets
    for row in np.flatnonzero(parts.is_in(TRAIN, "val")):
        digest.update(f"{proteins.table['seq_hash'].iat[row]} {parts.part[row]}".encode())
        digest.update(targets[row].tobytes())
    return digest.hexdigest()
