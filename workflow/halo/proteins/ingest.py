"""The first stage: from a user's files to checked proteins, and to the list of the others."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.proteins.accessions import parse_accession
from halo.proteins.labels import Faults, labels_from_columns, labels_from_table
from halo.proteins.nucleotides import is_nucleotides
from halo.proteins.readers import LINE, read_records, require_columns
from halo.proteins.settings import DatasetSettings
from halo.proteins.table import CORE_COLUMNS, Proteins

log = logging.getLogger(__name__)

RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWYBJOUXZ")  # the 20, U, O and the ambiguity codes


@dataclass(frozen=True)
class Rejected:
    """A record that is not used: its id, its line in the file, why, and the details."""

    id: str
    line: int
    reason: str
    detail: str


def ingest(
    path: Path, labels_path: Path | None, settings: DatasetSettings
) -> tuple[Proteins, list[Rejected]]:
    """Read, check and label proteins.

    Every record of `path` is either a row of the proteins, sorted by id, or rejected with
    a reason. Faults of the whole file (no such column, malformed line) are a HaloError.
    """
    records = read_records(path)
    if records.empty:
        raise HaloError(f"{path}: holds no record")
    wanted = {
        "dataset.id": settings.id,
        "dataset.sequence": settings.sequence,
        "dataset.accession": settings.accession,
        "dataset.split": settings.split,
    }
    wanted |= {f"dataset.annotations[{i}]": name for i, name in enumerate(settings.annotations)}
    require_columns(path, records, wanted)

    rejected: list[Rejected] = []
    table = core_table(records, settings)
    if labels_path is None:
        taken = {settings.id, settings.sequence, settings.accession, settings.split}
        names, labels, unlabelled = labels_from_columns(
            path, records, settings.labels.columns, {*taken, *settings.annotations}
        )
    else:
        names, labels, unlabelled = labels_from_table(labels_path, table["id"], settings.labels)
    keep = np.ones(len(table), dtype=bool)
    for check in (identity_faults(table), sequence_faults(table, settings), unlabelled):
        for row, (reason, detail) in check.items():
            if keep[row]:
                keep[row] = False
                rejected.append(_reject(table, row, reason, detail))
    table, labels = table[keep].reset_index(drop=True), labels[keep]
    if settings.task == "singlelabel":
        table, labels = _only_single_labels(table, labels, rejected)
    if settings.duplicates == "merge":
        table, labels = _merge_duplicates(table, labels, names, rejected)
    if settings.sample is not None:
        table, labels = _sample(table, labels, settings.sample, rejected)
    if table.empty:
        raise HaloError(
            f"{path}: none of {len(records):,} records can be used; the first: {rejected[0].reason}"
            f" ({rejected[0].detail})"
        )
    order = np.argsort(table["id"].to_numpy(dtype=object), kind="stable")
    table = table.drop(columns=LINE).iloc[order].reset_index(drop=True)
    rejected.sort(key=lambda record: (record.line, record.id))
    return Proteins(table, names, labels[order], settings.task), rejected


def with_test_set(
    proteins: Proteins, test: Proteins, rejected: list[Rejected]
) -> tuple[Proteins, list[Rejected]]:
    """Both sets as one, with ``split`` set to train and to test.

    A label that the test set does not have is 0 there. A test protein whose id stands in
    the training set already is rejected. HaloError for a label that cannot be trained.
    """
    unknown = sorted(set(test.label_names) - set(proteins.label_names))
    if unknown:
        raise HaloError(
            f"dataset.test: the labels {', '.join(unknown)} are not among those of the training "
            f"set ({', '.join(proteins.label_names)}); choose others in dataset.test.labels.columns"
        )
    missing = sorted(set(proteins.label_names) - set(test.label_names))
    if missing:
        log.warning("the test set does not have the labels %s", ", ".join(missing))
    columns = [proteins.label_names.index(name) for name in test.label_names]
    labels = np.zeros((len(test), len(proteins.label_names)), dtype=np.uint8)
    labels[:, columns] = test.labels
    new = ~test.table["id"].isin(proteins.table["id"]).to_numpy()
    detail = "the id stands in the training set already"
    rejected = rejected + [Rejected(name, 0, "duplicated id", detail) for name in test.ids[~new]]
    tables = [proteins.table.assign(split="train"), test.table[new].assign(split="test")]
    table = pd.concat(tables, ignore_index=True).fillna("")
    order = np.argsort(table["id"].to_numpy(dtype=object), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    both = np.concatenate([proteins.labels, labels[new]])[order]
    return Proteins(table, proteins.label_names, both, proteins.task), rejected


def rejected_table(rejected: Sequence[Rejected]) -> pd.DataFrame:
    """The content of ``rejected.csv``."""
    return pd.DataFrame([vars(record) for record in rejected], columns=list(vars_of(Rejected)))


def vars_of(kind: type) -> tuple[str, ...]:
    """Names of the fields of a data class."""
    return tuple(kind.__dataclass_fields__)


def core_table(records: pd.DataFrame, settings: DatasetSettings) -> pd.DataFrame:
    """The columns of `CORE_COLUMNS`, the annotations and the line of each record, unchecked."""
    sequence = (
        records[settings.sequence].str.replace(r"\s", "", regex=True).str.upper().str.rstrip("*")
    )
    ids = records[settings.id]
    accession = records[settings.accession] if settings.accession else ids
    table = pd.DataFrame(
        {
            "id": ids,
            "accession": [_accession(text) for text in accession],
            "sequence": sequence,
            "seq_hash": [sha256_of_text(text) for text in sequence],
            "length": sequence.str.len(),
            "split": records[settings.split] if settings.split else "",
        }
    )
    for name in settings.annotations:
        if name in CORE_COLUMNS:
            raise HaloError(
                f"dataset.annotations: the name {name!r} is taken by HALO's own table; rename it"
            )
        table[name] = records[name]
    return table.assign(**{LINE: records[LINE]})


def _accession(text: str) -> str:
    parsed = parse_accession(text)
    return str(parsed) if parsed else ""


def _reject(table: pd.DataFrame, row: int, reason: str, detail: str) -> Rejected:
    return Rejected(table["id"].iat[row], int(table[LINE].iat[row]), reason, detail)


def identity_faults(table: pd.DataFrame) -> Faults:
    """Rows of `core_table` whose id is missing or stands there already."""
    faults: Faults = {}
    first: dict[str, int] = {}
    for row, (name, line) in enumerate(zip(table["id"], table[LINE], strict=True)):
        if not name:
            faults[row] = ("no id", "give every record an id of its own")
        elif name in first:
            faults[row] = ("duplicated id", f"the id stands in line {first[name]} already")
        else:
            first[name] = line
    return faults


def sequence_faults(table: pd.DataFrame, settings: DatasetSettings) -> Faults:
    """Rows of `core_table` whose sequence cannot be used."""
    faults: Faults = {}
    for row, sequence in enumerate(table["sequence"]):
        illegal = sorted(set(sequence) - RESIDUES)
        if not sequence:
            faults[row] = ("empty sequence", "")
        elif illegal:
            place = next(i for i, letter in enumerate(sequence, 1) if letter in illegal)
            letters = " ".join(illegal)
            faults[row] = ("illegal residue letters", f"{letters}, first at residue {place}")
        elif is_nucleotides(sequence):
            faults[row] = ("DNA or RNA", "not a protein; translate it")
        elif len(sequence) < settings.min_length:
            faults[row] = ("too short", f"{len(sequence)} residues, below dataset.min_length")
        elif len(sequence) > settings.max_length:
            faults[row] = ("too long", f"{len(sequence)} residues, above dataset.max_length")
    return faults


def _only_single_labels(
    table: pd.DataFrame, labels: np.ndarray, rejected: list[Rejected]
) -> tuple[pd.DataFrame, np.ndarray]:
    counts = labels.sum(axis=1)
    for row in np.flatnonzero(counts != 1):
        detail = f"{counts[row]} labels; a single-label task needs exactly one"
        rejected.append(_reject(table, row, "not one label", detail))
    return table[counts == 1].reset_index(drop=True), labels[counts == 1]


def _sample(
    table: pd.DataFrame, labels: np.ndarray, size: int, rejected: list[Rejected]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Those with the lowest digests of their ids: the same whatever the order of the rows.

    A protein that is added displaces one at most.
    """
    digests = np.array([sha256_of_text(name) for name in table["id"]])
    keep = np.zeros(len(table), dtype=bool)
    keep[np.argsort(digests)[:size]] = True
    detail = f"dataset.sample is {size}"
    rejected += [_reject(table, row, "not in the sample", detail) for row in np.flatnonzero(~keep)]
    return table[keep].reset_index(drop=True), labels[keep]


def _merge_duplicates(
    table: pd.DataFrame,
    labels: np.ndarray,
    names: tuple[str, ...],
    rejected: list[Rejected],
) -> tuple[pd.DataFrame, np.ndarray]:
    """One record a sequence: the first id in sorted order, with the union of the labels."""
    labels = labels.copy()
    keep = np.ones(len(table), dtype=bool)
    groups = table.groupby("seq_hash", sort=False).indices
    for rows in groups.values():
        if len(rows) == 1:
            continue
        first, *others = sorted(rows, key=lambda row: table["id"].iat[row])
        before = labels[rows].copy()
        labels[first] = before.max(axis=0)
        conflict = (before != labels[first]).any()
        for row in others:
            keep[row] = False
            detail = f"merged into {table['id'].iat[first]}"
            if conflict:
                differing = np.flatnonzero((before != before[0]).any(axis=0))
                detail += "; the labels differed in " + ", ".join(names[i] for i in differing)
            rejected.append(_reject(table, row, "duplicated sequence", detail))
    return table[keep].reset_index(drop=True), labels[keep]
