"""One form of what is equal, for digests."""

from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> Any:
    """`value` with numbers that are equal written alike: 10.0 is 10."""
    if isinstance(value, Mapping):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
