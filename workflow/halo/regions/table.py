"""Regions of the proteins of a run: ``regions.csv`` and targets for each residue."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import read_json, read_text_table, write_json, write_table

UNKNOWN = -1  # target of a residue about which nothing is known
OUTSIDE = 0  # target of a residue in no region; kinds are numbered from 1
FILE = "regions.csv"  # of the data set, and of the predictions of a model
COLUMNS = ("id", "start", "end", "kind")


@dataclass(frozen=True, order=True)
class Region:
    """Residues `start` to `end` (1-based, both included) of a kind; "" is in no region."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Regions:
    """Annotated regions by protein id.

    Attributes
    ----------
    kinds
        Names of the kinds, in the order of their numbers from 1.
    of_protein
        Regions of each annotated protein, sorted, without overlaps. Residues that no region covers
        are unknown; those that are known to be in none are covered by regions of the kind "".
    """

    kinds: tuple[str, ...]
    of_protein: dict[str, tuple[Region, ...]]

    def targets(self, protein: str, length: int) -> np.ndarray:
        """Number of the kind of each residue, int8 [length]; see `UNKNOWN` and `OUTSIDE`."""
        numbers = np.full(length, UNKNOWN, dtype=np.int8)
        number_of = {kind: number for number, kind in enumerate(("", *self.kinds))}
        for region in self.of_protein.get(protein, ()):
            numbers[region.start - 1 : region.end] = number_of[region.kind]
        return numbers

    def named(self, protein: str) -> tuple[Region, ...]:
        """The regions of a protein that have a kind."""
        return tuple(region for region in self.of_protein.get(protein, ()) if region.kind)


def runs_of(numbers: np.ndarray, names: Sequence[str]) -> tuple[Region, ...]:
    """Stretches of equal targets as regions; unknown residues are left out.

    Examples
    --------
    >>> runs_of(np.array([1, 1, 0, -1]), ["", "SP"])
    (Region(start=1, end=2, kind='SP'), Region(start=3, end=3, kind=''))
    """
    if not len(numbers):
        return ()
    cuts = np.flatnonzero(np.diff(numbers)) + 1
    bounds = zip([0, *cuts.tolist()], [*cuts.tolist(), len(numbers)], strict=True)
    return tuple(
        Region(start + 1, stop, names[numbers[start]])
        for start, stop in bounds
        if numbers[start] != UNKNOWN
    )


def region_rows(proteins: Iterable[tuple[str, Sequence[Region]]]) -> pd.DataFrame:
    """A table with `COLUMNS` of the regions of each protein."""
    rows = [(name, r.start, r.end, r.kind) for name, regions in proteins for r in regions]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_regions(file: Path, regions: Regions) -> None:
    """Write ``regions.csv`` and, beside it, ``regions.json`` with the kinds and their counts."""
    table = region_rows(sorted(regions.of_protein.items()))
    write_table(file, table)
    counts = table["kind"].value_counts()
    write_json(
        Path(file).with_suffix(".json"),
        {
            "proteins": len(regions.of_protein),
            "kinds": {kind: int(counts.get(kind, 0)) for kind in regions.kinds},
        },
    )


def read_regions(file: Path) -> Regions:
    """Read the files of `write_regions`, given the path of ``regions.csv``."""
    description = read_json(Path(file).with_suffix(".json"))
    table = read_text_table(file).astype({"start": int, "end": int})
    of_protein: dict[str, list[Region]] = {}
    for name, start, end, kind in table[list(COLUMNS)].itertuples(index=False):
        of_protein.setdefault(name, []).append(Region(start, end, kind))
    return Regions(
        tuple(description["kinds"]), {name: tuple(rows) for name, rows in of_protein.items()}
    )
