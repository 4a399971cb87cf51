"""Complete the configuration of a run for the rules."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from halo.config.check import config_faults, dumped
from halo.config.fault import Lines, raise_faults
from halo.config.files import own_split_faults, with_found_files
from halo.config.merge import Config
from halo.config.registry import with_registry
from halo.config.yaml_file import load_yaml


def completed_config(
    config: Mapping[str, Any],
    base: Path,
    lines: Lines | None = None,
    written: Callable[[Config], Path] | None = None,
) -> Config:
    """The configuration of a run with all defaults and resolved paths.

    Parameters
    ----------
    config : configuration from files and the command line
    base : the workflow's folder
    lines : location of each key, for messages
    written : the ``assignments.csv`` that a run with a configuration writes

    Raises
    ------
    HaloError
        with every fault, each with its key and the fix
    """
    config, faults = with_registry(config, load_yaml(Path(base) / "resources/datasets.yaml"))
    more, model = config_faults(config)
    complete, missing = with_found_files(dumped(model), base)
    if written is not None:
        missing += own_split_faults(complete, written(complete))
    wrong = {fault.path[:1] for fault in more}
    faults += more + [fault for fault in missing if fault.path[:1] not in wrong]
    raise_faults(faults, lines)
    return complete
