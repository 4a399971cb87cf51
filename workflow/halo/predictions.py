"""``predictions.csv``: probabilities of the held-out proteins of a fold, by any method."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import read_text_table, write_table
from halo.fold_parts import FoldParts
from halo.label_groups import LabelGroup
from halo.proteins.table import Proteins

DECIDED_BY = "decided_by"


def probability_columns(label_names: Sequence[str]) -> list[str]:
    """Columns of the probabilities, in every table of predictions; a label may be called ``id``."""
    return [f"p:{name}" for name in label_names]


def write_predictions(
    file: Path,
    proteins: Proteins,
    parts: FoldParts,
    rows: np.ndarray,
    probabilities: np.ndarray,
    decided_by: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write ``predictions.csv``.

    Parameters
    ----------
    rows : int64 [n], rows of the protein table
    probabilities : [n, n_labels], of these rows
    decided_by : for combined methods, the member that decided: text [n] by column, see
        `halo.label_groups.LabelGroup.column`
    """
    table = pd.DataFrame(probabilities, columns=probability_columns(proteins.label_names))
    table.insert(0, "id", proteins.ids[rows])
    table.insert(1, "part", parts.part[rows])
    for place, (name, deciders) in enumerate((decided_by or {}).items(), start=2):
        table.insert(place, name, deciders)
    write_table(file, table)


def read_predictions(
    file: Path, label_names: Sequence[str], group: LabelGroup
) -> tuple[pd.DataFrame, np.ndarray | None, np.ndarray]:
    """Read ``predictions.csv`` of one group of labels; `label_names` are those of all groups.

    Returns
    -------
    the columns id and part as text, the column decided_by (None if there is none), and the
    probabilities, float64 [n, n_labels]

    Raises
    ------
    HaloError
        if the file has other columns, or a value that is not a probability
    """
    fix = "delete the file and run again"
    columns = probability_columns(group.labels)
    table = read_text_table(file)
    decided = {name: table.pop(name) for name in list(table) if name.startswith(DECIDED_BY)}
    decider = decided.get(group.column(DECIDED_BY))
    decided_by = None if decider is None else decider.to_numpy(object)
    if list(table.columns) != ["id", "part", *probability_columns(label_names)]:
        raise HaloError(f"{file}: its labels are not {', '.join(label_names)}; {fix}")
    try:
        # numpy's conversion is exact, unlike that of older versions of pandas; a probability that
        # equals its threshold must stay equal.
        probabilities = table[columns].to_numpy(dtype=object).astype(float)
        valid = ((probabilities >= 0) & (probabilities <= 1)).all()
    except ValueError:
        valid = False
    if not valid:
        raise HaloError(f"{file}: has a value that is not a probability between 0 and 1; {fix}")
    return table[["id", "part"]], decided_by, probabilities
