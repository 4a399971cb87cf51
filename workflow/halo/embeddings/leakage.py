"""Leak guard: a frozen fine-tuned model must not be used for proteins that it was trained on."""

import logging
from pathlib import Path

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
    be in cal or test. Sequences are compared, not ids. Training proteins in the part `removed` are
    similar to the test and not allowed either; proteins that are no longer in the data are.

    Parameters
    ----------
    file : ``training.csv``, see `write_training`
    parts : parts of the fold
    """
    seen = read_text_table(file)
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
            "fine-tune it again, or keep the assignment with split.base"
        )
    gone = (~seen["seq_hash"].isin(hashes)).sum()
    if gone:
        log.info("%s proteins of the fine-tuning are no longer in the data", f"{gone:,}")
