"""Probabilities of many variants of a protein, computed in memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from halo.cli import log
from halo.embeddings.embed import Encoder, LanguageModelError, embed
from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.embeddings.layout import EmbeddingSettings, read_embedding, stored
from halo.embeddings.limits import not_finite
from halo.embeddings.precision import matrix_dtype
from halo.embeddings.registry import LANGUAGE_MODELS
from halo.embeddings.weights import Weights
from halo.embeddings.windows import blend, windows
from halo.files import sha256_of_text
from halo.graphs.build import build_graph
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.graphs.settings import GraphSettings
from halo.network.batch import Data
from halo.network.features import protein_data, with_residues
from halo.predict.predictor import Predictor
from halo.proteins.members import Member
from halo.residues import residue_indices
from halo.store import Store
from halo.training.data import ProteinDataset
from halo.variants.structure import KEPT, mapped_letters, mapped_structure, rule


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


def unchanged(sequence: str) -> Derived:
    """A wild type itself, or a sequence with substitutions alone."""
    return Derived(sequence, np.arange(len(sequence), dtype=np.int64))


class MemoryStore(Store):
    """Embeddings in memory that are read as those of a store are."""

    def __init__(self, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        super().__init__(Path("memory"), EMBEDDINGS)
        self._arrays = arrays

    def __contains__(self, sequence_hash: str) -> bool:
        return sequence_hash in self._arrays

    def read(self, sequence_hash: str, *names: str) -> dict[str, np.ndarray]:
        """All or the named arrays."""
        arrays = self._arrays[sequence_hash]
        return {name: arrays[name] for name in names or self.layout.arrays}


class DerivedDataset(ProteinDataset):
    """Items as a data set of the networks.

    Parameters
    ----------
    items : the sequences
    embeddings : of each of them [length, dim]
    data_of : makes the network inputs of an item with an embedding, rounded as stored ones are
    n_labels : number of labels
    """

    def __init__(
        self,
        items: Sequence[Derived],
        embeddings: Sequence[np.ndarray],
        data_of: Callable[[Derived, np.ndarray], Data],
        n_labels: int,
    ) -> None:
        hashes = np.array([str(number) for number in range(len(items))], dtype=object)
        arrays = {
            name: {"scale": np.ones(1, np.float32), **stored(rows)}
            for name, rows in zip(hashes, embeddings, strict=True)
        }
        super().__init__(hashes, np.zeros((len(items), n_labels)), None, MemoryStore(arrays))
        self._items, self._data_of = items, data_of

    def __getitem__(self, row: int) -> Data:
        if row not in self._cache:
            embedding = read_embedding(self.embeddings, self.hashes[row])
            self._cache[row] = self._data_of(self._items[row], embedding)
        return self._cache[row]


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
        self._data: Data | None = None  # network inputs with the graph of the wild type
        self._letters: str | None = None  # of the wild type's structure
        # Of each language model, the states of the wild type's windows: a long variant shares
        # those in which it does not differ.
        self._windows: dict[Weights, dict[str, np.ndarray]] = {}

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
        ensemble = predictor.ensemble
        lengths = np.array([len(item.sequence) for item in items])
        datasets = {}
        for weights in dict.fromkeys(predictor.weights):
            rows = self._embeddings(weights, items)
            n_labels = len(ensemble.thresholds)
            datasets[weights] = DerivedDataset(items, rows, self._data_of, n_labels)
        prediction = ensemble.predict_datasets(
            [datasets[weights] for weights in predictor.weights], lengths
        )
        return prediction.of_models.transpose(1, 0, 2)

    # ------------------------------------------------------------------ graphs

    def _data_of(self, item: Derived, embedding: np.ndarray) -> Data:
        """Network inputs of an item; substitutions have the graph of the wild type."""
        length, scales = len(self._wildtype), self._predictor.ensemble.scales
        settings = self._predictor.graph_settings
        if rule(True, item.origin, length) != KEPT:
            graph = derived_graph(item, self._structure, length, settings)
            return protein_data(graph, embedding, scales)
        if self._data is None:
            graph = _as_stored(build_graph(self._wildtype, self._structure, settings))
            self._data = protein_data(graph, embedding, scales)
        return with_residues(self._data, residue_indices(item.sequence), embedding, scales)

    # ------------------------------------------------------------------ embeddings

    def _embeddings(self, weights: Weights, items: Sequence[Derived]) -> list[np.ndarray]:
        """Embeddings [length, dim] by a language model, each window's text computed once."""
        predictor, settings = self._predictor, self._predictor.embedding_settings
        dtype = matrix_dtype(settings.precision, predictor.device)
        encoder = predictor.encoder_of(weights, settings.layer, predictor.device, dtype)
        reads_structures = LANGUAGE_MODELS[weights.model_class].reads_structures
        read, width = (self._with_letters, 2) if reads_structures else (_residues, 1)
        known = self._windows.get(weights)
        if known is None:
            text = read(unchanged(self._wildtype))
            texts = {part for _, _, part in parts_of(text, settings, width)}
            known = self._windows[weights] = _encoded(texts, width, encoder, settings)
        spans = [parts_of(read(item), settings, width) for item in items]
        texts = {text for parts in spans for _, _, text in parts}
        rows = known | _encoded(texts - known.keys(), width, encoder, settings)
        return [
            blend(len(item.sequence), [(start, stop, rows[text]) for start, stop, text in parts])
            for item, parts in zip(items, spans, strict=True)
        ]

    def _with_letters(self, item: Derived) -> str:
        """Residues and 3Di letters: those of the wild type, for the residues that it has."""
        from halo.structures import letters  # needs a package that other models do not

        if self._letters is None:
            self._letters = letters.structure_letters(len(self._wildtype), self._structure)
        return letters.joined(item.sequence, mapped_letters(self._letters, item.origin))


