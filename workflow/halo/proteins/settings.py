"""Settings of the ingest: the section ``dataset`` of the configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from halo.label_groups import MAIN
from halo.settings import NAME, REQUIRED, SHA256, URL, Faults, setting
from halo.uniprot.settings import UniprotSettings

# Names of other columns in tables that a run writes, which no label may have.
RESERVED = frozenset(
    {
        *("id", "accession", "sequence", "seq_hash", "length", "split", "part", "decided_by"),
        *("method", "fold", "group", "labels", "unknown", "decisions", "uncertainty", "set"),
        *("line", "proteins", "all"),
    }
)
JOINS = ";\t\r\n"  # separators in tables that a run writes


def fault_of_label(name: str) -> str | None:
    """Why a label cannot have this name, and the fix; None if it can."""
    if name in RESERVED:
        text = f"the label {name!r} has the name of a column that HALO writes; rename it"
        if name == "unknown":
            text += ", or if it stands for a missing value, set labels.unknown: [unknown]"
        return text
    joins = [letter for letter in JOINS if letter in name]
    if joins:
        return (
            f"the label {name!r} contains {joins[0]!r}, which separates labels in HALO's tables; "
            "rename it, or if these are several labels in a cell, set labels.separator to "
            f"{joins[0]!r}"
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
        "column with names of labels, in that table or, without one, in that of the proteins",
        min_length=1,
    )
    separator: str | None = setting(
        None,
        'separator of several names in a cell of that column, such as ";"',
        min_length=1,
    )
    evidence: str | None = setting(
        None,
        "column with the evidence of each name; labels.positive, unknown and negative then list "
        "values of evidence",
        min_length=1,
    )
    positive: tuple[str, ...] | None = setting(
        None,
        "values, or evidence, that count as positive; null for 1 and true; * matches any text",
        unique=True,
    )
    unknown: tuple[str, ...] = setting(
        (),
        "values, names or evidence that count as unknown, like a blank",
        unique=True,
    )
    negative: tuple[str, ...] | None = setting(
        None,
        "values that count as negative (null for 0 and false), names that mean no label, or "
        "evidence that is ignored",
        unique=True,
    )
    others: Literal["error", "negative", "unknown"] = setting(
        "error",
        "effect of names that labels.columns does not list: an error, or the protein's other "
        "labels are negative or unknown",
    )

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
        faults = [
            (f"columns[{number}]", fault)
            for number, name in enumerate(self.columns or ())
            if (fault := fault_of_label(name))
        ]
        if self.label is not None:
            return faults
        return faults + [
            (key, "applies to names of labels only; set labels.label to their column, or remove it")
            for key in ("separator", "evidence")
            if getattr(self, key) is not None
        ]


@dataclass(frozen=True)
class GroupLabels(Labels):
    """A further group of labels: an entry of the section ``groups`` of a data set."""

    task: Literal["multilabel", "singlelabel"] = setting(
        "multilabel", "whether a protein can have several labels of the group or has exactly one"
    )

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
        faults = super().faults()
        if self.columns is None and self.table is None and self.label is None:
            faults.append(
                (
                    "columns",
                    "a further group needs columns, a label column, or a table of its own; name "
                    "its columns of 0 and 1 here",
                )
            )
        return faults


@dataclass(frozen=True)
class Source:
    """Where the records of a data set come from."""

    registry: str | None = setting(
        None, "name of an entry of resources/datasets.yaml, whose values are defaults here"
    )
    proteins: str | None = setting(
        None,
        "path of a CSV, TSV, xlsx or FASTA file, plain or compressed; replaces the URL",
    )
    url: str | None = setting(
        None,
        "address to download the table from, if there is no path",
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
    groups: dict[str, GroupLabels] | None = setting(
        None,
        "further groups of labels by name, such as membrane: {columns: [Peripheral, "
        "Transmembrane]}, which the same models predict; a protein without a known label of a "
        "group is unknown there",
        min_length=1,
    )
    uniprot: UniprotSettings | None = setting(
        None,
        "proteins and labels from UniProt: by a query or, with a path in proteins, from a file "
        "downloaded from UniProt",
    )
    sample: int | None = setting(
        None, "number of proteins to use, chosen by a digest of their ids; null for all", ge=1
    )

    def faults(self) -> Faults:
        """Faults of names of groups."""
        return [
            (f"groups.{name}", f"the name is that of the main group; choose another than {MAIN}")
            if name == MAIN
            else (f"groups.{name}", "the name needs lower-case letters, digits and _ only")
            for name in self.groups or ()
            if name == MAIN or not re.match(NAME, name)
        ]


@dataclass(frozen=True)
class DatasetSettings(Columns):
    """Keys of the section ``dataset`` that the ingest reads."""

    split: str | None = setting(None, "column of the author partitions, or null", min_length=1)
    task: Literal["multilabel", "singlelabel"] = setting(
        "multilabel", "whether a protein can have several labels or has exactly one"
    )
    duplicates: Literal["merge", "keep"] = setting(
        "merge", "whether records with the same sequence are merged into one with all labels"
    )
    min_length: int = setting(1, "shorter proteins are rejected (residues)", ge=1)
    max_length: int = setting(40_000, "longer proteins are rejected (residues)", ge=1)

    @classmethod
    def from_config(cls, section: Mapping) -> "DatasetSettings":
        """From the configuration's ``dataset`` section."""
        uniprot = UniprotSettings.from_config(section.get("uniprot"))
        groups = {name: GroupLabels(**each) for name, each in (section.get("groups") or {}).items()}
        return cls(
            **{
                **section,
                "labels": Labels(**section["labels"]),
                "groups": groups or None,
                "uniprot": uniprot,
            }
        )

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
        faults = super().faults()
        if self.min_length <= self.max_length:
            return faults
        return [
            *faults,
            (
                "min_length",
                f"{self.min_length} is more than max_length, {self.max_length}, so every protein "
                "would be rejected; lower it",
            ),
        ]


