"""The checked protein table that every later stage reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import read_json, read_text_table, write_json, write_table
from halo.label_groups import LabelGroup, all_groups, as_content, from_content

CORE_COLUMNS = ("id", "accession", "sequence", "seq_hash", "length", "split")


@dataclass(frozen=True)
class Proteins:
    """Labelled proteins, one row per record.

    Attributes
    ----------
    table
        The columns of `CORE_COLUMNS` (text except ``length``, ``""`` if missing), followed by the
        annotation columns of the data set (text). ``accession`` is a UniProt accession, with its
        isoform if any, or ``""``; ``split`` is the author partition, or ``""``.
    label_names
        Names of the labels of all groups, in the order of the columns of `labels`.
    labels
        uint8 [n_proteins, n_labels], 1 where the protein has the label.
    task
        Of the main group: ``"multilabel"``, or ``"singlelabel"`` if every protein has exactly one
        of its labels.
    known
        bool [n_proteins, n_labels], False for unknown labels, for which `labels` is 0. By
        default, all labels are known.
    further
        Further groups of labels, whose labels are the last columns.
    """

    table: pd.DataFrame
    label_names: tuple[str, ...]
    labels: np.ndarray
    task: str
    known: np.ndarray = None  # type: ignore[assignment]  # made in __post_init__
    further: tuple[LabelGroup, ...] = ()

    def __post_init__(self) -> None:
        if self.known is None:
            object.__setattr__(self, "known", np.ones(self.labels.shape, dtype=bool))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> np.ndarray:
        """Ids, object [n_proteins]."""
        return self.table["id"].to_numpy(dtype=object)

    @property
    def targets(self) -> np.ndarray:
        """Training targets, float32 [n_proteins, n_labels]; NaN for unknown labels."""
        return np.where(self.known, self.labels, np.nan).astype(np.float32)

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The main group of labels, and the further ones."""
        return all_groups(self.label_names, self.task, self.further)

    def of_group(self, group: LabelGroup) -> "Proteins":
        """The same proteins with the labels of one group only."""
        labels, known = self.labels[:, group.columns], self.known[:, group.columns]
        return Proteins(self.table, group.labels, labels, group.task, known)

    @property
    def annotation_names(self) -> list[str]:
        """Names of the columns that are neither core columns nor labels."""
        return [name for name in self.table.columns if name not in CORE_COLUMNS]


def write_proteins(file: Path, proteins: Proteins, long_labels: bool) -> None:
    """Write `proteins` to `file` (``proteins.csv``) and ``labels.json`` in the same folder.

    Labels are columns of `file` with the values 1, 0 and blank (unknown). With `long_labels`, for
    data sets with hundreds of labels, they are written to ``labels.csv`` with the columns id,
    label and value (1 or blank).
    """
    file = Path(file)
    if long_labels:
        rows, columns = np.nonzero(proteins.labels.astype(bool) | ~proteins.known)
        names = np.array(proteins.label_names, dtype=object)
        values = np.where(proteins.known[rows, columns], "1", "")
        pairs = pd.DataFrame({"id": proteins.ids[rows], "label": names[columns], "value": values})
        write_table(file.with_name("labels.csv"), pairs)
        write_table(file, proteins.table)
    else:
        values = np.where(proteins.known, proteins.labels.astype(str), "")
        columns = pd.DataFrame(
            values, columns=list(proteins.label_names), index=proteins.table.index
        )
        write_table(file, pd.concat([proteins.table, columns], axis=1))
    label_names = proteins.label_names
    description = {
        "task": proteins.task,
        "long": long_labels,
        "labels": dict(zip(label_names, proteins.labels.sum(axis=0).tolist(), strict=True)),
        "unknown": dict(zip(label_names, (~proteins.known).sum(axis=0).tolist(), strict=True)),
    }
    if proteins.further:
        description["groups"] = as_content(proteins.further)
    write_json(file.with_name("labels.json"), description)


def read_proteins(file: Path) -> Proteins:
    """Read what `write_proteins` wrote, given the path of ``proteins.csv``."""
    file = Path(file)
    description = read_json(file.with_name("labels.json"))
    names = tuple(description["labels"])
    types = dict.fromkeys(pd.read_csv(file, nrows=0).columns, str) | {"length": int}
    table = pd.read_csv(file, dtype=types, keep_default_na=False, na_values=[])
    if description["long"]:
        values = np.full((len(table), len(names)), "0", dtype=object)
        pairs = read_text_table(file.with_name("labels.csv"))
        rows = pd.Index(table["id"]).get_indexer(pairs["id"])
        values[rows, pd.Index(names).get_indexer(pairs["label"])] = pairs["value"]
    else:
        values = table[list(names)].to_numpy(dtype=object)
        table = table.drop(columns=list(names))
    labels = (values == "1").astype(np.uint8)
    further = from_content(names, description.get("groups"))
    return Proteins(table, names, labels, description["task"], values != "", further)
