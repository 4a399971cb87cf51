"""Look at a user's table of proteins: which column is what."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from halo.errors import HaloError
from halo.proteins.accessions import accession_within, is_entry_name
from halo.proteins.ingest import RESIDUES
from halo.proteins.labels import FALSE, TRUE
from halo.tables.readers import DESCRIPTION, FASTA, LINE, read_records, read_table

# Usual names of columns, compared without case, blanks and signs; the first ones are preferred.
ID_NAMES = (
    "id",
    "proteinid",
    "entry",
    "accession",
    "acc",
    "uniprot",
    "uniprotid",
    "protein",
    "name",
)
SEQUENCE_NAMES = ("sequence", "seq", "aasequence", "proteinsequence", "fasta")
PARTITION_NAMES = ("split", "partition", "fold", "set", "subset", "part")
LABEL_NAMES = (
    "label", "labels", "location", "locations", "localization", "localizations", "localisation",
    "compartment", "compartments", "class", "target",
)  # fmt: skip
LABEL_PARTS = ("localiz", "localis", "location", "compartment")  # of other names
UNIPROT_LOCATIONS = "Subcellular location [CC]"  # a column of UniProt's tables
YES = (*TRUE, "yes", "y", "x", "+", "present", "positive")
NO = (*FALSE, "no", "n", "-", "absent", "negative")
SEPARATORS = (";", "|", ",")  # of several names of labels in a cell
MOSTLY = 0.5  # share of the values that decides what a column holds
SHORTEST = 10  # letters; shorter values are rather names than sequences


@dataclass(frozen=True)
class Labels:
    """Where the labels are.

    Attributes
    ----------
    columns : columns of 0 and 1, or of `positive` and `negative`
    label : column with names of labels, or None
    separator : separator of several names in a cell of `label`, or None
    table : second table that has the columns, or None
    id : column of the ids in that table
    positive, negative : values of `columns` other than 1 and 0; a blank in `negative` is the blank
    """

    columns: tuple[str, ...] = ()
    label: str | None = None
    separator: str | None = None
    table: Path | None = None
    id: str | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What a table of proteins holds.

    Attributes
    ----------
    path : the table
    records : number of its records
    id, sequence : columns of ids and sequences
    accession : column of UniProt accessions other than `id`, or None
    labels : where the labels are; None for UniProt's own locations
    partition : column that looks like the authors' partitions, or None
    others : columns that are none of these
    with_accession, with_entry_name : numbers of records with a UniProt accession, and of others
        with an entry name
    """

    path: Path
    records: int
    id: str
    sequence: str
    accession: str | None
    labels: Labels | None
    partition: str | None
    others: tuple[str, ...]
    with_accession: int
    with_entry_name: int


def survey(
    path: Path,
    labels: Path | None = None,
    id_column: str | None = None,
    sequence: str | None = None,
    label: str | None = None,
) -> Survey:
    """Look at a table.

    Parameters
    ----------
    path : table or FASTA of the proteins
    labels : table of the labels, or None if they are in `path`
    id_column, sequence, label : columns that the user names; None to find them

    Raises
    ------
    HaloError
        if a column cannot be found or distinguished from others; names the option that names it
    """
    table = read_records(path)
    if table.empty:
        raise HaloError(f"{path}: contains no record")
    columns = [name for name in table.columns if name not in (LINE, DESCRIPTION)]
    fasta = bool(table.attrs.get(FASTA))
    id_column = _given(path, columns, id_column, "--id") or _id(path, table, columns)
    sequence = _given(path, columns, sequence, "--sequence") or _sequence(path, table, columns)
    left = [name for name in columns if name not in (id_column, sequence)]
    accession = None if _accessions(table[id_column]) else _accession(table, left)
    partition = next((name for name in left if _plain(name) in PARTITION_NAMES), None)
    left = [name for name in left if name not in (accession, partition)]
    if labels is not None:
        where = _second_table(labels, label)
    elif label is None and UNIPROT_LOCATIONS in columns:
        where = None
    else:
        where = _labels(path, table, left, label, fasta)
    used = {where.label, *where.columns} if where and labels is None else set()
    ids = table[accession or id_column]
    with_accession = _accessions(ids)
    entry_names = [is_entry_name(text) for text in ids if not _is_accession(text)]
    return Survey(
        path=path,
        records=len(table),
        id=id_column,
        sequence=sequence,
        accession=accession,
        labels=where,
        partition=partition,
        others=tuple(name for name in left if name not in used),
        with_accession=with_accession,
        with_entry_name=sum(entry_names),
    )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _given(path: Path, columns: list[str], name: str | None, option: str) -> str | None:
    """The name that the user gives, if the table has it."""
    if name is not None and name not in columns:
        raise HaloError(f"{path}: {option}: there is no column {name!r}; it has {_listed(columns)}")
    return name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _named(columns: Iterable[str], usual: tuple[str, ...]) -> str | None:
    """The column with the first of the usual names, or None."""
    by_name = {_plain(name): name for name in reversed(list(columns))}
    return next((by_name[name] for name in usual if name in by_name), None)


