"""A run's data, read before its first job, so that their faults are told then."""

import logging
from collections.abc import Mapping
from typing import Any

from halo.proteins.datasets import DataFiles, read_datasets
from halo.split.settings import SplitSettings


def check_data(files: DataFiles, section: Mapping[str, Any], split: Mapping[str, Any]) -> None:
    """Raise the HaloError in which the ingest, or the split at its start, would end.

    Parameters
    ----------
    files : all of them are there
    section : see `halo.proteins.datasets.read_datasets`
    split : the section ``split`` of the configuration
    """
    logging.getLogger("halo").setLevel(logging.ERROR)  # warnings are for the log of the ingest
    proteins, _ = read_datasets(files, section)
    settings = SplitSettings.from_config(split)
    if settings.base is not None or settings.mode in ("external", "predefined"):
        from halo.split.run import check_given  # loads SciPy

        check_given(proteins, settings)
