"""The ingest stage: read the user's files, check every record, and list the rejected ones."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.label_groups import MAIN, LabelGroup, all_groups
from halo.proteins.accessions import accession_within
from halo.proteins.identifiers import forms
from halo.proteins.labels import (
    MISSING,
    MISSING_VALUES,
    Faults,
    Labelled,
    labels_from_columns,
    labels_from_names,
    labels_from_table,
    together,
    united,
    warn_of_rare,
)
from halo.proteins.long_table import in_one_row
from halo.proteins.nucleotides import is_nucleotides
from halo.proteins.settings import DatasetSettings, GroupLabels
from halo.proteins.table import CORE_COLUMNS, Proteins
from halo.tables.readers import (
    DESCRIPTION,
    FASTA,
    LINE,
    read_records,
    read_table,
    require_columns,
)
from halo.uniprot.records import read_uniprot

log = logging.getLogger(__name__)

# Usual meaning of letters that are no residues.
ILLEGAL = {
    "*": "a stop codon within the sequence",
    "-": "gaps of an alignment; remove them",
    ".": "gaps of an alignment; remove them",
}
REPLACEMENT = "\ufffd"  # replaces bytes that cannot be decoded
RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWYBJOUXZ")  # the 20, U, O and the ambiguity codes
OWNER = "(id)"  # column with the id of a row of labels
MERGED = "(merged)"  # column with the ids of the records that were merged into one
# Values that programs write for a missing sequence.
NO_SEQUENCE = MISSING | {
    "na", "n/a", "nil", "missing", "unknown", "unavailable", "not available",
    "sequence unavailable", "sequence not available", "#ref!", "#value!", "#name?", "-", ".", "?",
}  # fmt: skip


@dataclass(frozen=True)
class Rejected:
    """A record that is not used: id, line in the file, reason, details, and file."""

    id: str
    line: int
    reason: str
    detail: str
    file: str = ""


@dataclass(frozen=True)
class _Batch:
    """Records being checked: `table` of `core_table`, label values, and which are known."""

    table: pd.DataFrame
    values: np.ndarray
    known: np.ndarray

    def only(self, keep: np.ndarray) -> "_Batch":
        """The records selected by `keep`, a boolean mask or row numbers."""
        table = self.table.iloc[np.flatnonzero(keep) if keep.dtype == bool else keep]
        return _Batch(table.reset_index(drop=True), self.values[keep], self.known[keep])


def read_source(
    path: Path, settings: DatasetSettings
) -> tuple[pd.DataFrame, tuple[str, ...] | None]:
    """Read the records of a file, and the columns of their labels if the source defines them."""
    if settings.uniprot is not None:
        return read_uniprot(path, settings.uniprot)
    return read_records(path), None


def ingest(
    path: Path,
    labels_path: Path | None,
    settings: DatasetSettings,
    partitioned: bool = True,
    group_paths: Mapping[str, Path] | None = None,
) -> tuple[Proteins, list[Rejected]]:
    """Read, check and label proteins.

    Every record of `path` is either a row of the proteins, sorted by id, or rejected with a
    reason.

    Parameters
    ----------
    path : table or FASTA file
    labels_path : separate table of labels, or None
    settings : settings of the data set
    partitioned : whether the run's split uses the author partitions of ``dataset.split``; then
        records with the same sequence in different partitions are not merged
    group_paths : separate tables of further groups of labels, by the name of the group

    Raises
    ------
    HaloError
        if the whole file is wrong (missing column, malformed line) or no record can be used
    """
    records, names = read_source(path, settings)
    if names is not None and labels_path is None and settings.labels.columns is None:
        settings = replace(settings, labels=replace(settings.labels, columns=names))
    if records.empty:
        raise HaloError(f"{path}: contains no record")
    wanted = {
        "dataset.id": settings.id,
        "dataset.sequence": settings.sequence,
        "dataset.accession": settings.accession,
        "dataset.split": settings.split,
    }
    wanted |= {f"dataset.annotations[{i}]": name for i, name in enumerate(settings.annotations)}
    if labels_path is None:
        of_labels = settings.labels
        wanted["dataset.labels.label"] = of_labels.label
        wanted["dataset.labels.evidence"] = of_labels.evidence
    if {"Entry", "Sequence"} <= set(records.columns) and settings.id not in records.columns:
        raise HaloError(
            f"{path}: a UniProt export without the column {settings.id!r}; to use its locations "
            "as labels, write 'uniprot: {}' below dataset, else set dataset.id: Entry and "
            "dataset.sequence: Sequence"
        )
    for name, group in (settings.groups or {}).items():
        if group.table is None:
            wanted[f"dataset.groups.{name}.label"] = group.label
            wanted[f"dataset.groups.{name}.evidence"] = group.evidence
    require_columns(path, records, wanted)
    table, parts = _labelled(path, labels_path, records, settings, group_paths or {})
    if settings.uniprot is not None and settings.uniprot.reviewed is not None:
        unwanted = _review_faults(table, records, settings.uniprot.reviewed)
        parts[0] = replace(parts[0], faults=parts[0].faults | unwanted)
    proteins, rejected = _checked(table, parts, settings, partitioned)
    rejected = [replace(record, file=str(path)) for record in rejected]
    if not len(proteins):
        raise HaloError(
            f"{path}: none of {len(records):,} records can be used; the first: {rejected[0].reason}"
            f" ({rejected[0].detail})"
        )
    warn_of_rare(proteins.label_names, proteins.labels, proteins.known)
    return proteins, rejected


def _labelled(
    path: Path,
    labels_path: Path | None,
    records: pd.DataFrame,
    settings: DatasetSettings,
    group_paths: Mapping[str, Path],
) -> tuple[pd.DataFrame, list[Labelled]]:
    """The `core_table` of the records, and their labels of each group."""
    where, notes = settings.labels, set(settings.annotations)
    taken = {settings.id, settings.sequence, settings.accession, settings.split, *notes}
    of_groups = _columns_of_groups(settings)
    if labels_path is not None:
        given = read_table(labels_path)
        require_columns(labels_path, given, {"dataset.labels.id": where.id})
        records = _with_whole_headers(records, given[where.id])
        table = core_table(records, settings)
        labelled = labels_from_table(labels_path, given, table["id"].tolist(), where, notes)
    elif where.label is None:
        if records.attrs.get(FASTA) and where.columns is None:
            _refuse_unlabelled_fasta(path, records)
        table = core_table(records, settings)
        labelled = labels_from_columns(path, records, where, taken | of_groups)
    else:
        if where.label in taken | of_groups:
            raise HaloError(
                f"dataset.labels.label: the column {where.label!r} of {path} is already used for "
                "something else; name the column with the labels"
            )
        table, own, differing = in_one_row(path, core_table(records, settings))
        records = records.assign(**{OWNER: records[settings.id]})[own]
        where = replace(where, id=OWNER)
        labelled = labels_from_names(path, records, table["id"].tolist(), where, notes)
        labelled = replace(labelled, faults=labelled.faults | differing)
    ids = table["id"].tolist()
    taken |= {where.label, OWNER, *labelled.names}
    return table, [
        labelled,
        *(
            _of_group(path, records, ids, name, group, group_paths.get(name), taken, notes)
            for name, group in (settings.groups or {}).items()
        ),
    ]


def _columns_of_groups(settings: DatasetSettings) -> set[str | None]:
    """Columns of the proteins' table that have labels of further groups."""
    own = [group for group in (settings.groups or {}).values() if group.table is None]
    by_value = {name for group in own if group.label is None for name in group.columns or ()}
    return {*by_value, *(group.label for group in own), *(group.evidence for group in own)}


