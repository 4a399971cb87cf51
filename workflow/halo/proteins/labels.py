"""Labels of proteins: 0/1 columns, or a table of their own."""

import logging
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.proteins.readers import LINE, read_table, require_columns
from halo.proteins.settings import Labels
from halo.proteins.table import CORE_COLUMNS

log = logging.getLogger(__name__)

ZERO_ONE = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
WRONG_COLUMN_SHARE = 0.5  # above it, it is not the rows that are wrong but the column

Faults = dict[int, tuple[str, str]]  # row to reason and detail


def labels_from_columns(
    path: Path, records: pd.DataFrame, columns: Sequence[str] | None, taken: Set[str | None]
) -> tuple[tuple[str, ...], np.ndarray, Faults]:
    """Labels from 0/1 columns: those named, or all that are not `taken` by something else.

    Returns the names, uint8 [n_records, n_labels], and the rows with another value.
    HaloError where a column is missing, has a taken name, or is no 0/1 column at all.
    """
    names = columns
    if names is None:
        names = [name for name in records.columns if name not in {*taken, LINE}]
    if not names:
        raise HaloError(f"{path}: no label column is left; name them in dataset.labels.columns")
    wanted = {f"dataset.labels.columns[{i}]": name for i, name in enumerate(names)}
    require_columns(path, records, wanted)
    clash = sorted(set(names) & ({*CORE_COLUMNS} | taken))
    if clash:
        raise HaloError(
            f"{path}: label {clash[0]!r} has the name of a column of HALO's own table "
            f"({', '.join(CORE_COLUMNS)}) or of another column in use; rename it"
        )
    labels = np.zeros((len(records), len(names)), dtype=np.uint8)
    faults: Faults = {}
    for column, name in enumerate(names):
        values = records[name].map(ZERO_ONE)
        wrong = np.flatnonzero(values.isna())
        if len(wrong) > WRONG_COLUMN_SHARE * len(records):
            raise HaloError(
                f"{path}: column {name!r} is not a 0/1 column (line {records[LINE].iat[wrong[0]]} "
                f"has {records[name].iat[wrong[0]]!r}); write 1 where a protein has the label and "
                "0 where not; if it is no label, give it to dataset.annotations or name the "
                "labels in dataset.labels.columns"
            )
        for row in wrong:
            value = records[name].iat[row]
            faults.setdefault(int(row), ("label not 0 or 1", f"{name} is {value!r}"))
        labels[:, column] = values.fillna(0)
    return tuple(names), labels, faults


def labels_from_table(
    path: Path, ids: pd.Series, where: Labels
) -> tuple[tuple[str, ...], np.ndarray, Faults]:
    """Labels from a second table, with 0/1 columns or with a row for each id and label.

    `ids` are the records to label. A record that the table does not have has unknown
    labels, which is not the same as none: it is among the faults.
    """
    if not Path(path).exists():
        raise HaloError(f"{path}: there is no such file; mend dataset.labels.table")
    given = read_table(path)
    require_columns(
        path, given, {"dataset.labels.id": where.id, "dataset.labels.label": where.label}
    )
    if where.label is None:
        return _labels_from_wide_table(path, given, ids, where)
    pairs = given[given[where.label] != ""]
    names = tuple(where.columns or sorted(pairs[where.label].unique()))
    columns = pd.Index(names).get_indexer(pairs[where.label])
    unknown = sorted(set(pairs[where.label][columns < 0]))
    if unknown:
        log.warning("%s: labels not in dataset.labels.columns are left out: %s", path, unknown)
    labels = np.zeros((len(ids), len(names)), dtype=np.uint8)
    rows_of = ids.groupby(ids).indices
    known = pairs[where.id].isin(rows_of)
    _warn_of_strangers(path, pairs[where.id][~known])
    for name, column in zip(pairs[where.id][known], columns[known], strict=True):
        if column >= 0:
            labels[rows_of[name], column] = 1
    return names, labels, _without_labels(path, ids, set(pairs[where.id]))


def _labels_from_wide_table(
    path: Path, given: pd.DataFrame, ids: pd.Series, where: Labels
) -> tuple[tuple[str, ...], np.ndarray, Faults]:
    repeated = given[where.id][given[where.id].duplicated()]
    if len(repeated):
        line = given[LINE][repeated.index[0]]
        raise HaloError(f"{path}: line {line}: id {repeated.iloc[0]!r} has a second row of labels")
    _warn_of_strangers(path, given[where.id][~given[where.id].isin(ids)])
    names, labels, faults = labels_from_columns(path, given, where.columns, {where.id})
    rows = pd.Index(given[where.id]).get_indexer(ids)
    missing = _without_labels(path, ids, set(given[where.id]))
    wrong = {row: faults[source] for row, source in enumerate(rows) if source in faults}
    return names, np.where((rows >= 0)[:, None], labels[rows], 0).astype(np.uint8), missing | wrong


def _without_labels(path: Path, ids: pd.Series, labelled: set[str]) -> Faults:
    detail = f"no row for it in {Path(path).name}"
    return {row: ("no label", detail) for row, name in enumerate(ids) if name not in labelled}


def _warn_of_strangers(path: Path, strangers: pd.Series) -> None:
    if len(strangers):
        log.warning(
            "%s: %s ids have labels but no sequence, the first is %s",
            path,
            f"{strangers.nunique():,}",
            strangers.iloc[0],
        )
