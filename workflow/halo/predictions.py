"""The table that every method writes: probabilities of a fold's held-out proteins."""

from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import write_table
from halo.proteins.table import Proteins

HELD_OUT = ("val", "cal", "test")


def write_predictions(
    file: Path, proteins: Proteins, part: np.ndarray, rows: np.ndarray, probabilities: np.ndarray
) -> None:
    """Write ``predictions.csv``.

    Parameters
    ----------
    part : text [n_proteins], part of each protein in the fold
    rows : int64 [n], rows of the protein table
    probabilities : [n, n_labels], of these rows
    """
    table = pd.DataFrame(probabilities, columns=list(proteins.label_names))
    table.insert(0, "id", proteins.ids[rows])
    table.insert(1, "part", part[rows])
    write_table(file, table)