def _of_group(
    path: Path,
    records: pd.DataFrame,
    ids: Sequence[str],
    name: str,
    group: GroupLabels,
    table: Path | None,
    taken: Set[str | None],
    refused: Set[str | None],
) -> Labelled:
    """Labels of a further group, from `records` or its `table`.

    `records` have a row for each of `ids`, or rows of any number with one of them in `OWNER`.
    """
    try:
        if table is not None:
            return labels_from_table(table, read_table(table), ids, group, refused)
        if group.label is None:
            of_rows = labels_from_columns(path, records, group, taken, refused)
            return united(of_rows, records[OWNER], ids) if OWNER in records else of_rows
        if group.label in taken:
            raise HaloError(
                f"dataset.labels.label: the column {group.label!r} of {path} is already used for "
                "something else; name the column with the labels of the group"
            )
        rows = records if OWNER in records else records.assign(**{OWNER: ids})
        return labels_from_names(path, rows, ids, replace(group, id=OWNER), refused)
    except HaloError as error:
        text = re.sub(r"\bdataset\.labels\b", f"dataset.groups.{name}", str(error))
        raise HaloError(text) from None


def _refuse_unlabelled_fasta(path: Path, records: pd.DataFrame) -> None:
    given = [name for name in records.columns if name not in ("id", "sequence", DESCRIPTION, LINE)]
    fields = f", or name the field of the headers ({', '.join(given)}) with the labels in "
    raise HaloError(
        f"{path}: a FASTA has no label columns; give a table of ids and labels in "
        f"dataset.labels.table{fields + 'dataset.labels.label' if given else ''}"
    )


