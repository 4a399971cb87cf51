"""Predict variants in chunks, with bounded memory; interrupted calls are resumed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from halo import __version__
from halo.cli import Progress, log
from halo.code_digest import package_digest
from halo.embeddings.registry import LANGUAGE_MODELS
from halo.embeddings.weights import FILE
from halo.errors import HaloError
from halo.files import read_text_table, write_table, write_text
from halo.label_groups import all_groups, from_content
from halo.predict.bundle import Bundle
from halo.predict.folder import (
    CHUNKS,
    REJECTED_VARIANTS,
    SCAN_CSV,
    STORE,
    VARIANTS_CSV,
    VARIANTS_JSON,
    VARIANTS_PAGE,
    OutputFolder,
)
from halo.predict.output import format_of, read_chunk, write_sections
from halo.predict.predictor import Predictor
from halo.predict.records import STANDARD_INPUT
from halo.predict.run import claimed_folder, predict_chunks, read_inputs
from halo.predict.sources import find_structures
from halo.proteins.ingest import Rejected, rejected_table
from halo.proteins.members import members_of
from halo.variants.background import SEED, random_substitutions
from halo.variants.compute import Derived, VariantModel, batches
from halo.variants.effects import CONFIDENCE, Background, Labels, effect, touched_regions
from halo.variants.notation import written
from halo.variants.output import FORMAT, FORMAT_GROUPS, write_rows
from halo.variants.page import PAGE_VARIANTS, ShownProtein, summarized, write_page
from halo.variants.read import Variant, WildTypes, make_variant, read_variants
from halo.variants.results import ChunkResults, chunk_name, read_results, write_results
from halo.variants.scan import scanned
from halo.variants.settings import VariantSettings
from halo.variants.structure import rule

RESIDUES = 65_536  # per chunk, which is the most that an interrupted call loses

Structure = Mapping[str, np.ndarray] | None


@dataclass
class Protein:
    """A wild type with its variants, and what was computed.

    Attributes
    ----------
    id, sequence
        Of the wild type.
    listed, scanned
        Variants of the input, and of the scan.
    record
        Its prediction, as in ``predictions.json``.
    structure
        Arrays of its structure, or None.
    probabilities
        Of the wild type, float64 [n_models, n_labels].
    backgrounds
        By the number of changed residues.
    """

    id: str
    sequence: str
    listed: list[Variant] = field(default_factory=list)
    scanned: list[Variant] = field(default_factory=list)
    record: Mapping[str, Any] = field(default_factory=dict)
    structure: Structure = None
    probabilities: np.ndarray = field(default_factory=lambda: np.empty(0))
    backgrounds: dict[int, Background] = field(default_factory=dict)

    def places(self, variant: Variant) -> int:
        """Number of random substitutions to which `variant` is compared."""
        return min(variant.places, len(self.sequence))


@dataclass(frozen=True)
class Chunk:
    """Items of a wild type that are computed together, and their file."""

    protein: Protein
    items: Sequence[Derived]
    file: Path


def variants(
    wildtypes: Path,
    listed: Path | None,
    bundle: Path,
    out: Path,
    settings: VariantSettings | None = None,
) -> Path:
    """Predict variants; the path of ``variants.html``.

    Finished chunks are kept in ``chunks/`` of `out`. Repeating an interrupted call resumes it.

    Parameters
    ----------
    wildtypes : proteins, see `halo.predict.records.read_queries`
    listed : variants of them, see `halo.variants.read.read_variants`; None for a scan alone
    bundle : folder of a model bundle
    out : folder to write to
    settings : see `VariantSettings`

    Raises
    ------
    HaloError
        if nothing can be predicted; names the file, line or id, and the fix
    """
    settings = settings or VariantSettings()
    if listed is None and settings.scan is None:
        raise HaloError("no variants: give a file of variants, or --scan")
    if listed == wildtypes == STANDARD_INPUT:
        raise HaloError("-: wild types and variants cannot both be the standard input")
    inputs = [wildtypes, bundle, *([listed] if listed else [])]
    with claimed_folder(inputs, out, settings.predict) as folder:
        model, queries = read_inputs(wildtypes, bundle, folder, settings.predict)
        if model.description["language_model"].get("source") == FILE:
            raise HaloError(
                f"{bundle}: trained on embeddings of a file, and HALO does not compute those of "
                "variants; use a bundle whose language model HALO computes"
            )
        if LANGUAGE_MODELS[model.model_class].reads_structures:
            raise HaloError(
                f"{bundle}: its language model reads structures, and variants have none of their "
                "own; use a bundle with another language model"
            )
        rows = queries.table.set_index("id", drop=False)
        sequences = dict(zip(rows["id"], rows["sequence"], strict=True))
        proteins = {name: Protein(name, text) for name, text in sequences.items()}
        rejected: list[Rejected] = []
        if listed is not None:
            names = rows[rows["accession"] != ""].drop_duplicates("accession", keep=False)
            accessions = dict(zip(names["accession"], names["id"], strict=True))
            known = WildTypes(sequences, accessions)
            found, rejected = read_variants(listed, known, settings.predict.max_length)
            for variant in found:
                proteins[variant.protein].listed.append(variant)
        if settings.scan is not None:
            for protein in proteins.values():
                protein.scanned = _scan(protein, settings)
        used = [protein for protein in proteins.values() if protein.listed or protein.scanned]
        table = rows.loc[[protein.id for protein in used]].reset_index(drop=True)
        header, failed = _predict_wildtypes(table, proteins, model, folder, settings)
        rejected += [_of_failed(v, failed) for p in used if p.id in failed for v in p.listed]
        used = [protein for protein in used if protein.id not in failed]
        results, failures = _results(used, model, folder, settings)
        rejected += failures
        used = [protein for protein in used if len(protein.probabilities)]
        _write(folder, header, used, results, rejected, settings)
    page = Path(out) / VARIANTS_PAGE
    log.info("results, for a browser: %s", page)
    return page


def predict_variants(
    wildtypes: Mapping[str, str],
    notations: Sequence[str],
    bundle: Path,
    settings: VariantSettings | None = None,
) -> pd.DataFrame:
    """Predict variants without files; the table that ``variants.csv`` would be.

    Parameters
    ----------
    wildtypes : sequences by id
    notations : variants, such as ``R97C``; with several wild types, ``id:R97C``
    bundle : folder of a model bundle
    settings : see `VariantSettings`; without a scan

    Raises
    ------
    HaloError
        if a variant cannot be used or predicted
    """
    settings = replace(settings or VariantSettings(), scan=None)
    with TemporaryDirectory(prefix="halo.") as folder:
        fasta, listed = Path(folder, "wildtypes.fasta"), Path(folder, "variants.txt")
        write_text(fasta, "".join(f">{name}\n{text}\n" for name, text in wildtypes.items()))
        write_text(listed, "".join(f"{text}\n" for text in notations))
        out = Path(folder, "out")
        variants(fasta, listed, bundle, out, settings)
        for record in read_text_table(out / REJECTED_VARIANTS).to_dict("records"):
            raise HaloError(f"variant {record['id']}: {record['detail']}")
        return pd.read_csv(out / VARIANTS_CSV, keep_default_na=False)


def _scan(protein: Protein, settings: VariantSettings) -> list[Variant]:
    assert settings.scan is not None
    own = WildTypes({protein.id: protein.sequence})
    texts = scanned(protein.sequence, settings.scan, settings.window)
    return [make_variant(text, protein.id, own) for text in texts]


def _of_failed(variant: Variant, failed: Mapping[str, str]) -> Rejected:
    reason = "wild type"
    return Rejected(
        variant.id, variant.line, reason, f"{variant.protein}: {failed[variant.protein]}"
    )


def _predict_wildtypes(
    table: pd.DataFrame,
    proteins: Mapping[str, Protein],
    model: Bundle,
    folder: OutputFolder,
    settings: VariantSettings,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Predict and explain the wild types; sets their `record` and `structure`.

    Returns what is common to all predictions, and why wild types could not be predicted, by id.
    """
    own = settings.predict
    failed: dict[str, str] = {}
    header: dict[str, Any] = {}
    for file in predict_chunks(table, model, folder, own):
        chunk = read_chunk(file)
        header = dict(chunk.header)
        failed |= {record.id: record.detail for record in chunk.rejected}
        for record in chunk.records:
            proteins[record["id"]].record = record
    if _needs_graphs(model):
        store = own.store or folder.claim(STORE)
        structures, _ = find_structures(model, own, store, members_of(table))
        for name, seq_hash in zip(table["id"], table["seq_hash"], strict=True):
            if seq_hash in structures:
                arrays = structures.read(seq_hash)
                known = len(arrays["coordinates"]) or len(arrays["contacts"])
                proteins[name].structure = arrays if known else None
    return header, failed


