"""Labels of proteins: columns of values, or the names of labels in a column."""

import difflib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.proteins.identifiers import matched
from halo.proteins.settings import Labels, fault_of_label
from halo.tables.readers import LINE, require_columns

log = logging.getLogger(__name__)

TRUE, FALSE = ("1", "1.0", "1,0", "true"), ("0", "0.0", "0,0", "false")
WRONG_COLUMN_SHARE = 0.5  # above it, it is not the rows that are wrong but the column
FEW = 10  # positives below which a label can hardly be learned or tested
NAMED = 10  # labels that a warning names
# What programs write where a value is missing.
MISSING = frozenset({"nan", "none", "null", "#n/a", "<na>"})
ALIKE = 0.85  # of two names, by `difflib`: above it one of them may be misspelt
POSITIVE, NEGATIVE, UNKNOWN = "positive", "negative", "unknown"

Faults = dict[int, tuple[str, str]]  # row to reason and detail


@dataclass(frozen=True)
class Labelled:
    """Labels of records.

    Attributes
    ----------
    names
        Of the labels.
    values
        uint8 [n_records, n_labels], 1 where the record has the label.
    known
        bool [n_records, n_labels], False where it is not known; the value is 0 there.
    faults
        Rows that cannot be used, with reason and detail.
    """

    names: tuple[str, ...]
    values: np.ndarray
    known: np.ndarray
    faults: Faults


def labels_from_columns(
    path: Path,
    records: pd.DataFrame,
    where: Labels,
    taken: Set[str | None],
    refused: Set[str | None] = frozenset(),
) -> Labelled:
    """Labels from columns of values: those named, or all that are not `taken` by something else.

    A value is positive (1, or one of ``labels.positive``), negative (0, or one of
    ``labels.negative``) or unknown (blank, or one of ``labels.unknown``); a row with another one
    is a fault. HaloError where a column is missing, has a name that cannot be a label's (one that
    is taken or `refused`), or is no column of labels at all.
    """
    names = where.columns
    if names is None:
        names = [name for name in records.columns if name not in {*taken, LINE}]
    if not names:
        raise HaloError(
            f"{path}: no label column is left; name the columns of 0 and 1 in "
            "dataset.labels.columns, the one with the names of labels in dataset.labels.label, or "
            "another table in dataset.labels.table"
        )
    wanted = {f"dataset.labels.columns[{i}]": name for i, name in enumerate(names)}
    require_columns(path, records, wanted)
    check_names(path, names, taken | refused)
    values = np.zeros((len(records), len(names)), dtype=np.uint8)
    known = np.zeros(values.shape, dtype=bool)
    faults: Faults = {}
    for column, name in enumerate(names):
        kinds = records[name].map({text: _kind(text, where) for text in records[name].unique()})
        wrong = np.flatnonzero(kinds.isna())
        if len(wrong) > WRONG_COLUMN_SHARE * (kinds != UNKNOWN).sum():
            line, value = records[LINE].iat[wrong[0]], records[name].iat[wrong[0]]
            raise HaloError(
                f"{path}: column {name!r} is not a column of 0 and 1 (line {line} has {value!r}); "
                "write 1 where a protein has the label, 0 where not, nothing where it is unknown. "
                f"If these are names of labels, set dataset.labels.label: {name}; if it is no "
                "label, give it to dataset.annotations or name the labels in "
                "dataset.labels.columns; other values can be given a meaning in "
                "dataset.labels.positive, negative and unknown"
            )
        for row in wrong:
            value = records[name].iat[row]
            detail = f"{name} is {value!r} in {Path(path).name}, line {records[LINE].iat[row]}"
            faults.setdefault(int(row), ("label not 0 or 1", detail))
        values[:, column] = kinds == POSITIVE
        known[:, column] = kinds.isin([POSITIVE, NEGATIVE])
    return Labelled(tuple(names), values, known, _without_known(known, faults))


def _kind(text: str, where: Labels) -> str | None:
    """What a value in a label's column says, None where it says nothing."""
    if where.negative is not None and _fits(text, where.negative):
        return NEGATIVE
    if text == "" or _fits(text, where.unknown):
        return UNKNOWN
    if _fits(text, TRUE if where.positive is None else where.positive):
        return POSITIVE
    return NEGATIVE if where.negative is None and _fits(text, FALSE) else None


def _fits(text: str, patterns: Iterable[str]) -> bool:
    """Whether `text` is one of `patterns`, in which ``*`` stands for any text, in any case."""
    return any(
        re.fullmatch(re.escape(str(pattern)).replace(r"\*", ".*"), text, re.IGNORECASE | re.DOTALL)
        for pattern in patterns
    )


def _without_known(known: np.ndarray, faults: Faults) -> Faults:
    detail = "none of its labels is known"
    return {int(row): ("no label", detail) for row in np.flatnonzero(~known.any(axis=1))} | faults


