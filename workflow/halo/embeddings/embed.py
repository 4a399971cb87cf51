"""Embed the proteins of some buckets that are not in the store yet."""

import logging
import platform
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from halo.cli import Progress
from halo.device import within_memory
from halo.embeddings.layout import STRUCTURE, EmbeddingSettings, description, layout_of, stored
from halo.embeddings.limits import NotFinite, not_finite
from halo.embeddings.precision import matrix_dtype
from halo.embeddings.registry import LANGUAGE_MODELS, load_encoder, load_inputs
from halo.embeddings.tokens import SPECIAL_TOKENS
from halo.embeddings.weights import Weights
from halo.embeddings.windows import blend, windows
from halo.errors import HaloError
from halo.malloc import give_back_freed_memory
from halo.proteins.members import Member
from halo.store import Store, Writer
from halo.structures.versions import versions_of

log = logging.getLogger(__name__)

# Size of the queue of finished embeddings: a GPU computes while segments are written.
WAITING = 1 << 30


class Encoder(Protocol):
    """A language model that computes batches asynchronously."""

    ahead: int  # batches that are started before the current one is fetched
    dtype: torch.dtype  # of the matrix products

    def start(self, sequences: Sequence[str]) -> Callable[[], list[Tensor]]:
        """Start a batch; the returned function waits for the states [length, dim] of each sequence.

        States are float32 or float16; `NotFinite` is raised if float16 ones are not finite.
        """


@dataclass(frozen=True)
class Window:
    """Residues `start` to `stop` of one protein, and the text of them that the model reads."""

    seq_hash: str
    start: int
    stop: int
    text: str

    @property
    def tokens(self) -> int:
        """Number of tokens, including special tokens."""
        return self.stop - self.start + SPECIAL_TOKENS


def make_encoder(weights: Weights, layer: int, device: str, dtype: torch.dtype) -> Encoder:
    """Load the language model for `device`, with matrix products in `dtype`."""
    with give_back_freed_memory():
        return load_encoder(weights.model_class)(weights, layer, device, dtype)


def embed_buckets(
    members: dict[str, list[Member]],
    store_root: Path,
    weights: Weights,
    settings: EmbeddingSettings,
    device: str,
    encoder_of: Callable[[Weights, int, str, torch.dtype], Encoder] = make_encoder,
    shard: Path | None = None,
    structures: Store | None = None,
) -> Store:
    """Embed the members that are not in the store; returns the store.

    The model is only loaded if proteins are missing. For repeated calls, give an `encoder_of` that
    keeps the loaded model. `shard` is the shard file that is registered in the store. A model that
    reads structures needs `structures`; embeddings of a structure that has changed are made again.
    """
    dtype = matrix_dtype(settings.precision, device)
    if not LANGUAGE_MODELS[weights.model_class].reads_structures:
        structures = None
    fingerprint = structures.fingerprint if structures is not None else None
    content = description(weights, settings, str(dtype).removeprefix("torch."), fingerprint)
    store = Store.create(store_root, "embeddings", content, layout_of(content), shard)
    versions = versions_of(structures, members) if structures is not None else {}
    missing = [
        member
        for bucket in members.values()
        for member in bucket
        if not _is_stored(store, member.seq_hash, versions.get(member.seq_hash))
    ]
    log.info("%s proteins to embed with %s on %s", f"{len(missing):,}", weights.name, device)
    if not missing:
        return store
    store.require_writable(member.seq_hash for member in missing)
    encoder = encoder_of(weights, settings.layer, device, dtype)
    texts = _texts(missing, weights.model_class, structures, versions)
    progress = Progress(sum(len(member.sequence) for member in missing), "residues")
    with store.writer(provenance=_provenance(weights, device, dtype)) as writer:
        for written in _write(embed(missing, encoder, settings, texts), writer, encoder, versions):
            progress.add(written)
    return store


def _is_stored(store: Store, seq_hash: str, version: str | None) -> bool:
    """Whether the store has a protein, of the `version` of its structure if that is not None."""
    if seq_hash not in store:
        return False
    return version is None or store.attributes(seq_hash)[STRUCTURE] == version


def _texts(
    members: Sequence[Member],
    model_class: str,
    structures: Store | None,
    versions: Mapping[str, str],
) -> dict[str, str] | None:
    """What a model that reads structures reads of each protein; None for other models."""
    if structures is None:
        return None
    inputs = load_inputs(model_class)
    assert inputs is not None  # it reads structures
    return {
        member.seq_hash: inputs(
            member.sequence,
            structures.read(member.seq_hash) if versions[member.seq_hash] else None,
        )
        for member in members
    }


class LanguageModelError(HaloError):
    """The language model cannot be loaded or does not fit on the GPU; not caused by a protein."""


class OneEncoder:
    """A cached `make_encoder` that keeps only the last encoder in memory.

    The folds of a bundle can have different language models, which may not fit in memory together.
    """

    def __init__(self) -> None:
        self._of: tuple[Weights, int, str, torch.dtype] | None = None
        self._encoder: Encoder | None = None

    def __call__(self, weights: Weights, layer: int, device: str, dtype: torch.dtype) -> Encoder:
        """See `make_encoder`; raises a `LanguageModelError` if it fails."""
        wanted = (weights, layer, device, dtype)
        if self._of != wanted or self._encoder is None:
            self._encoder = None
            try:
                self._encoder, self._of = make_encoder(*wanted), wanted
            except HaloError as error:
                raise LanguageModelError(str(error)) from None
        return self._encoder


