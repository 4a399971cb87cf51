"""The registry of public data sets, ``resources/datasets.yaml``."""

from collections.abc import Mapping
from typing import Any

from halo.config.fault import Fault, suggestion
from halo.config.merge import Config, merged

SOURCE_KEYS = ("id", "accession", "sequence", "annotations", "labels", "url", "sha256")
RULE_KEYS = ("split", "task", "duplicates")  # not of a test set


def with_registry(
    config: Mapping[str, Any], registry: Mapping[str, Any]
) -> tuple[Config, list[Fault]]:
    """A run's configuration with what the registry says of its data sets; and faults.

    What a section says itself takes precedence; a local path in ``proteins`` replaces
    the entry's URL. Sections of a wrong type are left to the model.
    """
    dataset = config.get("dataset")
    if not isinstance(dataset, Mapping):
        return dict(config), []
    completed, faults = _completed(dataset, ("dataset",), registry, SOURCE_KEYS + RULE_KEYS)
    if isinstance(dataset.get("test"), Mapping):
        completed["test"], more = _completed(
            dataset["test"], ("dataset", "test"), registry, SOURCE_KEYS
        )
        faults += more
    return {**config, "dataset": completed}, faults


def _completed(
    section: Mapping[str, Any], path: tuple[str, ...], registry: Mapping[str, Any], keys: tuple
) -> tuple[Config, list[Fault]]:
    name = section.get("registry")
    given = {key: value for key, value in section.items() if value is not None}
    if not isinstance(name, str):
        return given, []
    if name not in registry:
        text = (
            f"there is no data set {name!r} in resources/datasets.yaml{suggestion(name, registry)}"
            f"; it has {', '.join(sorted(registry))}"
        )
        return given, [Fault((*path, "registry"), text)]
    entry = {key: registry[name][key] for key in keys if registry[name].get(key) is not None}
    return merged(entry, given), []
