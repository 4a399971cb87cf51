"""Read ``split/assignments.csv``: the part of each protein in each fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError

TRAIN = "train"
HELD_OUT = ("val", "cal", "test")
# The fold of `release.all_proteins`, whose models are for the bundle and are not evaluated. Its
# parts are in a table of their own, see `halo.split.all_proteins`.
ALL = "all"


def read_assignments(file: Path) -> pd.DataFrame:
    """The table as text, indexed by id, with a column ``part_<fold>`` for each fold."""
    return pd.read_csv(file, dtype=str, index_col="id", keep_default_na=False)


def read_parts(file: Path, fold: str, ids: Sequence[str] | np.ndarray) -> "FoldParts":
    """Parts of the proteins with these ids in one fold."""
    return FoldParts.of_fold(read_assignments(file), fold, ids)


@dataclass(frozen=True)
class FoldParts:
    """The part of each protein in one fold: train, val, cal, test or removed.

    Attributes
    ----------
    fold
        Name of the fold.
    part
        object [n_proteins], in the order of the protein table; missing for proteins that are not
        in the split.
    """

    fold: str
    part: np.ndarray

    @classmethod
    def of_fold(
        cls, assignments: pd.DataFrame, fold: str, ids: Sequence[str] | np.ndarray
    ) -> "FoldParts":
        """Parts of the proteins with these ids; raises a HaloError if there is no such fold."""
        column = f"part_{fold}"
        if column not in assignments:
            known = ", ".join(n.removeprefix("part_") for n in assignments if n.startswith("part_"))
            raise HaloError(f"the split has no fold {fold!r}, it has {known}; repeat the split")
        return cls(fold, assignments[column].reindex(ids).to_numpy(dtype=object))

    def rows(self, *parts: str) -> np.ndarray:
        """Rows of the proteins of these parts, part by part, int64 [n]."""
        return np.concatenate([np.flatnonzero(self.part == name) for name in parts])

    def is_in(self, *parts: str) -> np.ndarray:
        """Which proteins are in one of these parts, bool [n_proteins]."""
        return np.isin(self.part, parts)

    @property
    def held_out(self) -> np.ndarray:
        """Rows of the held-out proteins, int64 [n]."""
        return self.rows(*HELD_OUT)

    @property
    def counts(self) -> dict[str, int]:
        """Number of proteins in training and in each held-out part."""
        return {name: int((self.part == name).sum()) for name in (TRAIN, *HELD_OUT)}

    def require(self, *parts: str) -> None:
        """Raise a HaloError if one of these parts has no protein."""
        for name in parts:
            if not (self.part == name).any():
                raise HaloError(
                    f"fold {self.fold} has no protein in {name!r}; give more proteins or fewer "
                    "folds"
                )
