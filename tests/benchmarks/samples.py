"""Samples of real data for benchmarks."""

from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import sha256_of_text
from halo.proteins.table import Proteins

SHARED = Path(__file__).resolve().parents[3] / "shared/data"
DEEPLOC = SHARED / "deeploc2/Swissprot_Train_Validation_dataset.csv.gz"
PROTGPS = SHARED / "protgps/protgps_dataset.csv.gz"


def deeploc_sample(
    path: Path,
    size: int | None = None,
    seed: int = 1,
    partitions: str = "01234",
    longest: int | None = None,
) -> Proteins:
    """`size` random proteins of the table of DeepLoc 2.0 at `path`, or all of them.

    `partitions` are those of the authors that are drawn from, `longest` the most residues.
    """
    table = pd.read_csv(path, dtype={"Partition": str})
    table = table[table["Partition"].isin(list(partitions))]
    if longest is not None:
        table = table[table["Sequence"].str.len() <= longest]
    if size is not None:
        table = table.sample(size, random_state=seed)
    names = tuple(table.columns[4:14])
    core = pd.DataFrame(
        {
            "id": table["ACC"],
            "accession": table["ACC"],
            "sequence": table["Sequence"],
            "seq_hash": [sha256_of_text(text) for text in table["Sequence"]],
            "length": table["Sequence"].str.len(),
            "split": table["Partition"],
        }
    ).reset_index(drop=True)
    labels = table[list(names)].to_numpy(dtype=np.uint8)
    return Proteins(core, names, labels, "multilabel")
