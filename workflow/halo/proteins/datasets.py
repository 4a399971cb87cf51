"""Read the data sets of a run: the labelled proteins and the external test set, if any."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from halo.errors import HaloError
from halo.proteins.ingest import Rejected, ingest, with_test_set
from halo.proteins.settings import DatasetSettings, ExternalSet
from halo.proteins.table import Proteins

# Keys that a test set has separately; messages of the ingest name those of the training set.
_OWN_KEYS = "|".join(key.name for key in fields(ExternalSet))
_OF_A_TEST_SET = re.compile(rf"\bdataset\.(?=(?:{_OWN_KEYS})\b)")


@dataclass(frozen=True)
class DataFiles:
    """Input files of a run: tables or FASTA files, and separate label tables if any.

    `groups` and `test_groups` are those of further groups of labels, by name.
    """

    proteins: Path
    labels: Path | None = None
    test: Path | None = None
    test_labels: Path | None = None
    groups: Mapping[str, Path] = field(default_factory=dict)
    test_groups: Mapping[str, Path] = field(default_factory=dict)


def read_datasets(files: DataFiles, section: Mapping[str, Any]) -> tuple[Proteins, list[Rejected]]:
    """The proteins of a run and the rejected records; see `halo.proteins.ingest`.

    Parameters
    ----------
    files : input files
    section : settings of the training set (``train``), settings of the test set that differ
        (``test``), and ``partitioned``, see `halo.proteins.ingest.ingest`

    Raises
    ------
    HaloError
        if an input is wrong; names the key, the file and the line
    """
    settings = DatasetSettings.from_config(section["train"])
    partitioned = section.get("partitioned", True)
    proteins, rejected = ingest(files.proteins, files.labels, settings, partitioned, files.groups)
    if files.test is None:
        return proteins, rejected
    own = DatasetSettings.from_config({**section["train"], "split": None} | section["test"])
    try:
        test, test_rejected = ingest(
            files.test, files.test_labels, own, group_paths=files.test_groups
        )
    except HaloError as error:
        raise HaloError(_OF_A_TEST_SET.sub("dataset.test.", str(error))) from None
    return with_test_set(proteins, test, rejected + test_rejected)
