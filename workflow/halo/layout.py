"""What a kind of store holds of a protein.

A module of its own: the content of a store stands on it, and not on how stores are written.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Array:
    """An array of a protein: its dtype and the shape of one row (None: the same for all)."""

    dtype: str
    row: tuple[int, ...] | None = ()


@dataclass(frozen=True)
class Layout:
    """What a kind of store holds of a protein.

    `arrays` have any number of rows a protein; `attributes` are one string each.
    """

    arrays: Mapping[str, Array]
    attributes: tuple[str, ...] = ()
