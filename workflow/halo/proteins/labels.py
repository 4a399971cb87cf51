"""Read labels of proteins: from columns of values, or from a column of label names."""

import difflib
import logging
import math
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
WRONG_COLUMN_SHARE = 0.5  # share of wrong values above which the whole column is wrong
FEW = 10  # fewer positives are too few to train and test a label
NAMED = 10  # labels that a warning lists
# Values that programs write if a value is missing.
MISSING = frozenset({"nan", "none", "null", "#n/a", "<na>"})
MISSING_VALUES = MISSING | {"na", "n/a"}  # an id can be NA
SEPARATORS = ",|"  # that cells with several names have; others are refused in any name
ALIKE = 0.85  # similarity of two names (`difflib`) above which one may be misspelt
NO_LABEL = "no label"  # reason of a fault: no label of the record is known
POSITIVE, NEGATIVE, UNKNOWN = "positive", "negative", "unknown"
EXACT, NO_FIT = math.inf, -1  # of a pattern without * that matches, and of one that does not

Faults = dict[int, tuple[str, str]]  # row to reason and detail


@dataclass(frozen=True)
class Labelled:
    """Labels of records.

    Attributes
    ----------
    names
        Names of the labels.
    values
        uint8 [n_records, n_labels], 1 if the record has the label.
    known
        bool [n_records, n_labels], False for unknown labels, whose value is 0.
    faults
        Rows that cannot be used, with reason and detail.
    """

    names: tuple[str, ...]
    values: np.ndarray
    known: np.ndarray
    faults: Faults


def together(parts: Sequence[Labelled]) -> Labelled:
    """Labels of several groups of the same records.

    A record without a known label of a group is unknown there; it is a fault only if no label of
    any group is known. HaloError if two groups have a label of the same name.
    """
    names = tuple(name for part in parts for name in part.names)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise HaloError(
            f"two groups of labels have the label {repeated[0]!r}; rename it in one of them"
        )
    known = np.concatenate([part.known for part in parts], axis=1)
    faults = {
        row: fault
        for part in reversed(parts)
        for row, fault in part.faults.items()
        if fault[0] != NO_LABEL or not known[row].any()
    }
    return Labelled(names, np.concatenate([part.values for part in parts], axis=1), known, faults)


def labels_from_columns(
    path: Path,
    records: pd.DataFrame,
    where: Labels,
    taken: Set[str | None],
    refused: Set[str | None] = frozenset(),
) -> Labelled:
    """Read labels from columns of values.

    A value is positive (1, or one of ``labels.positive``), negative (0, or one of
    ``labels.negative``) or unknown (blank, or one of ``labels.unknown``); a row with another
    value is a fault.

    Parameters
    ----------
    path : file of the records, for messages
    records : table with the columns
    where : settings; its `columns` are read, or all columns that are not `taken`
    taken : columns with another meaning, which cannot be labels
    refused : further names that a label cannot have

    Raises
    ------
    HaloError
        if a column is missing, has a name that a label cannot have, or does not hold labels
    """
    names: Sequence[str] = where.columns or ()
    if where.columns is None:
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
        states = records[name].map({text: _state(text, where) for text in records[name].unique()})
        wrong = np.flatnonzero(states.isna())
        if len(wrong) > WRONG_COLUMN_SHARE * (states != UNKNOWN).sum():
            line, value = records[LINE].iat[wrong[0]], records[name].iat[wrong[0]]
            raise HaloError(
                f"{path}: column {name!r} is not a column of 0 and 1 (line {line} has {value!r}); "
                "write 1 if a protein has the label, 0 if not, nothing if it is unknown. "
                f"If these are names of labels, set dataset.labels.label: {name}; if it is no "
                "label, add it to dataset.annotations or list the labels in "
                "dataset.labels.columns; dataset.labels.positive, negative and unknown define "
                "other values"
            )
        for row in wrong:
            value = records[name].iat[row]
            detail = f"{name} is {value!r} in {Path(path).name}, line {records[LINE].iat[row]}"
            faults.setdefault(int(row), ("label not 0 or 1", detail))
        values[:, column] = states == POSITIVE
        known[:, column] = states.isin([POSITIVE, NEGATIVE])
    return Labelled(tuple(names), values, known, _without_known(known, faults))


