"""Settings of the ingest: where the data are, which columns they have, and what is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from halo.settings import SHA256, URL, Faults, setting
from halo.uniprot.settings import UniprotSettings

# Columns beside those of the labels in some table that a run writes.
RESERVED = frozenset(
    {
        *("id", "accession", "sequence", "seq_hash", "length", "split", "part", "decided_by"),
        *("method", "fold", "group", "labels", "unknown", "decisions", "uncertainty", "set"),
        *("line", "proteins", "all"),
    }
)
JOINS = ";\t\r\n"  # what stands between labels in tables that a run writes


def fault_of_label(name: str) -> str | None:
    """Why a label cannot have this name, and the fix; None where it can."""
    if name in RESERVED:
        return f"the label {name!r} has the name of a column that HALO writes; rename it"
    joins = [letter for letter in JOINS if letter in name]
    if joins:
        return (
            f"the label {name!r} contains {joins[0]!r}, which stands between labels in HALO's "
            "tables; rename it, or where these are several labels in a cell, set labels.separator "
            f"to {joins[0]!r}"
        )
    return None


@dataclass(frozen=True)
class Labels:
    """Where the labels are: the section ``labels`` of a data set."""

    columns: tuple[str, ...] | None = setting(
        None,
        "names of the columns of 0 and 1, or of the labels to use; null for all",
        min_length=1,
        unique=True,
    )
    table: str | None = setting(
        None, "path of a second table that holds the labels (CSV, TSV or xlsx), or null"
    )
    id: str = setting("id", "column of the ids in that table", min_length=1)
    label: str | None = setting(
        None,
        "column of the names of labels, in that table or, without one, in that of the proteins",
        min_length=1,
    )
    separator: str | None = setting(
        None,
        'what stands between several names in a cell of that column, such as ";"',
        min_length=1,
    )
    evidence: str | None = setting(
        None,
        "column of the evidence of each name; labels.positive and the like then say what it counts "
        "as",
        min_length=1,
    )
    positive: tuple[str, ...] | None = setting(
        None,
        "values, or evidence, that count as positive; null for 1 and true; * stands for any text",
        unique=True,
    )
    unknown: tuple[str, ...] = setting(
        (),
        "values, names or evidence that say nothing, as a blank does: the label is then unknown",
        unique=True,
    )
    negative: tuple[str, ...] | None = setting(
        None,
        "values that count as negative (null for 0 and false), names that say that there is no "
        "label, or evidence that is left out",
        unique=True,
    )
    others: Literal["error", "negative", "unknown"] = setting(
        "error",
        "what names that labels.columns does not list make of a protein's other labels",
    )

    def faults(self) -> Faults:
        """What does not fit together."""
        found = [
            (f"columns[{number}]", fault)
            for number, name in enumerate(self.columns or ())
            if (fault := fault_of_label(name))
        ]
        if self.label is not None:
            return found
        return found + [
            (key, "only names of labels have it; set labels.label to their column, or leave it out")
            for key in ("separator", "evidence")
            if getattr(self, key) is not None
        ]


@dataclass(frozen=True)
class Source:
    """Where the records of a data set come from."""

    registry: str | None = setting(
        None, "name of an entry of resources/datasets.yaml, which fills in what is not given here"
    )
    proteins: str | None = setting(
        None,
        "path of a CSV, a TSV, an xlsx or a FASTA, plain or compressed; takes the place of the URL",
    )
    url: str | None = setting(
        None,
        "address to download the table from, where no path is given",
        pattern=URL,
    )
    sha256: str | None = setting(
        None, "checksum that a downloaded table must have, or null", pattern=SHA256
    )


@dataclass(frozen=True)
class Columns:
    """The columns of a data set."""

    id: str = setting("id", "column of the ids", min_length=1)
    accession: str | None = setting(
        None, "column of UniProt accessions; null to read them from the ids", min_length=1
    )
    sequence: str = setting("sequence", "column of the sequences", min_length=1)
    annotations: tuple[str, ...] = setting(
        (), "columns to keep for the evaluation, such as the kingdom", unique=True
    )
    labels: Labels = setting(Labels, "where the labels are")
    uniprot: UniprotSettings | None = setting(
        None,
        "proteins and labels from UniProt: by a query or, with a path in proteins, from a file "
        "that UniProt gave",
    )
    sample: int | None = setting(
        None, "use so many of the proteins, chosen by a digest of their ids; null for all", ge=1
    )


@dataclass(frozen=True)
class DatasetSettings(Columns):
    """What the ingest reads of the section ``dataset``."""

    split: str | None = setting(
        None, "column of the partitions that the data's authors made, or null", min_length=1
    )
    task: Literal["multilabel", "singlelabel"] = setting(
        "multilabel", "whether a protein can have several labels or has exactly one"
    )
    duplicates: Literal["merge", "keep"] = setting(
        "merge", "one sequence under several ids becomes one record with all labels, or stays"
    )
    min_length: int = setting(1, "shorter proteins are rejected (residues)", ge=1)
    max_length: int = setting(40_000, "longer proteins are rejected (residues)", ge=1)

    @classmethod
    def from_config(cls, section: Mapping) -> "DatasetSettings":
        """From the configuration's ``dataset`` section."""
        uniprot = UniprotSettings.from_config(section.get("uniprot"))
        return cls(**{**section, "labels": Labels(**section["labels"]), "uniprot": uniprot})

    def faults(self) -> Faults:
        """What does not fit together."""
        if self.min_length <= self.max_length:
            return []
        return [
            (
                "min_length",
                f"{self.min_length} is more than max_length, {self.max_length}, so that every "
                "protein would be rejected; lower it",
            )
        ]


@dataclass(frozen=True)
class ExternalSet(Columns, Source):
    """The section ``dataset.test`` of the configuration."""


@dataclass(frozen=True)
class DatasetSection(DatasetSettings, Source):
    """The section ``dataset`` of the configuration."""

    test: ExternalSet | None = setting(
        None,
        "a second data set, of which every protein is tested and none trained on (split.mode "
        "external)",
    )
    simulated: bool = setting(False, "true where the data are simulated; the report then says so")