def _with_whole_headers(records: pd.DataFrame, given: pd.Series) -> pd.DataFrame:
    """Use the whole FASTA header as the id if `given` has it, and not its first word."""
    if not records.attrs.get(FASTA):
        return records
    headers = (records["id"] + " " + records[DESCRIPTION]).str.strip()
    known = set(given)
    known_forms = {form for name in known for form in forms(name)}
    fits = [
        header in known and name not in known and not {name, *forms(name)} & known_forms
        for header, name in zip(headers, records["id"], strict=True)
    ]
    if any(fits):
        log.info("%s ids are whole headers, such as %s", f"{sum(fits):,}", headers[fits].iloc[0])
    return records.assign(id=headers.where(np.array(fits), records["id"]))


def _checked(
    table: pd.DataFrame, parts: Sequence[Labelled], settings: DatasetSettings, partitioned: bool
) -> tuple[Proteins, list[Rejected]]:
    """The usable records, sorted by id, and the rejected ones; `parts` are labels by group."""
    rejected: list[Rejected] = []
    labelled = together(parts)
    further, place = [], len(parts[0].names)
    for (name, group), part in zip((settings.groups or {}).items(), parts[1:], strict=True):
        further.append(LabelGroup(name, group.task, part.names, place))
        place += len(part.names)
    groups = all_groups(labelled.names, settings.task, further)
    keep = np.ones(len(table), dtype=bool)
    for check in (identity_faults(table), sequence_faults(table, settings), labelled.faults):
        for row, (reason, detail) in check.items():
            if keep[row]:
                keep[row] = False
                rejected.append(_reject(table, row, reason, detail))
    batch = _Batch(table.assign(**{MERGED: ""}), labelled.values, labelled.known).only(keep)
    batch = _only_single_labels(batch, groups, rejected)
    if settings.duplicates == "merge":
        batch = _merge_duplicates(batch, labelled.names, rejected, partitioned)
        # Merging may have given a sequence several labels.
        batch = _only_single_labels(batch, groups, rejected)
    if settings.sample is not None:
        batch = _sample(batch, settings.sample, rejected)
    batch = batch.only(np.argsort(batch.table["id"].to_numpy(dtype=object), kind="stable"))
    rejected.sort(key=lambda record: (record.line, record.id))
    table = batch.table.drop(columns=[LINE, MERGED])
    proteins = Proteins(
        table, labelled.names, batch.values, settings.task, batch.known, tuple(further)
    )
    return proteins, rejected