def _needs_graphs(model: Bundle) -> bool:
    models = model.description["models"]
    return any(member["class"] != "esm" for one in models for member in one["members"])


# ------------------------------------------------------------------ computing


class Results:
    """Probabilities of the items of wild types, by id and `Derived.key`."""

    def __init__(self) -> None:
        self.probabilities: dict[tuple[str, str], np.ndarray] = {}
        self.failed: dict[tuple[str, str], str] = {}
        self.thresholds = np.empty(0)

    def add(self, chunk: Chunk) -> None:
        """Read the file of a finished chunk."""
        found = read_results(chunk.file, len(chunk.items))
        self.thresholds = found.thresholds
        for row, item in enumerate(chunk.items):
            key = chunk.protein.id, item.key
            if row in found.failed:
                self.failed[key] = found.failed[row]
            else:
                self.probabilities[key] = found.probabilities[row]

    def of(self, protein: Protein, item: Derived) -> np.ndarray | None:
        """Probabilities [n_models, n_labels], None for a failed item."""
        return self.probabilities.get((protein.id, item.key))


def derived(variant: Variant) -> Derived:
    """What is computed of a variant."""
    return Derived(variant.sequence, variant.origin)


def _unchanged(protein: Protein, sequence: str) -> Derived:
    """A sequence with substitutions alone, or the wild type itself."""
    return Derived(sequence, np.arange(len(protein.sequence), dtype=np.int64))