@dataclass(frozen=True)
class RegionsSettings:
    """The section ``dataset.regions`` of the configuration."""

    table: str = setting(
        REQUIRED,
        "path of a table with one region per row (1-based, both ends included), or of a FASTA with "
        "a letter per residue after the sequence",
        min_length=1,
    )
    id: str = setting("id", "column of the protein's id or accession", min_length=1)
    start: str = setting("start", "column of the first residue", min_length=1)
    end: str = setting("end", "column of the last residue", min_length=1)
    kind: str = setting("kind", "column of the kind of region", min_length=1)
    kinds: tuple[str, ...] | None = setting(
        None,
        "kinds to learn; null for all of the table",
        min_length=1,
        unique=True,
    )
    none: tuple[str, ...] = setting(
        (),
        "kinds that mean that a protein has no region, or, of a FASTA, letters of residues outside "
        "of regions; such rows need no start and end",
        unique=True,
    )
    unknown: tuple[str, ...] = setting(
        (), "kinds, or letters, of residues about which nothing is known", unique=True
    )
    outside: Literal["none", "unknown"] = setting(
        "none",
        "whether the other residues of a protein in the table are in no region, or unknown; "
        "proteins that are not in the table are unknown",
    )
    letters: dict[str, str] | None = setting(
        None, "kind of each letter of a FASTA, such as {S: signal peptide}; null: the letters"
    )

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
        given = {"kinds": self.kinds or (), "none": self.none, "unknown": self.unknown}
        pairs = (("none", "kinds"), ("unknown", "kinds"), ("unknown", "none"))
        return [
            (key, f"{name!r} is in {other}, too; remove it from one of them")
            for key, other in pairs
            for name in given[key]
            if name in given[other]
        ]


@dataclass(frozen=True)
class ExternalSet(Columns, Source):
    """The section ``dataset.test`` of the configuration."""


@dataclass(frozen=True)
class DatasetSection(DatasetSettings, Source):
    """The section ``dataset`` of the configuration."""

    test: ExternalSet | None = setting(
        None,
        "external test set: a second data set used for the test only (split.mode external)",
    )
    regions: RegionsSettings | None = setting(
        None, "regions of the sequence, such as signal peptides, to predict for each residue"
    )
    simulated: bool = setting(False, "whether the data are simulated, which the report then states")