def with_test_set(
    proteins: Proteins, test: Proteins, rejected: list[Rejected]
) -> tuple[Proteins, list[Rejected]]:
    """Combine a training and a test set; ``split`` is set to train and test.

    A label that the test set does not have is unknown there. A training protein whose id is also
    in the test set is rejected, so that the test set stays complete.

    Raises
    ------
    HaloError
        if the test set has a label that the training set does not have, or all training proteins
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
    shape = (len(test), len(proteins.label_names))
    labels, known = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=bool)
    labels[:, columns], known[:, columns] = test.labels, test.known
    for group in proteins.groups:
        if group.task == "singlelabel":  # the one label excludes all others
            known[:, group.columns] |= known[:, group.columns].any(axis=1, keepdims=True)
    alone = ~proteins.table["id"].isin(test.table["id"]).to_numpy()
    detail = "the test set has a protein with this id, which is not used for training"
    rejected = rejected + [
        Rejected(name, 0, "in the test set", detail) for name in proteins.ids[~alone]
    ]
    if not alone.any():
        raise HaloError("dataset.test: all proteins of the training set are in the test set")
    tables = [proteins.table[alone].assign(split="train"), test.table.assign(split="test")]
    table = pd.concat(tables, ignore_index=True).fillna("")
    order = np.argsort(table["id"].to_numpy(dtype=object), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    labels = np.concatenate([proteins.labels[alone], labels])[order]
    known = np.concatenate([proteins.known[alone], known])[order]
    return replace(proteins, table=table, labels=labels, known=known), rejected


def rejected_table(rejected: Sequence[Rejected]) -> pd.DataFrame:
    """The content of ``rejected.csv``."""
    return pd.DataFrame([vars(record) for record in rejected], columns=list(vars_of(Rejected)))


def log_rejected(rejected: Sequence[Rejected]) -> None:
    """Log how many records are not used, by reason, the most frequent one first."""
    for reason, count in Counter(record.reason for record in rejected).most_common():
        log.warning("%s records are not used: %s", f"{count:,}", reason)


def vars_of(data_class: type) -> tuple[str, ...]:
    """Names of the fields of a data class."""
    return tuple(field.name for field in fields(data_class))


def core_table(records: pd.DataFrame, settings: DatasetSettings) -> pd.DataFrame:
    """Unchecked table with `CORE_COLUMNS`, the annotations and the line of each record."""
    sequence = records[settings.sequence].map(residues_of)
    ids = records[settings.id]
    given = records[settings.accession] if settings.accession else ids
    accession = [_accession(text) for text in given]
    if settings.accession:
        _warn_of_no_accessions(settings.accession, given, accession)
    table = pd.DataFrame(
        {
            "id": ids,
            "accession": accession,
            "sequence": sequence,
            "seq_hash": [sha256_of_text(text) for text in sequence],
            "length": sequence.str.len(),
            "split": _blank_if_missing(records[settings.split]) if settings.split else "",
        }
    )
    for name in settings.annotations:
        if name in CORE_COLUMNS:
            raise HaloError(
                f"dataset.annotations: HALO's table has a column {name!r} of its own; rename it"
            )
        table[name] = records[name]
    return table.assign(**{LINE: records[LINE]})


def _blank_if_missing(values: pd.Series) -> pd.Series:
    """Text, with "" for what programs write for a missing value."""
    return values.mask(values.str.strip().str.casefold().isin(MISSING_VALUES), "")


def _warn_of_no_accessions(column: str, given: pd.Series, parsed: Sequence[str]) -> None:
    wrong = [text for text, accession in zip(given, parsed, strict=True) if text and not accession]
    if wrong:
        log.warning(
            "%s values of the column %s are not UniProt accessions, such as %r",
            *(f"{len(wrong):,}", column, wrong[0]),
        )


def residues_of(text: str) -> str:
    """A sequence in upper case, without white space and final stop; "" if it is missing.

    Non-ASCII letters are kept unchanged, because the upper case of some of them is a residue.
    """
    if text.strip().casefold() in NO_SEQUENCE:
        return ""
    letters = "".join(text.split()).rstrip("*")
    return letters.upper() if letters.isascii() else letters


def _accession(text: str) -> str:
    parsed = accession_within(text)
    return str(parsed) if parsed else ""


def _reject(table: pd.DataFrame, row: int, reason: str, detail: str) -> Rejected:
    return Rejected(table["id"].iat[row], int(table[LINE].iat[row]), reason, detail)


def identity_faults(table: pd.DataFrame) -> Faults:
    """Rows of `core_table` with a missing, unreadable or duplicated id."""
    faults: Faults = {}
    first: dict[str, int] = {}
    for row, (name, line) in enumerate(zip(table["id"], table[LINE], strict=True)):
        if not name or name.casefold() in MISSING:
            faults[row] = ("no id", "give every record a unique id")
        elif not name.isprintable() or REPLACEMENT in name:
            faults[row] = ("unreadable id", f"{name!a} has a character that cannot be shown")
        elif name in first:
            detail = f"the id is already in line {first[name]}; write one row per protein"
            faults[row] = ("duplicated id", detail)
        else:
            first[name] = line
    return faults


def _review_faults(table: pd.DataFrame, records: pd.DataFrame, reviewed: bool) -> Faults:
    """Faults of UniProt's entries that ``uniprot.reviewed`` leaves out.

    An entry is used if its file does not say whether it is reviewed.
    """
    other, database = ("no", "TrEMBL") if reviewed else ("yes", "Swiss-Prot")
    lines = set(records.loc[records["reviewed"] == other, LINE])
    detail = (
        f"of {database}, but uniprot.reviewed is {str(reviewed).lower()}; null uses all entries"
    )
    fault = ("not reviewed" if reviewed else "reviewed", detail)
    return {row: fault for row, line in enumerate(table[LINE]) if line in lines}


def sequence_faults(
    table: pd.DataFrame, settings: DatasetSettings, limit: str = "dataset.{}"
) -> Faults:
    """Rows of `core_table` with a sequence that cannot be used.

    `limit` is the format by which messages name ``min_length`` and ``max_length``.
    """
    faults: Faults = {}
    lowest, highest = limit.format("min_length"), limit.format("max_length")
    for row, sequence in enumerate(table["sequence"]):
        if fault := letters_fault(sequence):
            faults[row] = fault
        elif len(sequence) < settings.min_length:
            faults[row] = ("too short", f"{len(sequence)} residues, below {lowest}")
        elif len(sequence) > settings.max_length:
            faults[row] = ("too long", f"{len(sequence)} residues, above {highest}")
    return faults


def letters_fault(sequence: str) -> tuple[str, str] | None:
    """Reason and details if a result of `residues_of` is no protein's sequence, or None."""
    if not sequence:
        return "empty sequence", "there is none; nan, None and the like count as empty"
    if illegal := sorted(set(sequence) - RESIDUES):
        place = next(i for i, letter in enumerate(sequence, 1) if letter in illegal)
        detail = f"{' '.join(map(_shown, illegal))}, first at residue {place}"
        meanings = dict.fromkeys(ILLEGAL.get(letter, "") for letter in illegal)
        detail += "".join(f": {meaning}" for meaning in meanings if meaning)
        return "illegal residue letters", detail
    if is_nucleotides(sequence):
        return "DNA or RNA", "not a protein; translate it"
    return None