def derived_graph(
    item: Derived,
    structure: Mapping[str, np.ndarray] | None,
    length: int,
    settings: GraphSettings,
) -> dict[str, np.ndarray]:
    """The graph of an item, with the mapped structure of its wild type of `length` residues."""
    own = None if structure is None else mapped_structure(structure, item.origin, length)
    return _as_stored(build_graph(item.sequence, own, settings))


def parts_of(text: str, settings: EmbeddingSettings, width: int = 1) -> list[tuple[int, int, str]]:
    """First residue, the one after the last, and text of the windows of a protein.

    `text` is what the language model reads, with `width` characters for each residue.
    """
    spans = windows(len(text) // width, settings.window, settings.overlap)
    return [(start, stop, text[start * width : stop * width]) for start, stop in spans]


class _HasSequence(Protocol):
    @property
    def sequence(self) -> str: ...


Item = TypeVar("Item", bound=_HasSequence)


def batches(items: Iterable[Item], residues: int) -> Iterator[Sequence[Item]]:
    """Consecutive items of together at most `residues`; at least one."""
    batch: list[Item] = []
    used = 0
    for item in items:
        if batch and used + len(item.sequence) > residues:
            yield batch
            batch, used = [], 0
        batch.append(item)
        used += len(item.sequence)
    if batch:
        yield batch


def _residues(item: Derived) -> str:
    return item.sequence


def _encoded(
    texts: set[str], width: int, encoder: Encoder, settings: EmbeddingSettings
) -> dict[str, np.ndarray]:
    """States [length, dim] of texts of at most one window, by text."""
    by_hash = {sha256_of_text(text): text for text in sorted(texts)}
    members = [Member(name, (), text[::width]) for name, text in by_hash.items()]
    states = {}
    for name, rows in embed(members, encoder, settings, by_hash):
        if rows.dtype != np.float16 and not np.isfinite(rows).all():
            raise not_finite(name, encoder.dtype)
        states[by_hash[name]] = rows
    return states


def _as_stored(graph: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A graph with the precision of stored ones."""
    kinds = GRAPHS.arrays
    return {name: array.astype(kinds[name].dtype, copy=False) for name, array in graph.items()}
