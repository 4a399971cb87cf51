"""Predict with the fine-tuned language model only: its head on the fold's embeddings."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from torch import Tensor

from halo.embeddings.adapter_file import FIX, NAME, AdapterDescription, read_adapter
from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.embeddings.layout import read_embedding
from halo.embeddings.leakage import require_own_language_model
from halo.errors import HaloError
from halo.files import write_table
from halo.finetuning.head import AttentionHead
from halo.finetuning.settings import FinetuneSettings
from halo.fold_parts import FoldParts
from halo.label_groups import as_content
from halo.model_description import write_model
from halo.model_key import ModelKey
from halo.predictions import write_predictions
from halo.proteins.table import Proteins
from halo.shards import open_store
from halo.store import Store
from halo.tensors import load_finite, require_readable
from halo.training.decisions import probabilities

log = logging.getLogger(__name__)


def predict_fold(
    proteins: Proteins,
    parts: FoldParts,
    finetuned: Path,
    embeddings: list[Path],
    store: Path,
    key: ModelKey,
    folder: Path,
) -> None:
    """Write ``predictions.csv``, ``model.json`` and ``history.csv`` of the method `esm`.

    The head is applied to stored embeddings; the language model itself is not needed.

    Parameters
    ----------
    finetuned : folder that `halo.finetuning.stage.finetune_fold` wrote
    embeddings, store : shard files of the fold's embeddings, and root of the store
    """
    own = open_store(embeddings, EMBEDDINGS, store)
    require_own_language_model(own.path, finetuned / "language_model.json", proteins, parts)
    head, description = load_head(finetuned)
    groups = {name: each.model_dump() for name, each in (description.groups or {}).items()}
    if (description.labels, groups) != (list(proteins.label_names), as_content(proteins.further)):
        raise HaloError(
            f"{finetuned}: fine-tuned for other labels than the data has now; raise "
            "finetune.refresh by one to fine-tune again"
        )
    held_out = parts.held_out
    hashes = proteins.table["seq_hash"].to_numpy(dtype=object)[held_out]
    logits = head_logits(head, own, hashes)
    log.info("fold %s: %s proteins", key.fold, f"{len(held_out):,}")
    predicted = probabilities(logits, proteins.groups).numpy()
    write_predictions(folder / "predictions.csv", proteins, parts, held_out, predicted)
    write_table(folder / "history.csv", pd.read_csv(finetuned / "history.csv"))
    write_model(
        folder,
        "esm",
        key,
        proteins,
        parts,
        [description.thresholds[label] for label in description.labels],
        parameters=description.parameters,
        epochs=description.epochs,
        best_epoch=description.best_epoch,
    )


@torch.inference_mode()
def head_logits(head: AttentionHead, embeddings: Store, hashes: np.ndarray) -> Tensor:
    """Logits of proteins by their hashes, float32 [n, n_labels]."""
    rows = []
    for name in hashes:
        states = torch.from_numpy(read_embedding(embeddings, name))[None]
        rows.append(head(states, torch.ones(states.shape[:2], dtype=torch.bool)))
    return torch.cat(rows)


def load_head(folder: Path) -> tuple[AttentionHead, AdapterDescription]:
    """The head of a fine-tuned model, in eval mode, and ``adapter.json``."""
    description = read_adapter(folder / NAME)
    try:
        settings = FinetuneSettings(**description.settings)
        head = AttentionHead(description.dim, len(description.labels), settings)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise HaloError(f"{folder}/{NAME}: damaged (settings: {error}); {FIX}") from None
    require_readable(folder / "head.safetensors")
    try:
        head.load_state_dict(load_finite(folder / "head.safetensors"))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise HaloError(
            f"{folder}/head.safetensors: damaged, or not of {NAME} ({error}); {FIX}"
        ) from None
    return head.eval(), description