def _state(text: str, where: Labels) -> str | None:
    """Whether a value is positive, negative or unknown; None if it is neither.

    The usual values are those of the lists that are not given, and a blank is unknown.
    """
    given = {NEGATIVE: where.negative or (), UNKNOWN: where.unknown, POSITIVE: where.positive or ()}
    listed = _tier(text, given)
    if listed is not None and _fit(text, given[listed]) == EXACT:
        return listed
    usual = {
        UNKNOWN: ("",),
        POSITIVE: TRUE if where.positive is None else (),
        NEGATIVE: FALSE if where.negative is None else (),
    }
    return _tier(text, usual) or listed


def _tier(text: str, tiers: Mapping[str, Iterable[str]]) -> str | None:
    """The tier with the pattern that fits `text` best, the first of equal ones; None without one.

    A pattern without ``*`` fits best, then the one with the most other letters.
    """
    fits = {tier: _fit(text, patterns) for tier, patterns in tiers.items()}
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] > NO_FIT else None


def _fits(text: str, patterns: Iterable[str]) -> bool:
    """Whether `text` matches one of `patterns`; see `_fit`."""
    return _fit(text, patterns) > NO_FIT


def _fit(text: str, patterns: Iterable[str]) -> float:
    """How well the best of `patterns` fits: `EXACT`, or its letters beside ``*``, or `NO_FIT`.

    ``*`` matches any text, and case is ignored.
    """
    return max(
        (
            len(pattern.replace("*", "")) if "*" in pattern else EXACT
            for pattern in map(str, patterns)
            if re.fullmatch(
                re.escape(pattern).replace(r"\*", ".*"), text, re.IGNORECASE | re.DOTALL
            )
        ),
        default=NO_FIT,
    )


def _without_known(known: np.ndarray, faults: Faults) -> Faults:
    detail = "none of its labels is known"
    return {int(row): (NO_LABEL, detail) for row in np.flatnonzero(~known.any(axis=1))} | faults


