"""Embedding the proteins of some buckets that the store does not hold yet."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2

from halo.embeddings.language_model import load_language_model, require_layer
from halo.embeddings.layout import LAYOUT, EmbeddingSettings, description
from halo.embeddings.weights import Weights
from halo.embeddings.windows import blend, windows
from halo.job import Progress
from halo.proteins.members import Member
from halo.store import Store

log = logging.getLogger(__name__)

SPECIAL_TOKENS = 2  # start and end
# fair-esm's alphabet has no J (leucine or isoleucine); X is its 'any residue'.
TO_ALPHABET = str.maketrans("J", "X")


@dataclass(frozen=True)
class Window:
    """Residues `start` to `stop` of one protein."""

    seq_hash: str
    start: int
    stop: int
    residues: str


def embed_buckets(
    members: dict[str, list[Member]],
    store_root: Path,
    weights: Weights,
    settings: EmbeddingSettings,
    device: str,
) -> Store:
    """Embed the members that are missing; returns the store.

    The model is only loaded where something is missing.
    """
    store = Store.create(store_root, "embeddings", description(weights, settings), LAYOUT)
    missing = [m for found in members.values() for m in found if m.seq_hash not in store]
    log.info("%s proteins to embed with %s on %s", f"{len(missing):,}", weights.name, device)
    if not missing:
        return store
    model, alphabet = load_language_model(weights)
    require_layer(model, settings.layer)
    model = model.to(device)
    progress = Progress(sum(len(member.sequence) for member in missing), "residues")
    with store.writer() as writer:
        for seq_hash, rows in embed(missing, model, alphabet, settings, device):
            writer.add(seq_hash, {"residues": rows.astype(np.float16)})
            progress.add(len(rows))
    return store


def embed(
    members: Sequence[Member],
    model: ESM2,
    alphabet: Alphabet,
    settings: EmbeddingSettings,
    device: str,
) -> Iterator[tuple[str, np.ndarray]]:
    """Hash and float32 [length, dim] of each member, in the order in which they are done."""
    lengths = {member.seq_hash: len(member.sequence) for member in members}
    waiting: dict[str, list[tuple[int, int, np.ndarray]]] = defaultdict(list)
    pending = {
        member.seq_hash: len(windows(len(member.sequence), settings.window, settings.overlap))
        for member in members
    }
    for batch in batches(_windows_of(members, settings), settings.tokens_per_batch):
        rows = _forward(batch, model, alphabet, settings.layer, device)
        for window, part in zip(batch, rows, strict=True):
            done = waiting[window.seq_hash]
            done.append((window.start, window.stop, part))
            if len(done) == pending[window.seq_hash]:
                yield window.seq_hash, blend(lengths[window.seq_hash], waiting.pop(window.seq_hash))


def _windows_of(members: Sequence[Member], settings: EmbeddingSettings) -> list[Window]:
    """Windows of all members, the shortest first and those of one protein side by side."""
    ordered = sorted(members, key=lambda member: (len(member.sequence), member.seq_hash))
    return [
        Window(member.seq_hash, start, stop, member.sequence[start:stop])
        for member in ordered
        for start, stop in windows(len(member.sequence), settings.window, settings.overlap)
    ]


def batches(found: Iterable[Window], tokens: int) -> Iterator[list[Window]]:
    """Consecutive windows in batches of at most `tokens` tokens, padding included.

    A window that is longer than that is a batch of its own.
    """
    batch: list[Window] = []
    longest = 0
    for window in found:
        longest_now = max(longest, len(window.residues) + SPECIAL_TOKENS)
        if batch and longest_now * (len(batch) + 1) > tokens:
            yield batch
            batch, longest_now = [], len(window.residues) + SPECIAL_TOKENS
        batch.append(window)
        longest = longest_now
    if batch:
        yield batch


@torch.inference_mode()
def _forward(
    batch: list[Window], model: ESM2, alphabet: Alphabet, layer: int, device: str
) -> list[np.ndarray]:
    """Rows of `layer` of each window, without the start and end tokens."""
    lengths = [len(window.residues) for window in batch]
    tokens = torch.full((len(batch), max(lengths) + SPECIAL_TOKENS), alphabet.padding_idx)
    for row, window in enumerate(batch):
        indices = alphabet.encode(window.residues.translate(TO_ALPHABET))
        tokens[row, 0] = alphabet.cls_idx
        tokens[row, 1 : len(indices) + 1] = torch.tensor(indices)
        tokens[row, len(indices) + 1] = alphabet.eos_idx
    index = layer % (model.num_layers + 1)
    hidden = model(tokens.to(device), repr_layers=[index])["representations"][index]
    hidden = hidden.float().cpu().numpy()
    return [hidden[row, 1 : length + 1] for row, length in enumerate(lengths)]
