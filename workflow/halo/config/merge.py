"""Merge configurations."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

Config = dict[str, Any]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """`base` updated recursively with the values of `over`; neither is changed."""
    result = deepcopy(dict(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = deepcopy(value)
    return result
