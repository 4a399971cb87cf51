"""Tables with several rows of a protein, such as one for each label."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from halo.proteins.labels import Faults
from halo.proteins.table import CORE_COLUMNS
from halo.tables.readers import LINE

log = logging.getLogger(__name__)


def in_one_row(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, Faults]:
    """A table with one row for each protein.

    A protein has the first sequence of its id. A row with another sequence stays, as a duplicated
    id. The accession, the partition and the annotations are each the first that is not blank; where
    annotations or accessions differ, there is a warning.

    Parameters
    ----------
    path : file of the table, for messages
    table : from `halo.proteins.ingest.core_table`

    Returns
    -------
    table : the first row of each protein, with a new index
    own : bool [n_rows], rows of the given table that are of the protein with their id
    faults : rows of the new table whose protein is in several partitions
    """
    first = (~table.duplicated(["id", "sequence"]) | (table["id"] == "")).to_numpy()
    sequence = table["id"].map(table.groupby("id")["sequence"].first())
    own = (sequence == table["sequence"]).to_numpy()
    made, rows = table[first].reset_index(drop=True), table[own]
    is_own = own[first]
    faults: Faults = {}
    notes = [name for name in table.columns if name not in (*CORE_COLUMNS, LINE)]
    for name in ("accession", "split", *notes):
        given = rows.loc[rows[name] != "", ["id", name, LINE]].drop_duplicates(["id", name])
        value_of = dict(zip(given["id"][::-1], given[name][::-1], strict=True))  # the first
        made.loc[is_own, name] = [value_of.get(of, "") for of in made.loc[is_own, "id"]]
        differing = given[given["id"].duplicated(keep=False)]
        if differing.empty:
            continue
        details = {of: _shown(name, values) for of, values in differing.groupby("id", sort=False)}
        if name == "split":
            for row in np.flatnonzero(made["id"].isin(details)):
                faults[int(row)] = ("several partitions", details[made["id"].iat[row]])
        else:
            log.warning(
                "%s: rows of %s proteins differ in %s, the first is used, such as for %r: %s",
                *(path, f"{len(details):,}", name, *next(iter(details.items()))),
            )
    return made, own, faults


def _shown(name: str, values: pd.DataFrame) -> str:
    some = zip(values[name], values[LINE], strict=True)
    return ", ".join(f"{value!r} in line {line}" for value, line in some)