def labels_from_table(
    path: Path,
    given: pd.DataFrame,
    ids: Sequence[str],
    where: Labels,
    refused: Set[str | None] = frozenset(),
) -> Labelled:
    """Labels of `ids` from the rows of a table with an id each.

    With ``labels.label`` a row has names of labels (`labels_from_names`), else the columns have
    values (`labels_from_columns`). A record that the table does not have has unknown labels, which
    is not the same as none: it is a fault. `refused` are names that no column of values may have.
    HaloError where the ids have nothing in common.
    """
    if given.empty:
        raise HaloError(f"{path}: holds a header and no row; give the labels")
    keys = {"dataset.labels.id": where.id, "dataset.labels.label": where.label}
    require_columns(path, given, keys | {"dataset.labels.evidence": where.evidence})
    found = matched(ids, given[where.id], str(path))
    if not found:
        raise HaloError(
            f"{path}: none of its ids is that of a protein: it has {given[where.id].iat[0]!r}, the "
            f"proteins have {ids[0]!r}; change dataset.labels.id, or the ids"
        )
    strangers = given[where.id][~given[where.id].isin(found)]
    if len(strangers):
        log.warning(
            "%s: %s ids have labels but no sequence, the first is %r",
            *(path, f"{strangers.nunique():,}", strangers.iloc[0]),
        )
    owner = given[where.id].map(found)
    given, owner = given[owner.notna()], owner[owner.notna()]
    if where.label is not None:
        return labels_from_names(path, given.assign(**{where.id: owner}), ids, where)
    repeated = np.flatnonzero(owner.duplicated())
    if len(repeated):
        line, name = given[LINE].iat[repeated[0]], given[where.id].iat[repeated[0]]
        raise HaloError(
            f"{path}: line {line}: id {name!r} has a second row of labels; put them in one row, or "
            "name the column with one label a row in dataset.labels.label"
        )
    of_rows = labels_from_columns(path, given, where, {where.id}, refused)
    rows = pd.Index(owner).get_indexer(pd.Index(ids))
    there = (rows >= 0)[:, None]
    faults = _missing(path, ids, set(owner))
    faults |= {row: of_rows.faults[at] for row, at in enumerate(rows) if at in of_rows.faults}
    return Labelled(
        of_rows.names,
        np.where(there, of_rows.values[rows], 0).astype(np.uint8),
        there & of_rows.known[rows],
        faults,
    )


def labels_from_names(
    path: Path, rows: pd.DataFrame, ids: Sequence[str], where: Labels
) -> Labelled:
    """Labels of `ids` from rows with an id and the names of one or, by a separator, several labels.

    Rows of the table's column ``labels.id`` have to be among `ids`; an id can have several.
    A name of ``labels.unknown`` or a blank says nothing, one of ``labels.negative`` that there is
    none. With ``labels.evidence`` a row counts by its tier: ``labels.positive`` or
    ``labels.unknown``; rows of ``labels.negative`` are left out. What is given by none of the
    rows is negative.
    """
    names_of = {text: _split(text, where) for text in rows[where.label].unique()}
    tiers = _tiers(path, rows, where)
    pairs: list[tuple[str, str, str, int]] = []  # id, label, tier, line
    labelled: set[str] = set()
    by_name = where.evidence is None  # then labels.negative and labels.unknown are names
    columns = (rows[where.id], rows[where.label], tiers, rows[LINE])
    for name, text, tier, line in zip(*columns, strict=True):
        for label in names_of[text] if tier != NEGATIVE else ():
            negative = by_name and where.negative and _fits(label, where.negative)
            missing = label.casefold() in MISSING or (by_name and _fits(label, where.unknown))
            if missing and not negative:
                continue
            labelled.add(name)
            if not negative:
                pairs.append((name, label, tier, line))
    names = _label_names(path, pairs, where)
    column_of = {name: column for column, name in enumerate(names)}
    row_of: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        row_of.setdefault(name, []).append(row)
    values = np.zeros((len(ids), len(names)), dtype=np.uint8)
    known = np.ones(values.shape, dtype=bool)
    unlisted = {name for name, label, _, _ in pairs if label not in column_of}
    if where.others == UNKNOWN:
        known[[row for name in unlisted for row in row_of[name]]] = False
    for tier in (UNKNOWN, POSITIVE):  # a positive row outweighs one that leaves it open
        for name, label, of, _ in pairs:
            if of == tier and label in column_of:
                known[row_of[name], column_of[label]] = tier == POSITIVE
                values[row_of[name], column_of[label]] = tier == POSITIVE
    known |= values.astype(bool)
    missing = _missing(path, ids, labelled)
    known[list(missing)] = False
    return Labelled(names, values, known, _without_known(known, missing) | missing)


def _split(text: str, where: Labels) -> list[str]:
    parts = [text] if not where.separator else text.split(where.separator)
    return [part.strip() for part in parts if part.strip()]


def _tiers(path: Path, rows: pd.DataFrame, where: Labels) -> list[str]:
    """What each row counts as, by its evidence; HaloError for evidence that has no tier."""
    if where.evidence is None:
        return [POSITIVE] * len(rows)
    tiers = {}
    for text in rows[where.evidence].unique():
        kinds = (where.positive or (), where.unknown, where.negative or ())
        found = [
            k for k, p in zip((POSITIVE, UNKNOWN, NEGATIVE), kinds, strict=True) if _fits(text, p)
        ]
        if not found:
            line = rows[LINE][rows[where.evidence] == text].iat[0]
            raise HaloError(
                f"{path}: line {line}: the evidence {text!r} is in none of "
                "dataset.labels.positive, unknown and negative; say there what it counts as "
                "('*' stands for all others)"
            )
        tiers[text] = found[0]
    return rows[where.evidence].map(tiers).tolist()