def _named_alike(columns: Iterable[str]) -> str | None:
    """The only column whose name contains a word for labels, or None."""
    alike = [name for name in columns if any(part in _plain(name) for part in LABEL_PARTS)]
    return alike[0] if len(alike) == 1 else None


def _id(path: Path, table: pd.DataFrame, columns: list[str]) -> str:
    unique = [name for name in columns if table[name].nunique() > MOSTLY * len(table)]
    column = _named(unique, ID_NAMES) or _named(columns, ID_NAMES)
    if column is None:
        raise HaloError(
            f"{path}: no column has a usual name of ids ({_listed(ID_NAMES)}); name it: "
            f"--id COLUMN, one of {_listed(columns)}"
        )
    return column


def _sequence(path: Path, table: pd.DataFrame, columns: list[str]) -> str:
    candidates = [name for name in columns if _share(table[name], _is_sequence) > MOSTLY]
    if len(candidates) == 1:
        return candidates[0]
    named = _named(candidates, SEQUENCE_NAMES)
    if named is None:
        if candidates:
            raise HaloError(
                f"{path}: several columns hold sequences: {_listed(candidates)}; name the column: "
                "--sequence COLUMN"
            )
        raise HaloError(
            f"{path}: no sequences; name the column: --sequence COLUMN. If the table has none, get "
            "a FASTA of its proteins (for accessions, from UniProt's ID mapping) and call: "
            f"--proteins FASTA --labels {path}"
        )
    return named


def _is_sequence(text: str) -> bool:
    letters = "".join(text.split()).rstrip("*").upper()
    return len(letters) >= SHORTEST and RESIDUES.issuperset(letters)


def _is_accession(text: str) -> bool:
    return accession_within(text) is not None


def _share(column: pd.Series, holds: Callable[[str], bool]) -> float:
    """Share of the filled values of a column that fulfil a condition."""
    filled = [text for text in column if text]
    return sum(map(holds, filled)) / len(filled) if filled else 0.0


def _accessions(column: pd.Series) -> int:
    return sum(map(_is_accession, column))


def _accession(table: pd.DataFrame, columns: list[str]) -> str | None:
    """The column with the most accessions, if they are most of its values."""
    shares = {name: _share(table[name], _is_accession) for name in columns}
    candidates = [name for name, share in shares.items() if share > MOSTLY]
    return max(candidates, key=lambda name: _accessions(table[name]), default=None)


def _is_binary(column: pd.Series) -> bool:
    values = {text.lower() for text in column} - {""}
    return bool(values) and values <= {*YES, *NO}


def _values(columns: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Positive and negative values of columns of two values; empty where they are 1 and 0.

    Where no column has a negative value, a blank is one.
    """
    values = {text.lower() for name in columns for text in columns[name]}
    positive = tuple(value for value in YES if value in values)
    negative = tuple(value for value in NO if value in values) or ("",)
    return (
        () if set(positive) <= set(TRUE) else positive,
        () if set(negative) <= set(FALSE) else negative,
    )


def _labels(
    path: Path, table: pd.DataFrame, columns: list[str], label: str | None, fasta: bool
) -> Labels:
    """Labels in columns of 0 and 1, otherwise names in a column."""
    if _given(path, columns, label, "--label") is None:
        binary = tuple(name for name in columns if _is_binary(table[name]))
        if binary:
            positive, negative = _values(table[list(binary)])
            return Labels(columns=binary, positive=positive, negative=negative)
        label = _named(columns, LABEL_NAMES) or _named_alike(columns)
    if label is None:
        where = (
            "the headers have no field" if fasta else "there are no columns of 0 and 1, and none"
        )
        rest = f"; it has {_listed(columns)}" if columns else ""
        raise HaloError(
            f"{path}: no labels found: {where} with a usual name of labels "
            f"({_listed(LABEL_NAMES)}){rest}. Name the column with the names of labels: --label "
            "COLUMN, or a second table with the labels: --labels FILE"
        )
    return Labels(label=label, separator=_separator(table[label]))


def _separator(column: pd.Series) -> str | None:
    """The separator that makes the fewest different names of the values; None without one.

    No label contains ``;``.
    """
    if column.str.contains(SEPARATORS[0], regex=False).any():
        return SEPARATORS[0]
    best, fewest = None, column.nunique()
    for separator in SEPARATORS[1:]:
        names = {part.strip() for text in column for part in text.split(separator)}
        if any(separator in text for text in column) and len(names) < fewest:
            best, fewest = separator, len(names)
    return best


def _second_table(path: Path, label: str | None) -> Labels:
    table = read_table(path)
    columns = [name for name in table.columns if name != LINE]
    id_column = _named(columns, ID_NAMES)
    if id_column is None:
        raise HaloError(
            f"{path}: no column has a usual name of ids ({_listed(ID_NAMES)}); rename that of the "
            f"ids; the table has {_listed(columns)}"
        )
    labels = _labels(path, table, [name for name in columns if name != id_column], label, False)
    return replace(labels, table=path, id=id_column)