def labels_from_table(
    path: Path,
    given: pd.DataFrame,
    ids: Sequence[str],
    where: Labels,
    refused: Set[str | None] = frozenset(),
) -> Labelled:
    """Read labels of `ids` from a separate table, whose rows have an id each.

    With ``labels.label``, rows have names of labels (`labels_from_names`), else columns have
    values (`labels_from_columns`). A record without a row has unknown labels, which is a fault.

    Parameters
    ----------
    path : file of the table, for messages
    given : content of the table
    ids : ids of the records
    where : settings
    refused : further names that a label cannot have

    Raises
    ------
    HaloError
        if the table is empty, has none of the ids, or has an id twice
    """
    if given.empty:
        raise HaloError(f"{path}: has a header and no row; add the labels")
    keys = {"dataset.labels.id": where.id, "dataset.labels.label": where.label}
    require_columns(path, given, keys | {"dataset.labels.evidence": where.evidence})
    id_of = matched(ids, given[where.id], str(path))
    if not id_of:
        raise HaloError(
            f"{path}: none of its ids is that of a protein: it has {given[where.id].iat[0]!r}, the "
            f"proteins have {ids[0]!r}; change dataset.labels.id, or the ids"
        )
    unmatched = given[where.id][~given[where.id].isin(id_of)]
    if len(unmatched):
        log.warning(
            "%s: %s ids have labels but no sequence, the first is %r",
            *(path, f"{unmatched.nunique():,}", unmatched.iloc[0]),
        )
    owner = given[where.id].map(id_of)
    given, owner = given[owner.notna()], owner[owner.notna()]
    if where.label is not None:
        return labels_from_names(path, given.assign(**{where.id: owner}), ids, where, refused)
    repeated = np.flatnonzero(owner.duplicated())
    if len(repeated):
        line, name = given[LINE].iat[repeated[0]], given[where.id].iat[repeated[0]]
        raise HaloError(
            f"{path}: line {line}: id {name!r} has a second row of labels; put them in one row, or "
            "name the column with one label per row in dataset.labels.label"
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


def united(labelled: Labelled, owners: Iterable[str], ids: Sequence[str]) -> Labelled:
    """The union of the labels of several rows of a protein, in the order of `ids`.

    `owners` has the id of each row of `labelled`.
    """
    row_of: dict[str, int] = {}
    for row, name in enumerate(ids):
        row_of.setdefault(name, row)
    rows = np.array([row_of[name] for name in owners])
    values = np.zeros((len(ids), len(labelled.names)), dtype=np.uint8)
    known = np.zeros(values.shape, dtype=bool)
    np.maximum.at(values, rows, labelled.values)
    np.logical_or.at(known, rows, labelled.known)
    faults = {
        int(rows[row]): fault for row, fault in labelled.faults.items() if fault[0] != NO_LABEL
    }
    return Labelled(labelled.names, values, known, _without_known(known, faults))


def labels_from_names(
    path: Path,
    rows: pd.DataFrame,
    ids: Sequence[str],
    where: Labels,
    refused: Set[str | None] = frozenset(),
) -> Labelled:
    """Read labels of `ids` from rows with an id and one or several separated label names.

    An id can have several rows; all ids of the rows must be in `ids`. A blank or a name of
    ``labels.unknown`` is ignored; a name of ``labels.negative`` means that the protein has no
    label. With ``labels.evidence``, the tier of a row's evidence decides: the label is positive
    (``labels.positive``), unknown (``labels.unknown``), or the row is ignored
    (``labels.negative``). Labels without a row are negative. HaloError if a label has a name that
    it cannot have, or one of `refused`.
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
            missing = _is_missing(label, where) or (by_name and _fits(label, where.unknown))
            if missing and not negative:
                continue
            labelled.add(name)
            if not negative:
                pairs.append((name, label, tier, line))
    names = _label_names(path, pairs, where, refused)
    column_of = {name: column for column, name in enumerate(names)}
    row_of: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        row_of.setdefault(name, []).append(row)
    values = np.zeros((len(ids), len(names)), dtype=np.uint8)
    known = np.ones(values.shape, dtype=bool)
    unlisted = {name for name, label, _, _ in pairs if label not in column_of}
    if where.others == UNKNOWN:
        known[[row for name in unlisted for row in row_of[name]]] = False
    for tier in (UNKNOWN, POSITIVE):  # a positive row overrides an unknown one
        for name, label, of, _ in pairs:
            if of == tier and label in column_of:
                known[row_of[name], column_of[label]] = tier == POSITIVE
                values[row_of[name], column_of[label]] = tier == POSITIVE
    known |= values.astype(bool)
    absent = _missing(path, ids, labelled)
    known[list(absent)] = False
    return Labelled(names, values, known, _without_known(known, absent) | absent)


def _split(text: str, where: Labels) -> list[str]:
    parts = [text] if not where.separator else text.split(where.separator)
    return [part.strip() for part in parts if part.strip()]


def _is_missing(label: str, where: Labels) -> bool:
    """Whether a program wrote it for a missing value, and no label has this name."""
    return label.casefold() in MISSING_VALUES and label not in (where.columns or ())


def _tiers(path: Path, rows: pd.DataFrame, where: Labels) -> list[str]:
    """Tier of each row by its evidence; raises a HaloError for evidence without a tier."""
    if where.evidence is None:
        return [POSITIVE] * len(rows)
    tiers = {}
    for text in rows[where.evidence].unique():
        patterns = {
            POSITIVE: where.positive or (),
            UNKNOWN: where.unknown,
            NEGATIVE: where.negative or (),
        }
        tier = _tier(text, patterns)
        if tier is None:
            line = rows[LINE][rows[where.evidence] == text].iat[0]
            raise HaloError(
                f"{path}: line {line}: the evidence {text!r} is in none of "
                "dataset.labels.positive, unknown and negative; add it to one of them "
                "('*' matches all others)"
            )
        tiers[text] = tier
    return rows[where.evidence].map(tiers).tolist()


def _label_names(
    path: Path,
    pairs: Sequence[tuple[str, str, str, int]],
    where: Labels,
    refused: Set[str | None],
) -> tuple[str, ...]:
    """The labels of the configuration, or all that occur; raises a HaloError if they are wrong."""
    first = {label: line for _, label, _, line in reversed(pairs)}
    names = tuple(where.columns or sorted(first))
    if not names:
        raise HaloError(f"{path}: no row names a label in the column {where.label!r}")
    if where.columns is None:
        if set(names) <= {"0", "1", "0.0", "1.0"}:
            raise HaloError(
                f"{path}: the column {where.label!r} has 0 and 1, and no names of labels; for 0/1 "
                "columns, remove dataset.labels.label and list them in dataset.labels.columns; if "
                "these are names, set dataset.labels.columns: ['0', '1']"
            )
        check_names(path, names, refused, first)
        _refuse_equals(path, names, first)
        _refuse_several(path, names, first)
        return names
    check_names(path, names, refused)
    absent = [name for name in names if name not in first]
    if absent:
        raise HaloError(
            f"{path}: no row has the label {absent[0]!r} of dataset.labels.columns"
            f"{_suggestion(absent[0], first)}; correct or remove it"
        )
    others = Counter(label for _, label, _, _ in pairs if label not in names)
    if others and where.others == "error":
        label, count = others.most_common()[-1]
        raise HaloError(
            f"{path}: line {first[label]}: the label {label!r} ({count} times) is not in "
            f"dataset.labels.columns{_suggestion(label, names)}; correct it, add it there, or set "
            "dataset.labels.others to negative or unknown for the proteins of such labels"
        )
    if others:
        log.warning("%s: labels not in dataset.labels.columns: %s", path, _listed(others))
    return names


def _refuse_equals(path: Path, names: Sequence[str], lines: Mapping[str, int]) -> None:
    """Raise a HaloError if two names differ only in case, blanks or signs: one is misspelt."""
    seen: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[\W_]+", "", name.casefold())
        other = seen.setdefault(plain or name, name)
        if other != name:
            rare, _ = sorted((name, other), key=lines.__getitem__, reverse=True)
            raise HaloError(
                f"{path}: line {lines[rare]}: the labels {other!r} and {name!r} differ only in "
                "case, blanks or signs; correct one, or list both in dataset.labels.columns"
            )


def _refuse_several(path: Path, names: Sequence[str], lines: Mapping[str, int]) -> None:
    """Raise a HaloError if a name consists of other names: it is a cell with several labels."""
    for name in names:
        for separator in SEPARATORS:
            parts = [part.strip() for part in name.split(separator)]
            if len(parts) > 1 and set(parts) <= set(names):
                raise HaloError(
                    f"{path}: line {lines[name]}: {name!r} consists of other labels; set "
                    f"dataset.labels.separator: '{separator}', or, if it is a label of its own, "
                    "list all labels in dataset.labels.columns"
                )


def check_names(
    path: Path,
    names: Sequence[str],
    taken: Set[str | None],
    lines: Mapping[str, int] | None = None,
) -> None:
    """Raise a HaloError for a name that a label cannot have.

    `taken` are columns of the table with another meaning, `lines` the lines of the names.
    """
    at = lines or {}
    for name in names:
        place = f"{path}: line {at[name]}" if name in at else f"{path}"
        if name in taken:
            raise HaloError(
                f"{place}: the label {name!r} has the name of another column in use; "
                "rename one of them"
            )
        if fault := fault_of_label(name):
            raise HaloError(f"{place}: {fault}")
        if not any(letter.isalnum() for letter in name):
            raise HaloError(
                f"{place}: the label {name!r} has no letter and no digit; rename it, or if it "
                f"stands for a missing value, set dataset.labels.unknown: [{name!r}]"
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise HaloError(f"dataset.labels.columns: {repeated[0]!r} is listed twice; remove one")


def warn_of_rare(names: Sequence[str], values: np.ndarray, known: np.ndarray) -> None:
    """Log labels with no or few positives, and labels that are partly unknown."""
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
    return {row: (NO_LABEL, detail) for row, name in enumerate(ids) if name not in labelled}