def _shown(letter: str) -> str:
    return letter if letter.isascii() and letter.isprintable() else f"U+{ord(letter):04X}"


def _only_single_labels(
    batch: _Batch, groups: Sequence[LabelGroup], rejected: list[Rejected]
) -> _Batch:
    """The records with exactly one label of each single-label group in which they are annotated.

    All of their labels in the group become known.
    """
    for group in groups:
        if group.task == "singlelabel":
            batch = _with_one_label(batch, group, rejected)
    return batch


def _with_one_label(batch: _Batch, group: LabelGroup, rejected: list[Rejected]) -> _Batch:
    values = batch.values[:, group.columns]
    annotated = np.any(batch.known[:, group.columns], axis=1)
    counts = values.sum(axis=1)
    wrong = annotated & (counts != 1)
    place = "" if group.name == MAIN else f" of the group {group.name}"
    for row in np.flatnonzero(wrong).tolist():
        labels = ", ".join(group.labels[i] for i in np.flatnonzero(values[row])) or "none"
        detail = f"{counts[row]} labels{place} ({labels}); a single-label task needs exactly one"
        if counts[row] > 1 and batch.table[MERGED].iat[row]:
            detail += f"; {batch.table[MERGED].iat[row]} has the same sequence"
        rejected.append(_reject(batch.table, row, "not one label", detail))
    batch = batch.only(~wrong)
    known = batch.known.copy()
    known[:, group.columns] = annotated[~wrong][:, None]
    return _Batch(batch.table, batch.values, known)


