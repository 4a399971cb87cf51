"""A fine-tuned model is frozen, the proteins and the split are not: what it must never meet."""

import logging
from pathlib import Path

import pandas as pd

from halo.embeddings.weights import read_weights
from halo.errors import HaloError
from halo.files import read_json, write_table
from halo.fold_parts import TRAIN, FoldParts
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

NAMED = 5  # ids that a message names


def write_training(file: Path, proteins: Proteins, parts: FoldParts) -> None:
    """Write ``training.csv``: what the model was fitted to (train) and chosen by (val)."""
    used = parts.is_in(TRAIN, "val")
    table = proteins.table.loc[used, ["id", "seq_hash"]].assign(part=parts.part[used])
    write_table(file, table)


def require_own_language_model(
    store: Path, language_model: Path | None, proteins: Proteins, parts: FoldParts
) -> None:
    """HaloError if embeddings are not of the fold's own language model, or if that knows too much.

    Parameters
    ----------
    store : folder of the embeddings, whose ``fingerprint.json`` names the adapter
    language_model
        The fold's ``language_model.json``, with ``training.csv`` beside it; None where the fold
        reads the embeddings of the language model as it was published.
    """
    adapter = read_json(Path(store) / "fingerprint.json").get("adapter")
    own = read_weights(language_model).adapter_sha256 if language_model else None
    if adapter != own:
        raise HaloError(
            f"fold {parts.fold}: the embeddings in {store} are of {_named(adapter)}, but the fold "
            f"reads those of {_named(own)}; delete the embeddings' shard files of this fold and "
            "run again"
        )
    if language_model:
        training = Path(language_model).with_name("training.csv")
        require_no_leak(training, proteins, parts)


def _named(adapter: str | None) -> str:
    return f"the adapter with the sha256 {adapter}" if adapter else "the published language model"


def require_no_leak(file: Path, proteins: Proteins, parts: FoldParts) -> None:
    """HaloError if the model saw in training what the fold, as it is now, keeps apart.

    What it was fitted to must be in the training part now; what it was chosen by must be
    neither in cal nor in test. Sequences are compared, not ids. A protein that was `removed`
    since is similar to one of the test, and forbidden as well; one that the data no longer have
    is not.

    Parameters
    ----------
    file : ``training.csv``, see `write_training`
    """
    seen = pd.read_csv(file, dtype=str, keep_default_na=False)
    hashes = proteins.table["seq_hash"]
    fitted = hashes.isin(seen.loc[seen["part"] == "train", "seq_hash"]).to_numpy()
    chosen = hashes.isin(seen.loc[seen["part"] == "val", "seq_hash"]).to_numpy()
    leaks = (fitted & ~parts.is_in(TRAIN)) | (chosen & parts.is_in("cal", "test"))
    if leaks.any():
        ids = proteins.ids[leaks]
        named = ", ".join(ids[:NAMED]) + (" and others" if len(ids) > NAMED else "")
        raise HaloError(
            f"fold {parts.fold}: the language model was fine-tuned on {len(ids):,} proteins that "
            f"the split now keeps out of the training ({named}). Raise finetune.refresh by one to "
            "fine-tune it again, or keep proteins in their folds with split.base"
        )
    gone = (~seen["seq_hash"].isin(hashes)).sum()
    if gone:
        log.info("%s proteins of the fine-tuning are no longer in the data", f"{gone:,}")
