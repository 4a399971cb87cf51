"""The table that every method writes: probabilities of a fold's held-out proteins."""

from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import write_table
from halo.proteins.table import Proteins

HELD_OUT = ("val", "cal", "test")


def write_predictions(
    file: Path,
    proteins: Proteins,
    part: np.ndarray,
    rows: np.ndarray,
    probabilities: np.ndarray,
    decided_by: np.ndarray | None = None,
) -> None:
    """Write ``predictions.csv``.

    Parameters
    ----------
    part : text [n_proteins], part of each protein in the fold
    rows : int64 [n], rows of the protein table
    probabilities : [n, n_labels], of these rows
    decided_by : text [n], where a method joins others, which of them a row is of
    """
    table = pd.DataFrame(probabilities, columns=list(proteins.label_names))
    table.insert(0, "id", proteins.ids[rows])
    table.insert(1, "part", part[rows])
    if decided_by is not None:
        table.insert(2, "decided_by", decided_by)
    write_table(file, table)
