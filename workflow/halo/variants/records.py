"""Write the output files of variants, with the scan of one protein in memory at a time."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from halo import __version__
from halo.errors import HaloError
from halo.files import write_table
from halo.label_groups import all_groups, from_content
from halo.predict.folder import (
    REJECTED_VARIANTS,
    SCAN_CSV,
    VARIANTS_CSV,
    VARIANTS_JSON,
    VARIANTS_PAGE,
    OutputFolder,
)
from halo.predict.output import format_of, write_sections
from halo.proteins.ingest import Rejected, rejected_table
from halo.variants.background import SEED
from halo.variants.chunks import Chunks, Protein, derived
from halo.variants.effects import CONFIDENCE, Labels, effect, touched_regions
from halo.variants.notation import written
from halo.variants.output import FORMAT, FORMAT_GROUPS, write_rows
from halo.variants.page import HeatMap, ShownProtein, counted, write_page
from halo.variants.read import Variant
from halo.variants.settings import VariantSettings
from halo.variants.structure import rule

PAGE_VARIANTS = 1000  # of the input, on the page
PAGE_CELLS = 3_000_000  # of all heat maps on the page, one for each label; a byte each


@dataclass
class Output:
    """What is collected while the records of variants are made.

    Attributes
    ----------
    rejected
        What could not be used or predicted.
    listed
        Records of the page, by the id of the wild type: the first of the input.
    maps
        Heat maps of the page, by the id of the wild type: the first of the scan.
    counts
        Numbers of variants of the input, see `halo.variants.page.counted`.
    scanned
        Number of scanned proteins.
    """

    rejected: list[Rejected]
    listed: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    maps: dict[str, HeatMap] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    scanned: int = 0


def write(
    folder: OutputFolder,
    header: Mapping[str, Any],
    proteins: Sequence[Protein],
    chunks: Chunks,
    rejected: Sequence[Rejected],
    settings: VariantSettings,
) -> None:
    """Write all output files.

    Parameters
    ----------
    folder : to write to
    header : what is common to all predictions, as in ``predictions.json``
    proteins : the wild types that were predicted
    chunks : finished chunks
    rejected : what could not be used or predicted, without failed variants of scans
    settings : of the call

    Raises
    ------
    HaloError
        if nothing was predicted
    """
    output = Output(list(rejected))
    if not proteins:
        _write_rejected(folder, output)
        raise HaloError(f"{folder.path}: no variant could be predicted; see {REJECTED_VARIANTS}")
    labels = _labels(header, next(chunks.known(proteins[0])).read().thresholds)
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
    tables = {
        VARIANTS_CSV: _listed(proteins, labels, output) if listed else None,
        SCAN_CSV: _scans(proteins, chunks, labels, about, output) if settings.scan else None,
    }
    for name, records in tables.items():
        file = folder.claim(name)
        if records is None:
            file.unlink(missing_ok=True)  # of an earlier call
        else:
            write_rows(file, about, records)
    _write_rejected(folder, output)
    sections = {
        "wildtypes": (protein.record for protein in proteins),
        "variants": _records(proteins, labels),
        "not_predicted": (asdict(record) for record in output.rejected),
    }
    write_sections(folder.claim(VARIANTS_JSON), about, sections)
    kept = [one for one in proteins if one.id in output.listed or one.id in output.maps]
    shown = [
        ShownProtein(
            protein.sequence,
            _of_models(protein, labels),
            output.listed.get(protein.id, []),
            output.maps.get(protein.id),
        )
        for protein in kept or proteins[:1]
    ]
    counts = output.counts | Counter(rejected=len(output.rejected), scanned=output.scanned)
    unusable = [record for record in output.rejected if record.file]
    write_page(folder.claim(VARIANTS_PAGE), about, shown, counts, unusable)


def _write_rejected(folder: OutputFolder, output: Output) -> None:
    # Wild types, whose lines are those of another file, are first.
    output.rejected.sort(key=lambda record: (not record.file, record.line))
    write_table(folder.claim(REJECTED_VARIANTS), rejected_table(output.rejected))


def _labels(header: Mapping[str, Any], thresholds: np.ndarray) -> Labels:
    further = from_content(header["labels"], header.get("groups"))
    groups = all_groups(header["labels"], header["task"], further)
    return Labels(header["labels"], thresholds, groups)


def _records(proteins: Sequence[Protein], labels: Labels) -> Iterator[dict[str, Any]]:
    """Records of the listed variants that were computed, in the order of the input."""
    pairs = [(protein, variant) for protein in proteins for variant in protein.listed]
    for protein, variant in sorted(pairs, key=lambda pair: pair[1].line):
        probabilities = protein.variant_probabilities.get(derived(variant).key)
        if probabilities is not None:
            yield _record(protein, variant, probabilities, labels)


def _listed(
    proteins: Sequence[Protein], labels: Labels, output: Output
) -> Iterator[dict[str, Any]]:
    """The same records, which are counted; the first ones are kept for the page."""
    for number, record in enumerate(_records(proteins, labels)):
        output.counts.update(counted(record))
        if number < PAGE_VARIANTS:
            output.listed.setdefault(record["protein"], []).append(record)
        yield record


def _scans(
    proteins: Sequence[Protein],
    chunks: Chunks,
    labels: Labels,
    about: Mapping[str, Any],
    output: Output,
) -> Iterator[dict[str, Any]]:
    """Records of all scans; the heat maps of the first ones are kept for the page."""
    room = PAGE_CELLS
    for protein in proteins:
        if not protein.is_scanned:
            continue
        output.scanned += 1
        heat_map = HeatMap(about, protein.sequence)
        room -= heat_map.cells
        if room >= 0 or not output.maps:
            output.maps[protein.id] = heat_map
        for chunk in chunks.scan(protein):
            results = chunk.read()
            for row, variant in enumerate(chunk.variants):
                if row in results.failed:
                    reason = results.failed[row]
                    output.rejected.append(Rejected(variant.id, variant.line, "failed", reason))
                    continue
                record = _record(protein, variant, results.probabilities[row], labels)
                heat_map.add(record)
                yield record


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
        "structure": rule(protein.has_structure, variant.origin, len(protein.sequence)),
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
