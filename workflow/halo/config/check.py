"""A configuration checked against its model."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from halo.config.fault import Fault, Lines, raise_faults
from halo.config.merge import Config
from halo.config.messages import explain
from halo.config.model import BenchmarkSection, RunConfig
from halo.config.rules import rule_faults
from halo.config.values import as_json, corrected

Model = TypeVar("Model", bound=BaseModel)
# What stands in for a section that has faults, so that the rules can be applied to the others.
PLACEHOLDERS = {"run": "run", "dataset": {}}


def checked_config(config: Mapping[str, Any], lines: Lines | None = None) -> Config:
    """A copy of `config` with all defaults, or a HaloError that lists every fault.

    Each fault names the key by its path (``split.identity``), the error, the fix and, if `lines`
    has it, the line.
    """
    faults, model = config_faults(config)
    raise_faults(faults, lines)
    return dumped(model)


def checked_benchmark(section: Any, lines: Lines | None = None) -> Config:
    """A copy of the section ``benchmark`` with all defaults, or a HaloError as above."""
    model, faults = validated(BenchmarkSection, json.loads(as_json(section)))
    raise_faults((Fault(("benchmark", *fault.path), fault.text) for fault in faults), lines)
    assert model is not None  # there are no faults
    return dumped(model)


def config_faults(config: Mapping[str, Any]) -> tuple[list[Fault], RunConfig]:
    """All faults of a run's configuration, and the model with defaults for faulty sections."""
    plain = json.loads(as_json(config))
    model, faults = validated(RunConfig, plain)
    wrong = {str(fault.path[0]) for fault in faults if fault.path}
    if model is None:
        kept = {key: value for key, value in plain.items() if key not in wrong}
        model, _ = validated(RunConfig, PLACEHOLDERS | kept)
    assert model is not None  # the placeholders are valid
    return [*faults, *rule_faults(model, wrong)], model


def dumped(model: BaseModel) -> Config:
    """The model as a mapping of JSON values."""
    return model.model_dump(mode="json")


def validated(kind: type[Model], plain: Config) -> tuple[Model | None, list[Fault]]:
    """The model of a mapping of JSON values (changed in place), or None, and its faults."""
    while True:
        try:
            return kind.model_validate_json(json.dumps(plain)), []
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not corrected(plain, errors):
                return None, [fault for each in errors for fault in explain(each, kind)]
