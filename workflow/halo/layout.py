"""Layout of the arrays and attributes of a protein in a store.

This is a separate module because the content of stores depends on it, but not on the code that
writes stores.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Array:
    """An array of a protein: dtype, and shape of one row."""

    dtype: str
    row: tuple[int, ...] | None = ()


@dataclass(frozen=True)
class Layout:
    """Arrays and attributes of a protein in a store.

    `arrays` can have any number of rows per protein; `attributes` are strings.
    """

    arrays: Mapping[str, Array]
    attributes: tuple[str, ...] = ()
