"""Convert entries of UniProt to records of a data set."""

import logging
from collections import Counter
from pathlib import Path

import pandas as pd

from halo.errors import HaloError
from halo.tables.readers import LINE
from halo.uniprot.entries import Entry, read_entries
from halo.uniprot.release import release_of
from halo.uniprot.settings import UniprotSettings
from halo.uniprot.vocabulary import Vocabulary

log = logging.getLogger(__name__)


def read_uniprot(path: Path, settings: UniprotSettings) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The records of a file of UniProt, and the names of their labels.

    The table has the columns ``id`` and ``accession`` (both the accession), ``sequence``,
    ``entry_name``, ``reviewed``, ``organism``, ``organism_id``, ``kingdom``, a column for each
    label (1, 0 or blank, see `label_values`), and `LINE`, all text but the last.
    """
    vocabulary = Vocabulary(Path(settings.mapping) if settings.mapping else None)
    entries = list(read_entries(path))
    if not entries:
        raise HaloError(f"{path}: holds no entry; change dataset.uniprot.query")
    values = [label_values(entry, vocabulary, settings) for entry in entries]
    table = pd.DataFrame(
        {
            "id": [entry.accession for entry in entries],
            "accession": [entry.accession for entry in entries],
            "sequence": [entry.sequence for entry in entries],
            "entry_name": [entry.name for entry in entries],
            "reviewed": [{True: "yes", False: "no", None: ""}[e.reviewed] for e in entries],
            "organism": [entry.organism for entry in entries],
            "organism_id": [entry.organism_id for entry in entries],
            "kingdom": [entry.kingdom for entry in entries],
            **{label: [each[label] for each in values] for label in vocabulary.labels},
        }
    ).astype(str)
    _report(path, entries, vocabulary)
    return table.assign(**{LINE: [entry.line for entry in entries]}), vocabulary.labels


def label_values(entry: Entry, vocabulary: Vocabulary, settings: UniprotSettings) -> dict[str, str]:
    """Value of each label: 1 with accepted evidence, blank with other evidence, 0 without evidence.

    If an entry has no label with accepted evidence, all labels are blank. Locations of isoforms
    with another sequence count as other evidence.
    """
    sure: set[str] = set()
    unsure: set[str] = set()
    for location in entry.locations:
        accepted = set(location.evidence) & set(settings.evidence)
        counts = entry.is_of_sequence(location) and bool(accepted)
        (sure if counts else unsure).update(vocabulary.of_location(location.term))
    for component in entry.components if settings.go else ():
        counts = component.evidence in settings.go_evidence
        (sure if counts else unsure).update(vocabulary.of_component(component.id))
    absent = "0" if sure else ""
    return {
        label: "1" if label in sure else "" if label in unsure else absent
        for label in vocabulary.labels
    }


def _report(path: Path, entries: list[Entry], vocabulary: Vocabulary) -> None:
    release = release_of(path) or {}
    log.info(
        "%s entries of UniProt, release %s",
        *(f"{len(entries):,}", release.get("release") or "not stated"),
    )
    without = Counter(
        location.term
        for entry in entries
        for location in entry.locations
        if not vocabulary.of_location(location.term)
    )
    if without:
        some = ", ".join(f"{term} ({count:,})" for term, count in without.most_common(8))
        log.info("locations without a label: %s", some)
