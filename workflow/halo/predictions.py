"""Write ``predictions.csv``: probabilities of the held-out proteins of a fold, by any method."""

from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import write_table
from halo.fold_parts import FoldParts
from halo.proteins.table import Proteins


def write_predictions(
    file: Path,
    proteins: Proteins,
    parts: FoldParts,
    rows: np.ndarray,
    probabilities: np.ndarray,
    decided_by: np.ndarray | None = None,
) -> None:
    """Write ``predictions.csv``.

    Parameters
    ----------
    rows : int64 [n], rows of the protein table
    probabilities : [n, n_labels], of these rows
    decided_by : text [n], for combined methods, the member that decided
    """
    table = pd.DataFrame(probabilities, columns=list(proteins.label_names))
    table.insert(0, "id", proteins.ids[rows])
    table.insert(1, "part", parts.part[rows])
    if decided_by is not None:
        table.insert(2, "decided_by", decided_by)
    write_table(file, table)