def _results(
    proteins: Sequence[Protein], model: Bundle, folder: OutputFolder, settings: VariantSettings
) -> tuple[Results, list[Rejected]]:
    """Compute what is missing; sets `probabilities` and `backgrounds` of the proteins."""
    random: dict[str, dict[int, list[Derived]]] = {}
    chunks: list[Chunk] = []
    common = {
        "halo": __version__,
        "code": package_digest(),
        "bundle": model.sha256,
        "precision": settings.predict.precision,
    }
    for protein in proteins:
        everything = [*protein.listed, *protein.scanned]
        own = random[protein.id] = {}
        for number in sorted(set(map(protein.places, everything))) if settings.random else ():
            texts = random_substitutions(protein.sequence, number, settings.random)
            own[number] = [_unchanged(protein, text) for text in texts]
        groups = [[_unchanged(protein, protein.sequence)], *own.values()]
        groups += [list(map(derived, protein.listed)), list(map(derived, protein.scanned))]
        for group in groups:
            distinct = list({item.key: item for item in group}.values())
            for items in batches(distinct, RESIDUES):
                content = {**common, "wildtype": protein.sequence}
                name = chunk_name(content, protein.structure, items)
                chunks.append(Chunk(protein, items, folder.path / CHUNKS / f"{name}.variants.npz"))
    _compute([chunk for chunk in chunks if not chunk.file.exists()], model, folder, settings)
    results = Results()
    for chunk in chunks:
        results.add(chunk)
    rejected = []
    for protein in proteins:
        wildtype = _unchanged(protein, protein.sequence)
        itself = results.of(protein, wildtype)
        for variant in [*protein.listed, *protein.scanned]:
            reason = results.failed.get((protein.id, derived(variant).key))
            if itself is None:
                reason = f"{protein.id}: {results.failed[protein.id, wildtype.key]}"
            if reason:
                rejected.append(Rejected(variant.id, variant.line, "failed", reason))
        if itself is None:
            continue
        protein.probabilities = itself
        for number, items in random[protein.id].items():
            found = [results.of(protein, item) for item in items]
            means = [each.mean(axis=0) - itself.mean(axis=0) for each in found if each is not None]
            protein.backgrounds[number] = Background(np.array(means))
    return results, rejected


def _compute(
    missing: Sequence[Chunk], model: Bundle, folder: OutputFolder, settings: VariantSettings
) -> None:
    count = sum(len(chunk.items) for chunk in missing)
    log.info("%s sequences to predict, in %s chunks", f"{count:,}", f"{len(missing):,}")
    if not missing:
        return
    folder.claim(CHUNKS)
    own = settings.predict
    residues = sum(len(item.sequence) for chunk in missing for item in chunk.items)
    progress = Progress(residues, "residues of variants")
    current: tuple[str, VariantModel] | None = None
    with Predictor(model, own, own.store or folder.claim(STORE)) as predictor:
        for chunk in missing:
            protein = chunk.protein
            if current is None or current[0] != protein.id:
                current = protein.id, VariantModel(predictor, protein.sequence, protein.structure)
            found, failed = current[1].predict(chunk.items)
            thresholds = predictor.ensemble.thresholds
            write_results(chunk.file, ChunkResults(found, failed, thresholds))
            progress.add(sum(len(item.sequence) for item in chunk.items))


