"""Probabilities of many variants of a protein, computed in memory."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from halo.cli import log
from halo.embeddings.embed import Encoder, LanguageModelError, embed
from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.embeddings.layout import EmbeddingSettings, stored
from halo.embeddings.limits import not_finite
from halo.embeddings.precision import matrix_dtype
from halo.embeddings.windows import blend, windows
from halo.files import sha256_of_text
from halo.graphs.build import build_graph
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.graphs.settings import GraphSettings
from halo.layout import Layout
from halo.predict.predictor import Predictor
from halo.proteins.members import Member
from halo.residues import residue_indices
from halo.store import Store
from halo.variants.structure import KEPT, mapped_structure, rule


@dataclass(frozen=True)
class Derived:
    """A sequence that is derived from a wild type, and the origin of its residues.

    See `halo.variants.edits.edited`.
    """

    sequence: str
    origin: np.ndarray

    @property
    def key(self) -> str:
        """Digest that distinguishes it from the others of its wild type."""
        return hashlib.sha256(self.sequence.encode() + self.origin.tobytes()).hexdigest()


class MemoryStore(Store):
    """Arrays in memory that are read as those of a store are."""

    def __init__(
        self, name: str, layout: Layout, arrays: Mapping[str, Mapping[str, np.ndarray]]
    ) -> None:
        super().__init__(Path(name), layout)
        self._arrays = arrays

    def __contains__(self, sequence_hash: str) -> bool:
        return sequence_hash in self._arrays

    def read(self, sequence_hash: str, *names: str) -> dict[str, np.ndarray]:
        """All or the named arrays."""
        arrays = self._arrays[sequence_hash]
        return {name: arrays[name] for name in names or self.layout.arrays}


class VariantModel:
    """Predicts variants of one wild type with a loaded `predictor`.

    `structure` has the arrays of the wild type's structure, or is None.
    """

    def __init__(
        self,
        predictor: Predictor,
        wildtype: str,
        structure: Mapping[str, np.ndarray] | None,
    ) -> None:
        self._predictor, self._wildtype, self._structure = predictor, wildtype, structure
        self._graph: dict[str, np.ndarray] | None = None
        # Of each language model, the states of the wild type's windows: a long variant shares
        # those in which it does not differ.
        self._windows: dict[int, dict[str, np.ndarray]] = {}

    def predict(self, items: Sequence[Derived]) -> tuple[np.ndarray, dict[int, str]]:
        """Probabilities of each model, float64 [n, n_models, n_labels].

        Items that cannot be predicted have NaN, and the reason is in the second result, by row. A
        batch that fails is tried again in halves, so that one item does not affect the others.
        """
        try:
            return self._probabilities(items), {}
        except (OSError, LanguageModelError):  # not caused by an item, such as a full disk
            raise
        except Exception as error:
            if len(items) == 1:
                log.warning("a variant cannot be predicted: %s", error)
                ensemble = self._predictor.ensemble
                nothing = np.full((1, len(ensemble.models), len(ensemble.thresholds)), np.nan)
                return nothing, {0: f"{type(error).__name__}: {error}"}
            half = len(items) // 2
            first, failed = self.predict(items[:half])
            second, later = self.predict(items[half:])
            return np.concatenate([first, second]), failed | {
                half + row: reason for row, reason in later.items()
            }

    def _probabilities(self, items: Sequence[Derived]) -> np.ndarray:
        predictor = self._predictor
        names = np.array([str(number) for number in range(len(items))], dtype=object)
        lengths = np.array([len(item.sequence) for item in items])
        graphs = None
        if predictor.ensemble.needs_graphs:
            made = {name: self._graph_of(item) for name, item in zip(names, items, strict=True)}
            graphs = MemoryStore("graphs", GRAPHS, made)
        stores: dict[int, MemoryStore] = {}
        distinct = list(dict.fromkeys(predictor.weights))
        numbers = [distinct.index(weights) for weights in predictor.weights]
        for number in range(len(distinct)):
            rows = self._embeddings(number, [item.sequence for item in items])
            arrays = {name: _embedding(part) for name, part in zip(names, rows, strict=True)}
            stores[number] = MemoryStore(f"embeddings-{number}", EMBEDDINGS, arrays)
        embeddings = [stores[number] for number in numbers]
        found = predictor.ensemble.predict(names, lengths, graphs, embeddings)
        return found.of_models.transpose(1, 0, 2)

    # ------------------------------------------------------------------ graphs

    def _graph_of(self, item: Derived) -> dict[str, np.ndarray]:
        """The graph of an item; substitutions have that of the wild type with other residues."""
        length, settings = len(self._wildtype), self._predictor.graph_settings
        same = rule({}, item.origin, length) == KEPT
        if same and self._graph is None:
            self._graph = _as_stored(build_graph(self._wildtype, self._structure, settings))
        if same and self._graph is not None:
            return self._graph | {"residue": residue_indices(item.sequence)}
        return derived_graph(item, self._structure, length, settings)

    # ------------------------------------------------------------------ embeddings

    def _embeddings(self, number: int, sequences: Sequence[str]) -> list[np.ndarray]:
        """Embeddings [length, dim] by the language model `number`, each text computed once."""
        predictor, settings = self._predictor, self._predictor.embedding_settings
        weights = list(dict.fromkeys(predictor.weights))[number]
        dtype = matrix_dtype(settings.precision, predictor.device)
        encoder = predictor.encoder_of(weights, settings.layer, predictor.device, dtype)
        known = self._windows.get(number)
        if known is None:
            texts = {text for _, _, text in parts_of(self._wildtype, settings)}
            known = self._windows[number] = _encoded(texts, encoder, settings)
        spans = [parts_of(sequence, settings) for sequence in sequences]
        texts = {text for parts in spans for _, _, text in parts}
        rows = known | _encoded(texts - known.keys(), encoder, settings)
        return [
            blend(len(sequence), [(start, stop, rows[text]) for start, stop, text in parts])
            for sequence, parts in zip(sequences, spans, strict=True)
        ]


def derived_graph(
    item: Derived,
    structure: Mapping[str, np.ndarray] | None,
    length: int,
    settings: GraphSettings,
) -> dict[str, np.ndarray]:
    """The graph of an item, with the mapped structure of its wild type of `length` residues."""
    own = None if structure is None else mapped_structure(structure, item.origin, length)
    return _as_stored(build_graph(item.sequence, own, settings))


def parts_of(sequence: str, settings: EmbeddingSettings) -> list[tuple[int, int, str]]:
    """Start, stop and residues of the windows of a sequence."""
    spans = windows(len(sequence), settings.window, settings.overlap)
    return [(start, stop, sequence[start:stop]) for start, stop in spans]


def batches(items: Sequence[Derived], residues: int) -> Iterator[Sequence[Derived]]:
    """Consecutive items of together at most `residues`; at least one."""
    batch: list[Derived] = []
    used = 0
    for item in items:
        if batch and used + len(item.sequence) > residues:
            yield batch
            batch, used = [], 0
        batch.append(item)
        used += len(item.sequence)
    if batch:
        yield batch


def _encoded(
    texts: set[str], encoder: Encoder, settings: EmbeddingSettings
) -> dict[str, np.ndarray]:
    """States [length, dim] of texts of at most one window."""
    by_hash = {sha256_of_text(text): text for text in sorted(texts)}
    members = [Member(name, (), text) for name, text in by_hash.items()]
    found = {}
    for name, rows in embed(members, encoder, settings):
        if rows.dtype != np.float16 and not np.isfinite(rows).all():
            raise not_finite(name, encoder.dtype)
        found[by_hash[name]] = rows
    return found


def _as_stored(graph: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A graph with the precision of stored ones."""
    kinds = GRAPHS.arrays
    return {name: array.astype(kinds[name].dtype, copy=False) for name, array in graph.items()}


def _embedding(rows: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of an embedding, rounded as stored ones are."""
    return {"scale": np.ones(1, np.float32), **stored(rows)}
