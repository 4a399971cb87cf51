"""Chunks of a call: what is computed together and kept in one file.

A scan has thousands of variants, and a call many proteins: chunks are made again whenever they are
needed, so that the variants of a scan are in memory for one chunk at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from halo import __version__
from halo.cli import Progress, log
from halo.code_digest import package_digest
from halo.network.graph_attention import fuse_inference
from halo.predict.bundle import Bundle
from halo.predict.folder import CHUNKS, STORE, OutputFolder
from halo.predict.predictor import Predictor
from halo.proteins.ingest import Rejected
from halo.variants.background import random_substitutions
from halo.variants.compute import Derived, VariantModel, batches, unchanged
from halo.variants.effects import Background
from halo.variants.read import Variant, make_variant
from halo.variants.results import ChunkResults, chunk_name, read_results, write_results
from halo.variants.scan import places, scanned
from halo.variants.settings import VariantSettings
from halo.variants.wildtypes import WildTypes

RESIDUES = 65_536  # per chunk, which is the most that an interrupted call loses

Structure = Mapping[str, np.ndarray] | None


@dataclass
class Protein:
    """A wild type with its variants, and what was computed.

    Attributes
    ----------
    id, sequence, seq_hash
        Of the wild type.
    listed
        Variants of the input.
    is_scanned
        Whether it is also scanned.
    record
        Its prediction, as in ``predictions.json``.
    has_structure
        Whether a structure of it is used.
    probabilities
        Of the wild type, float64 [n_models, n_labels].
    variant_probabilities
        Of the listed variants, by `Derived.key`.
    backgrounds
        By the number of changed residues.
    """

    id: str
    sequence: str
    seq_hash: str
    listed: list[Variant] = field(default_factory=list)
    is_scanned: bool = False
    record: Mapping[str, Any] = field(default_factory=dict)
    has_structure: bool = False
    probabilities: np.ndarray = field(default_factory=lambda: np.empty(0))
    variant_probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    backgrounds: dict[int, Background] = field(default_factory=dict)

    def places(self, variant: Variant) -> int:
        """Number of random substitutions to which `variant` is compared."""
        return min(variant.places, len(self.sequence))


@dataclass(frozen=True)
class Chunk:
    """Sequences of a wild type that are computed together, and their file.

    `variants` are those of the scan that the sequences are of; () for others.
    """

    items: Sequence[Derived]
    file: Path
    variants: Sequence[Variant] = ()

    @property
    def residues(self) -> int:
        """Residues of all sequences."""
        return sum(len(item.sequence) for item in self.items)

    @property
    def is_finished(self) -> bool:
        """Whether the file exists, and no prediction failed, such as by too little memory."""
        return self.file.exists() and not self.read().failed

    def read(self) -> ChunkResults:
        """The results, which were computed."""
        return read_results(self.file, len(self.items))


class Chunks:
    """The chunks of proteins.

    Parameters
    ----------
    model : the bundle
    folder : of the output
    settings : of the call
    structure_of : reads the structure of a wild type, None if it has none or none is used
    """

    def __init__(
        self,
        model: Bundle,
        folder: OutputFolder,
        settings: VariantSettings,
        structure_of: Callable[[Protein], Structure],
    ) -> None:
        self.structure_of = structure_of
        self._folder, self._settings = folder, settings
        self._common = {
            "halo": __version__,
            "code": package_digest(),
            "bundle": model.sha256,
            "precision": settings.predict.precision,
        }

    def of(self, protein: Protein) -> Iterator[Chunk]:
        """All chunks of a protein."""
        return chain(self.known(protein), self.scan(protein))

    def known(self, protein: Protein) -> Iterator[Chunk]:
        """Chunks of the wild type, of random substitutions, and of the listed variants."""
        structure = self.structure_of(protein)
        groups = [[unchanged(protein.sequence)], *self.random(protein).values()]
        groups.append([derived(variant) for variant in protein.listed])
        for group in groups:
            distinct = list({item.key: item for item in group}.values())
            for items in batches(distinct, RESIDUES):
                yield self._chunk(protein, structure, items)

    def scan(self, protein: Protein) -> Iterator[Chunk]:
        """Chunks of the scan, if the protein is scanned."""
        kind, window = self._settings.scan, self._settings.window
        if kind is None or not protein.is_scanned:
            return
        structure = self.structure_of(protein)
        own = WildTypes({protein.id: protein.sequence})
        texts = scanned(protein.sequence, kind, window)
        made = (make_variant(text, protein.id, own) for text in texts)
        for variants in batches(made, RESIDUES):
            yield self._chunk(protein, structure, [derived(one) for one in variants], variants)

    def random(self, protein: Protein) -> dict[int, list[Derived]]:
        """Random substitutions, by their number in each sequence."""
        if not self._settings.random:
            return {}
        numbers = set(map(protein.places, protein.listed))
        if protein.is_scanned and self._settings.scan is not None:
            numbers.add(places(self._settings.scan, self._settings.window))
        return {
            number: [
                unchanged(text)
                for text in random_substitutions(protein.sequence, number, self._settings.random)
            ]
            for number in sorted(numbers)
        }

    def _chunk(
        self,
        protein: Protein,
        structure: Structure,
        items: Sequence[Derived],
        variants: Sequence[Variant] = (),
    ) -> Chunk:
        content = {**self._common, "wildtype": protein.sequence}
        name = chunk_name(content, structure, items)
        return Chunk(items, self._folder.path / CHUNKS / f"{name}.variants.npz", variants)


def derived(variant: Variant) -> Derived:
    """What is computed of a variant."""
    return Derived(variant.sequence, variant.origin)


def compute(
    proteins: Sequence[Protein],
    chunks: Chunks,
    model: Bundle,
    folder: OutputFolder,
    settings: VariantSettings,
) -> None:
    """Compute the chunks that are not finished."""
    missing: set[Path] = set()
    sequences = residues = 0
    for protein in proteins:
        for chunk in chunks.of(protein):
            if chunk.file not in missing and not chunk.is_finished:
                missing.add(chunk.file)
                sequences, residues = sequences + len(chunk.items), residues + chunk.residues
    log.info("%s sequences to predict, in %s chunks", f"{sequences:,}", f"{len(missing):,}")
    if not missing:
        return
    folder.claim(CHUNKS)
    own = settings.predict
    progress = Progress(residues, "residues of variants")
    with Predictor(model, own, own.store or folder.claim(STORE)) as predictor:
        if settings.scan is not None:
            for network in predictor.ensemble.networks:
                fuse_inference(network)
        for protein in proteins:
            loaded: VariantModel | None = None
            for chunk in chunks.of(protein):
                if chunk.file not in missing:
                    continue
                if loaded is None:
                    structure = chunks.structure_of(protein)
                    loaded = VariantModel(predictor, protein.sequence, structure)
                probabilities, failed = loaded.predict(chunk.items)
                thresholds = predictor.ensemble.thresholds
                write_results(chunk.file, ChunkResults(probabilities, failed, thresholds))
                missing.remove(chunk.file)
                progress.add(chunk.residues)


def read_known(protein: Protein, chunks: Chunks) -> list[Rejected]:
    """Set the probabilities and `backgrounds` of a protein; what could not be predicted."""
    predicted: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    for chunk in chunks.known(protein):
        results = chunk.read()
        for row, item in enumerate(chunk.items):
            if row in results.failed:
                failed[item.key] = results.failed[row]
            else:
                predicted[item.key] = results.probabilities[row]
    key = unchanged(protein.sequence).key
    if key in failed:
        return unusable(protein, f"{protein.id}: {failed[key]}")
    itself = protein.probabilities = predicted[key]
    for number, items in chunks.random(protein).items():
        known = [predicted[item.key].mean(axis=0) for item in items if item.key in predicted]
        if known:
            protein.backgrounds[number] = Background(np.array(known) - itself.mean(axis=0))
    protein.variant_probabilities = {
        key: predicted[key] for key in _keys(protein) if key in predicted
    }
    return [
        Rejected(variant.id, variant.line, "failed", failed[key])
        for variant, key in zip(protein.listed, _keys(protein), strict=True)
        if key in failed
    ]


def unusable(protein: Protein, reason: str) -> list[Rejected]:
    """What is not predicted if a wild type is not: its variants, and its scan as one record."""
    rejected = [Rejected(one.id, one.line, "wild type", reason) for one in protein.listed]
    if protein.is_scanned:
        rejected.append(Rejected(protein.id, 0, "wild type", f"not scanned: {reason}"))
    return rejected


def _keys(protein: Protein) -> list[str]:
    return [derived(variant).key for variant in protein.listed]