# ------------------------------------------------------------------ writing


def records(
    proteins: Sequence[Protein], results: Results, labels: Labels, scan: bool
) -> Iterator[dict[str, Any]]:
    """Records of all variants that were computed: of the scan or, in its order, of the input."""
    pairs = [
        (protein, variant)
        for protein in proteins
        for variant in (protein.scanned if scan else protein.listed)
    ]
    for protein, variant in sorted(pairs, key=lambda pair: pair[1].line):
        probabilities = results.of(protein, derived(variant))
        if probabilities is not None:
            yield _record(protein, variant, probabilities, labels)


def _record(
    protein: Protein, variant: Variant, probabilities: np.ndarray, labels: Labels
) -> dict[str, Any]:
    regions, predicted = protein.record["regions"], protein.record["predicted_regions"]
    before = protein.probabilities.mean(axis=0)
    background = protein.backgrounds.get(protein.places(variant))
    return {
        "id": variant.id,
        "protein": protein.id,
        "variant": variant.notation,
        "hgvs": written(variant.changes),
        "line": variant.line or None,
        "paired_by": variant.paired_by or None,
        "position": max(1, min(edit.touched[0] for edit in variant.edits)),
        "changed": variant.places,
        "length": len(variant.sequence),
        "structure": rule(protein.structure, variant.origin, len(protein.sequence)),
        "regions": None if regions is None else touched_regions(variant.edits, regions),
        "predicted_regions": None
        if predicted is None
        else touched_regions(variant.edits, predicted),
        "labels_wildtype": labels.given(before),
        "wildtype": labels.by_name(before),
        **effect(protein.probabilities, probabilities, labels, background),
    }


def _of_models(protein: Protein, labels: Labels) -> dict[str, Any]:
    """The record of a wild type, with the prediction of the models alone, without homologues."""
    before = protein.probabilities.mean(axis=0)
    own = {"labels": labels.given(before), "probabilities": labels.by_name(before)}
    return {**protein.record, **own}


def _write(
    folder: OutputFolder,
    header: Mapping[str, Any],
    proteins: Sequence[Protein],
    results: Results,
    rejected: Sequence[Rejected],
    settings: VariantSettings,
) -> None:
    """Write all output files."""
    rejected = sorted(rejected, key=lambda record: record.line)
    write_table(folder.claim(REJECTED_VARIANTS), rejected_table(rejected))
    if not proteins:
        raise HaloError(f"{folder.path}: no variant could be predicted; see {REJECTED_VARIANTS}")
    further = from_content(header["labels"], header.get("groups"))
    groups = all_groups(header["labels"], header["task"], further)
    labels = Labels(header["labels"], results.thresholds, groups)
    about = {
        "format": format_of(header, FORMAT, FORMAT_GROUPS),
        "halo": __version__,
        **header,
        "models": len(proteins[0].probabilities),
        "confidence": CONFIDENCE,
        "random": settings.random,
        "seed": SEED,
        "scan": settings.scan,
        "window": settings.window if settings.scan == "deletions" else None,
    }
    listed = any(protein.listed for protein in proteins)
    for name, given in ((VARIANTS_CSV, listed), (SCAN_CSV, settings.scan is not None)):
        file = folder.claim(name)
        if given:
            write_rows(file, about, records(proteins, results, labels, scan=name == SCAN_CSV))
        else:
            file.unlink(missing_ok=True)  # of an earlier call
    sections = {
        "wildtypes": (protein.record for protein in proteins),
        "variants": records(proteins, results, labels, scan=False),
        "not_predicted": (asdict(record) for record in rejected),
    }
    write_sections(folder.claim(VARIANTS_JSON), about, sections)
    shown, room = [], PAGE_VARIANTS
    for protein in proteins:
        first = list(islice(records([protein], results, labels, scan=False), room))
        room -= len(first)
        own = list(records([protein], results, labels, scan=True))
        if first or own:
            shown.append(ShownProtein(protein.sequence, _of_models(protein, labels), first, own))
    summary = summarized(records(proteins, results, labels, scan=False))
    summary["rejected"] = len(rejected)
    write_page(folder.claim(VARIANTS_PAGE), about, shown, summary)
