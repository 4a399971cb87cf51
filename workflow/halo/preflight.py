"""Check the data of a run before its first job."""

import logging
from collections.abc import Mapping
from typing import Any

from halo.proteins.datasets import DataFiles, read_datasets
from halo.split.settings import SplitSettings


def check_data(files: DataFiles, section: Mapping[str, Any], split: Mapping[str, Any]) -> None:
    """Check the inputs of the ingest and of the split.

    Parameters
    ----------
    files : input files, which must exist
    section : see `halo.proteins.datasets.read_datasets`
    split : section ``split`` of the configuration

    Raises
    ------
    HaloError
        the error with which the ingest, or the split at its start, would fail
    """
    logging.getLogger("halo").setLevel(logging.ERROR)  # warnings belong to the log of the ingest
    proteins, _ = read_datasets(files, section)
    settings = SplitSettings.from_config(split)
    if settings.base is not None or settings.mode in ("external", "predefined"):
        from halo.split.run import check_inputs  # loads SciPy

        check_inputs(proteins, settings)
