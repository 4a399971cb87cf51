"""Leak guard: a frozen fine-tuned model must not be used for proteins that it was trained on."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from halo.embeddings.weights import read_weights
from halo.errors import HaloError
from halo.files import read_json, read_text_table, write_table
from halo.fold_parts import TRAIN, FoldParts
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

NAMED = 5  # ids that a message lists


def write_training(file: Path, proteins: Proteins, parts: FoldParts) -> None:
    """Write ``training.csv``: the proteins of training (train) and of early stopping (val)."""
    used = parts.is_in(TRAIN, "val")
    table = proteins.table.loc[used, ["id", "seq_hash"]].assign(part=parts.part[used])
    write_table(file, table)


def require_own_language_model(
    store: Path, language_model: Path | None, proteins: Proteins, parts: FoldParts
) -> None:
    """Require embeddings of the fold's own language model, trained on no held-out protein.

    Parameters
    ----------
    store : folder of the embeddings, whose ``fingerprint.json`` names the adapter
    language_model
        The fold's ``language_model.json``, with ``training.csv`` in the same folder; None if the
        fold uses the embeddings of the pretrained language model.
    parts : parts of the fold
    """
    adapter = read_json(Path(store) / "fingerprint.json").get("adapter")
    own = read_weights(language_model).adapter_sha256 if language_model else None
    if adapter != own:
        raise HaloError(
            f"fold {parts.fold}: the embeddings in {store} are of {_named(adapter)}, but the fold "
            f"uses those of {_named(own)}; delete the embeddings' shard files of this fold and "
            "run again"
        )
    if language_model:
        training = Path(language_model).with_name("training.csv")
        require_no_leak(training, proteins, parts)


def _named(adapter: str | None) -> str:
    return f"the adapter with the sha256 {adapter}" if adapter else "the pretrained language model"


def require_no_leak(file: Path, proteins: Proteins, parts: FoldParts) -> None:
    """Require that the model was trained on no protein that the current fold holds out.

    Its training proteins must be in the current training part; its validation proteins must not
    be in cal or test. A protein is the same if its sequence or its id is: a sequence that was
    corrected since is similar to the one that the model has seen, and a renamed protein is equal.
    Training proteins in the part `removed` are similar to the test and not allowed either; proteins
    that are no longer in the data are.

    Parameters
    ----------
    file : ``training.csv``, see `write_training`
    parts : parts of the fold
    """
    seen = read_text_table(file)
    fitted = _are_in(proteins, seen[seen["part"] == "train"])
    chosen = _are_in(proteins, seen[seen["part"] == "val"])
    leaks = (fitted & ~parts.is_in(TRAIN)) | (chosen & parts.is_in("cal", "test"))
    hashes = proteins.table["seq_hash"]
    if leaks.any():
        changed = ~hashes.isin(seen["seq_hash"]).to_numpy()
        named = [
            f"{name}, whose sequence was another one" if is_changed else name
            for name, is_changed in zip(proteins.ids[leaks][:NAMED], changed[leaks], strict=False)
        ]
        more = " and others" if leaks.sum() > NAMED else ""
        raise HaloError(
            f"fold {parts.fold}: the language model was fine-tuned on {leaks.sum():,} proteins "
            f"that the split now keeps out of the training ({', '.join(named)}{more}). Raise "
            "finetune.refresh by one to fine-tune it again, or keep the assignment with split.base"
        )
    gone = (~seen["seq_hash"].isin(hashes) & ~seen["id"].isin(proteins.ids)).sum()
    if gone:
        log.info("%s proteins of the fine-tuning are no longer in the data", f"{gone:,}")


def _are_in(proteins: Proteins, seen: pd.DataFrame) -> np.ndarray:
    """Which proteins have the id or the sequence of one in `seen`, bool [n]."""
    same = proteins.table["seq_hash"].isin(seen["seq_hash"]) | proteins.table["id"].isin(seen["id"])
    return same.to_numpy()