def _label_names(
    path: Path, pairs: Sequence[tuple[str, str, str, int]], where: Labels
) -> tuple[str, ...]:
    """The labels of the configuration, or all that occur; HaloError where they do not fit."""
    first = {label: line for _, label, _, line in reversed(pairs)}
    names = tuple(where.columns or sorted(first))
    if not names:
        raise HaloError(f"{path}: no row names a label in the column {where.label!r}")
    if where.columns is None:
        if set(names) <= {"0", "1", "0.0", "1.0"}:
            raise HaloError(
                f"{path}: the column {where.label!r} has 0 and 1, and no names of labels; leave "
                "out dataset.labels.label for 0/1 columns (dataset.labels.columns names them), or, "
                "if these are names, set dataset.labels.columns: ['0', '1']"
            )
        check_names(path, names, frozenset(), first)
        _refuse_equals(path, names, first)
        return names
    check_names(path, names, frozenset())
    absent = [name for name in names if name not in first]
    if absent:
        raise HaloError(
            f"{path}: no row has the label {absent[0]!r} of dataset.labels.columns"
            f"{_suggestion(absent[0], first)}; correct it, or take it out"
        )
    others = Counter(label for _, label, _, _ in pairs if label not in names)
    if others and where.others == "error":
        label, count = others.most_common()[-1]
        raise HaloError(
            f"{path}: line {first[label]}: the label {label!r} ({count} times) is not in "
            f"dataset.labels.columns{_suggestion(label, names)}; correct it, add it there, or say "
            "in dataset.labels.others whether the proteins of such labels are negative or unknown"
        )
    if others:
        log.warning("%s: labels not in dataset.labels.columns: %s", path, _listed(others))
    return names


def _refuse_equals(path: Path, names: Sequence[str], lines: Mapping[str, int]) -> None:
    """HaloError where two of `names` differ in case, blanks or signs alone: one is misspelt."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[\W_]+", "", name.casefold())
        other = found.setdefault(plain or name, name)
        if other != name:
            rare, _ = sorted((name, other), key=lines.__getitem__, reverse=True)
            raise HaloError(
                f"{path}: line {lines[rare]}: the labels {other!r} and {name!r} differ in case, "
                "blanks or signs alone; correct one, or list both in dataset.labels.columns"
            )


def check_names(
    path: Path,
    names: Sequence[str],
    taken: Set[str | None],
    lines: Mapping[str, int] | None = None,
) -> None:
    """HaloError where a name cannot be a label's.

    `taken` are columns of the table with another meaning, `lines` where a name stands.
    """
    at = lines or {}
    for name in names:
        place = f"{path}: line {at[name]}" if name in at else f"{path}"
        if name in taken:
            raise HaloError(
                f"{place}: the label {name!r} has the name of another column that is in use; "
                "rename one of them"
            )
        if fault := fault_of_label(name):
            raise HaloError(f"{place}: {fault}")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise HaloError(f"dataset.labels.columns: {repeated[0]!r} stands there twice; remove one")


def warn_of_rare(names: Sequence[str], values: np.ndarray, known: np.ndarray) -> None:
    """Log the labels with no or few positives, and those that are partly unknown."""
    counts = dict(zip(names, values.sum(axis=0, dtype=int).tolist(), strict=True))
    none = [name for name, count in counts.items() if not count]
    few = {name: count for name, count in counts.items() if 0 < count < FEW}
    unknown = dict(zip(names, (~known).sum(axis=0).tolist(), strict=True))
    if none:
        log.warning("no protein has the label %s", _listed(none))
    for rare in few:
        common = [name for name, count in counts.items() if count >= FEW and name.isascii()]
        alike = difflib.get_close_matches(rare, common, n=1, cutoff=ALIKE)
        if alike and not any(letter.isdigit() for letter in rare):
            log.warning("the label %s may be a misspelling of %s", rare, alike[0])
    if few:
        log.warning("fewer than %s proteins have the label %s", FEW, _listed(few))
    if any(unknown.values()):
        log.info(
            "proteins whose label is not known: %s",
            _listed({k: v for k, v in unknown.items() if v}),
        )


def _listed(names: Iterable[str] | Mapping[str, int]) -> str:
    counts = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)
    some = [name if n is None else f"{name} ({n:,})" for name, n in list(counts.items())[:NAMED]]
    return ", ".join(some) + (f" and {len(counts) - NAMED} more" if len(counts) > NAMED else "")


def _suggestion(name: str, known: Iterable[str]) -> str:
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def _missing(path: Path, ids: Sequence[str], labelled: Set[str]) -> Faults:
    detail = f"no label for it in {Path(path).name}"
    return {row: ("no label", detail) for row, name in enumerate(ids) if name not in labelled}
