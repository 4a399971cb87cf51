"""Read trained models and their predictions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from halo.decisions import decide
from halo.errors import HaloError
from halo.fold_parts import FoldParts
from halo.label_groups import LabelGroup
from halo.model_description import ModelDescription, read_description
from halo.model_key import ModelKey
from halo.predictions import read_predictions
from halo.proteins.table import Proteins


@dataclass(frozen=True)
class Model:
    """A method trained on one fold with one seed, and its predictions of held-out proteins.

    Attributes
    ----------
    rows : int64 [n], rows of the protein table
    parts : text [n], val, cal or test
    decided_by : text [n], the method itself, or the member that decided
    probabilities : float64 [n, n_labels]
    description : content of ``model.json``
    """

    key: ModelKey
    rows: np.ndarray
    parts: np.ndarray
    decided_by: np.ndarray
    probabilities: np.ndarray
    description: ModelDescription

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.key.method

    @property
    def fold(self) -> str:
        """Name of the fold."""
        return self.key.fold

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.key.seed

    @property
    def thresholds(self) -> np.ndarray:
        """The model's own thresholds, float64 [n_labels]."""
        given = self.description.thresholds
        return np.array([given[name] for name in self.description.labels], dtype=float)

    def restricted(self, chosen: np.ndarray) -> "Model":
        """The model with the proteins in `chosen`, a boolean mask [n] or ordered positions."""
        names = ("rows", "parts", "decided_by", "probabilities")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def of_part(self, part: str) -> "Model":
        """The model with the proteins of one part."""
        return self.restricted(self.parts == part)


@dataclass(frozen=True)
class Pooled:
    """Predictions of a method with one seed for the test proteins of all folds.

    Attributes
    ----------
    rows : int64 [n], rows of the protein table, ascending
    folds : text [n], the fold in which the protein is tested
    decided_by : text [n], see `Model`
    probabilities, thresholds : float64 [n, n_labels]; thresholds are those of the fold
    decisions : bool [n, n_labels]
    """

    rows: np.ndarray
    folds: np.ndarray
    decided_by: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray
    decisions: np.ndarray

    def restricted(self, chosen: np.ndarray) -> "Pooled":
        """The proteins in `chosen`, bool [n]."""
        return Pooled(*(getattr(self, field.name)[chosen] for field in fields(self)))


def read_model(
    path: Path, proteins: Proteins, assignments: pd.DataFrame, group: LabelGroup | None = None
) -> Model:
    """Read ``<split>/<fold>/<seed>/<method>/predictions.csv`` and its ``model.json``.

    The model is that of one group of labels, the main group if `group` is None. HaloError if the
    files do not fit the proteins or the split (`assignments`, indexed by id), as those of an
    earlier run would.
    """
    path = Path(path)
    key = ModelKey.parse(path.parent)
    names = list(proteins.label_names)
    fix = "delete the file and run again"
    description = read_description(path.parent)
    if description.labels != names or description.further != proteins.further:
        raise HaloError(f"{path}: its labels are not {', '.join(names)}; {fix}")
    group = group or proteins.groups[0]
    table, decided_by, probabilities = read_predictions(path, names, group)
    if decided_by is None:
        decided_by = np.full(len(table), key.method, dtype=object)
    rows = pd.Index(proteins.ids).get_indexer(table["id"])
    parts = table["part"].to_numpy(dtype=object)
    expected = FoldParts.of_fold(assignments, key.fold, table["id"]).part
    wrong = np.flatnonzero((rows < 0) | (parts != expected))
    if len(wrong):
        first = wrong[0]
        raise HaloError(
            f"{path}: protein {table['id'].iat[first]!r} is in part {parts[first]!r} of fold "
            f"{key.fold}, but the split has it in {expected[first]!r}; {fix}"
        )
    tested = FoldParts.of_fold(assignments, key.fold, assignments.index).counts["test"]
    if (parts == "test").sum() != tested or table["id"].duplicated().any():
        raise HaloError(f"{path}: not one row for each of the {tested:,} test proteins; {fix}")
    return Model(key, rows, parts, decided_by, probabilities, description.of_group(group))


def read_models(
    proteins: Proteins, assignments: pd.DataFrame, paths: Sequence[Path]
) -> dict[str, dict[str, dict[int, list[Model]]]]:
    """The models whose ``predictions.csv`` are given: by group of labels, method and seed."""
    return {
        group.name: by_method(read_model(path, proteins, assignments, group) for path in paths)
        for group in proteins.groups
    }


def by_method(models: Iterable[Model]) -> dict[str, dict[int, list[Model]]]:
    """Models by method, in the order of their first appearance, and by seed."""
    table: dict[str, dict[int, list[Model]]] = {}
    for model in models:
        table.setdefault(model.method, {}).setdefault(model.seed, []).append(model)
    return table


def pooled(
    models: Sequence[Model], task: str, thresholds: Sequence[np.ndarray] | None = None
) -> Pooled:
    """Combine the test parts of several folds.

    `thresholds` replace those of the models.
    """
    thresholds = [model.thresholds for model in models] if thresholds is None else thresholds
    tested = [model.of_part("test") for model in models]
    rows = np.concatenate([model.rows for model in tested])
    sizes = [len(model.rows) for model in tested]
    order = np.argsort(rows, kind="stable")
    if (np.diff(rows[order]) == 0).any():
        raise HaloError("a protein is in the test part of two folds; repeat the split")
    probabilities = np.concatenate([model.probabilities for model in tested])[order]
    decided_by = np.concatenate([model.decided_by for model in tested])[order]
    limits = np.repeat(np.stack(thresholds), sizes, axis=0)[order]
    folds = np.repeat(np.array([model.fold for model in models], dtype=object), sizes)[order]
    decisions = decide(probabilities, limits, task)
    return Pooled(rows[order], folds, decided_by, probabilities, limits, decisions)