def embed(
    members: Sequence[Member],
    encoder: Encoder,
    settings: EmbeddingSettings,
    texts: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield hash and embedding [length, dim] of each member, in the order of completion.

    `texts` are what the model reads instead of the sequences, see `windows_of`. Embeddings are
    float32, or in the dtype of the encoder for proteins with one window.
    """
    lengths = {member.seq_hash: len(member.sequence) for member in members}
    spans = windows_of(members, settings, texts)
    missing = Counter(window.seq_hash for window in spans)
    parts: dict[str, list[tuple[int, int, np.ndarray]]] = defaultdict(list)
    for window, rows in _encoded(spans, encoder, settings.tokens_per_batch):
        name = window.seq_hash
        parts[name].append((window.start, window.stop, rows))
        if len(parts[name]) == missing[name]:
            yield name, blend(lengths[name], parts.pop(name))


def windows_of(
    members: Sequence[Member],
    settings: EmbeddingSettings,
    texts: Mapping[str, str] | None = None,
) -> list[Window]:
    """Windows of all members, longest first; windows of one protein are adjacent.

    With the longest first, a lack of memory shows at once. `texts` replace the sequences, by their
    hash; they have an equal number of characters for each residue.
    """
    spans = []
    for member in members:
        length = len(member.sequence)
        text = member.sequence if texts is None else texts[member.seq_hash]
        width = len(text) // length
        for start, stop in windows(length, settings.window, settings.overlap):
            part = text[start * width : stop * width]
            spans.append(Window(member.seq_hash, start, stop, part))
    return sorted(spans, key=lambda window: (-window.tokens, window.seq_hash, window.start))


def next_batch(spans: Sequence[Window], position: int, tokens: int) -> Sequence[Window]:
    """As many windows from `position` on as fit into `tokens` with padding; at least one."""
    count = max(1, tokens // spans[position].tokens)
    return spans[position : position + count]


def _encoded(
    spans: Sequence[Window], encoder: Encoder, tokens: int
) -> Iterator[tuple[Window, np.ndarray]]:
    """Yield each window with its rows; later batches are started before a batch is fetched.

    If the GPU runs out of memory, the number of tokens per batch is halved from then on.
    """
    running: deque[tuple[Sequence[Window], Callable[[], list[Tensor]]]] = deque()
    position = 0
    while position < len(spans):
        batch = next_batch(spans, position, tokens)
        begun = within_memory(partial(encoder.start, [window.text for window in batch]))
        if begun is None:
            tokens = _less(batch)
            continue
        running.append((batch, begun))
        position += len(batch)
        if len(running) > encoder.ahead:
            yield from _rows(*running.popleft(), encoder)
    while running:
        yield from _rows(*running.popleft(), encoder)


def _rows(
    batch: Sequence[Window], states: Callable[[], list[Tensor]], encoder: Encoder
) -> Iterator[tuple[Window, np.ndarray]]:
    try:
        fetched_rows = states()
    except NotFinite as error:
        raise not_finite(batch[error.number].seq_hash, encoder.dtype) from None
    for window, rows in zip(batch, fetched_rows, strict=True):
        yield window, rows.numpy()


def _less(batch: Sequence[Window]) -> int:
    """Half the tokens of a batch that does not fit in memory; HaloError for a single window."""
    if len(batch) == 1:
        raise HaloError(
            f"the GPU's memory does not hold one window of {batch[0].tokens - SPECIAL_TOKENS:,} "
            f"residues (protein {batch[0].seq_hash[:12]}); lower embeddings.window, choose a "
            "smaller language model or ask for a GPU with more memory"
        ) from None
    tokens = batch[0].tokens * len(batch) // 2
    log.warning(
        "the GPU's memory does not hold %s tokens: going on with %s; lower "
        "embeddings.tokens_per_batch to spare the attempt",
        f"{2 * tokens:,}",
        f"{tokens:,}",
    )
    return tokens


def _write(
    embedded: Iterator[tuple[str, np.ndarray]],
    writer: Writer,
    encoder: Encoder,
    versions: Mapping[str, str],
) -> Iterator[int]:
    """Write embeddings to the store in a separate thread; yields the residues of each protein.

    `versions` are those of the structures, if the model reads them. The queue of the thread is
    bounded. Its errors, such as a full disk, are raised here.
    """

    def add(name: str, rows: np.ndarray) -> int:
        # Of float16, the encoder has checked them.
        if rows.dtype != np.float16 and not np.isfinite(rows).all():
            raise not_finite(name, encoder.dtype)
        writer.add(name, stored(rows), {STRUCTURE: versions[name]} if versions else None)
        return len(rows)

    waiting: deque[tuple[Future[int], int]] = deque()
    size = 0
    with ThreadPoolExecutor(1) as thread:
        for name, rows in embedded:
            waiting.append((thread.submit(add, name, rows), rows.nbytes))
            size += rows.nbytes
            while waiting and (size > WAITING or waiting[0][0].done()):
                done, taken = waiting.popleft()
                size -= taken
                yield done.result()
        for done, _ in waiting:
            yield done.result()


def _provenance(weights: Weights, device: str, dtype: torch.dtype) -> Mapping[str, str]:
    """Provenance of a segment."""
    name = platform.processor() or platform.machine()
    return {
        "language_model": weights.name,
        "device": torch.cuda.get_device_name() if device == "cuda" else name,
        "precision": str(dtype).removeprefix("torch."),
        "torch": str(torch.__version__),
    }
