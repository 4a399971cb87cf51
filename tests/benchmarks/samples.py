"""Samples of real data for benchmarks."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import sha256_of_text
from halo.predict.bundle import read_bundle
from halo.predict.nearest import read_training
from halo.proteins.table import Proteins

SHARED = Path(__file__).resolve().parents[3] / "shared/data"
DEEPLOC = SHARED / "deeploc2/Swissprot_Train_Validation_dataset.csv.gz"
PROTGPS = SHARED / "protgps/protgps_dataset.csv.gz"


def trained_on(bundle: Path, sequences: Iterable[str]) -> int | None:
    """How many of these are training sequences of a bundle; None if it does not contain those."""
    training = read_bundle(bundle).training
    if training is None:
        return None
    trained = set(read_training(training)[1])
    return sum(sequence in trained for sequence in sequences)


def require_unseen(bundle: Path, sequences: Sequence[str]) -> None:
    """End with a message if a bundle was trained on one of these, or does not say."""
    met = trained_on(bundle, sequences)
    if met == 0:
        return
    known = "it is not known which" if met is None else f"{met:,}"
    sys.exit(
        f"{bundle}: {known} of the {len(sequences):,} proteins are in its training; give the "
        "bundle of a model that has not met them, such as that of config/deeploc2_offline.yaml "
        "with release.all_proteins: false and release.notes: null"
    )


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
