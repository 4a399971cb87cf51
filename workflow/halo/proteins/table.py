"""The checked protein table that every later stage reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import read_json, write_json, write_table

CORE_COLUMNS = ("id", "accession", "sequence", "seq_hash", "length", "split")


@dataclass(frozen=True)
class Proteins:
    """Labelled proteins, one row a record.

    Attributes
    ----------
    table
        The columns of `CORE_COLUMNS`, all text but ``length``, missing values as ``""``,
        followed by the annotation columns of the data set (text). ``accession`` is a
        UniProt accession, with the isoform where there is one, or ``""``; ``split`` is
        the partition that the data's authors gave, or ``""``.
    label_names
        Names of the labels, in the order of the columns of `labels`.
    labels
        uint8 [n_proteins, n_labels], 1 where the protein has the label.
    task
        ``"multilabel"``, or ``"singlelabel"`` where every protein has exactly one.
    """

    table: pd.DataFrame
    label_names: tuple[str, ...]
    labels: np.ndarray
    task: str

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> np.ndarray:
        """Ids, object [n_proteins]."""
        return self.table["id"].to_numpy(dtype=object)

    @property
    def annotation_names(self) -> list[str]:
        """Names of the columns that are neither core columns nor labels."""
        return [name for name in self.table.columns if name not in CORE_COLUMNS]


def write_proteins(file: Path, proteins: Proteins, long_labels: bool) -> None:
    """Write `proteins` to `file` (``proteins.csv``) and, beside it, ``labels.json``.

    The labels are 0/1 columns of `file`, or with `long_labels` the two columns id and
    label of ``labels.csv`` beside it, as a set of hundreds of labels needs it.
    """
    file = Path(file)
    if long_labels:
        rows, columns = np.nonzero(proteins.labels)
        names = np.array(proteins.label_names, dtype=object)
        pairs = pd.DataFrame({"id": proteins.ids[rows], "label": names[columns]})
        write_table(file.with_name("labels.csv"), pairs)
        write_table(file, proteins.table)
    else:
        columns = pd.DataFrame(
            proteins.labels, columns=list(proteins.label_names), index=proteins.table.index
        )
        write_table(file, pd.concat([proteins.table, columns], axis=1))
    counts = dict(zip(proteins.label_names, proteins.labels.sum(axis=0).tolist(), strict=True))
    description = {"task": proteins.task, "long": long_labels, "labels": counts}
    write_json(file.with_name("labels.json"), description)


def read_proteins(file: Path) -> Proteins:
    """Read what `write_proteins` wrote, given the path of ``proteins.csv``."""
    file = Path(file)
    description = read_json(file.with_name("labels.json"))
    names = tuple(description["labels"])
    numbers = {"length": int} | ({} if description["long"] else dict.fromkeys(names, np.uint8))
    types = dict.fromkeys(pd.read_csv(file, nrows=0).columns, str) | numbers
    table = pd.read_csv(file, dtype=types, keep_default_na=False, na_values=[])
    if description["long"]:
        labels = np.zeros((len(table), len(names)), dtype=np.uint8)
        pairs = pd.read_csv(file.with_name("labels.csv"), dtype=str, keep_default_na=False)
        rows = pd.Index(table["id"]).get_indexer(pairs["id"])
        labels[rows, pd.Index(names).get_indexer(pairs["label"])] = 1
    else:
        labels = table[list(names)].to_numpy()
        table = table.drop(columns=list(names))
    return Proteins(table, names, labels, description["task"])