def _sample(batch: _Batch, size: int, rejected: list[Rejected]) -> _Batch:
    """The `size` records whose ids have the lowest digests.

    The sample does not depend on the order of the rows, and an added protein replaces at most one.
    """
    digests = np.array([sha256_of_text(name) for name in batch.table["id"]])
    keep = np.zeros(len(batch.table), dtype=bool)
    keep[np.argsort(digests)[:size]] = True
    detail = f"dataset.sample is {size}"
    for row in np.flatnonzero(~keep).tolist():
        rejected.append(_reject(batch.table, row, "not in the sample", detail))
    return batch.only(keep)


def _merge_duplicates(
    batch: _Batch, names: tuple[str, ...], rejected: list[Rejected], partitioned: bool
) -> _Batch:
    """Merge records with the same sequence into the first id in sorted order.

    The merged record has the union of the labels. A missing accession, partition or annotation is
    taken from the other records, in the order of their ids. With `partitioned`, records in
    different author partitions are not merged; the audit of the split reports them.
    """
    table, values, known = batch.table.copy(), batch.values.copy(), batch.known.copy()
    keep = np.ones(len(table), dtype=bool)
    taken = ["accession", "split", *[n for n in table if n not in (*CORE_COLUMNS, LINE, MERGED)]]
    apart: list[str] = []
    for rows in table.groupby("seq_hash", sort=False).indices.values():
        if len(rows) == 1:
            continue
        rows = np.array(sorted(rows, key=lambda row: table["id"].iat[row]))
        if partitioned and len(set(table["split"].iloc[rows]) - {""}) > 1:
            apart.append(table["id"].iat[rows[0]])
            continue
        first, others = rows[0], rows[1:]
        positive = batch.values[rows].astype(bool)
        differing = np.flatnonzero(
            positive.any(axis=0) & (batch.known[rows] & ~positive).any(axis=0)
        )
        values[first], known[first] = positive.any(axis=0), batch.known[rows].any(axis=0)
        for name in taken:
            column = table.columns.get_loc(name)
            table.iloc[first, column] = next(filter(None, table[name].iloc[rows]), "")
        table.iloc[first, table.columns.get_loc(MERGED)] = ", ".join(table["id"].iloc[others])
        keep[others] = False
        for row in others:
            detail = f"merged into {table['id'].iat[first]}"
            if len(differing):
                detail += "; the labels differed in " + ", ".join(names[i] for i in differing)
            rejected.append(_reject(table, row, "duplicated sequence", detail))
    if apart:
        log.warning(
            "%s sequences are in several partitions of dataset.split and are not merged, such as "
            "that of %s",
            *(f"{len(apart):,}", apart[0]),
        )
    return _Batch(table, values, known).only(keep)
