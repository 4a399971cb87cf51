"""Canonical form of equal values, for digests."""

from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> Any:
    """`value` with equal numbers in the same form: 10.0 becomes 10."""
    if isinstance(value, Mapping):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
