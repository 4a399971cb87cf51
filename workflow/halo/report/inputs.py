"""Read the results of a run for the report."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from halo.files import read_json, read_text_table
from halo.fold_parts import read_assignments
from halo.model_key import ModelKey
from halo.proteins.table import Proteins, read_proteins


@dataclass(frozen=True)
class RunResults:
    """The results of a run.

    Attributes
    ----------
    rejected, assignments, identity, structures, predictions
        The tables of these names.
    leakage, metrics, provenance
        The JSON files of these names.
    histories
        Training histories by model.
    """

    proteins: Proteins
    rejected: pd.DataFrame
    assignments: pd.DataFrame
    identity: pd.DataFrame
    leakage: dict[str, Any]
    structures: pd.DataFrame
    metrics: dict[str, Any]
    predictions: pd.DataFrame
    histories: dict[ModelKey, pd.DataFrame]
    provenance: dict[str, Any]


def read_run(
    proteins: Path,
    rejected: Path,
    assignments: Path,
    identity: Path,
    leakage: Path,
    structures: Path,
    metrics: Path,
    predictions: Path,
    histories: Iterable[Path],
    provenance: Path,
) -> RunResults:
    """Read the files; `histories` are ``<split>/<fold>/<seed>/<method>/history.csv``."""
    return RunResults(
        read_proteins(proteins),
        read_text_table(rejected),
        read_assignments(assignments),
        pd.read_csv(identity, dtype={"id": str}),
        read_json(leakage),
        read_text_table(structures),
        read_json(metrics),
        read_text_table(predictions).astype({"uncertainty": float}),
        _histories(histories),
        read_json(provenance),
    )


def finetuned_method(run: RunResults) -> str | None:
    """Name of the method with class `esm`, if there is one."""
    names = (name for name, m in run.metrics["methods"].items() if m["class"] == "esm")
    return next(names, None)


def _histories(paths: Iterable[Path]) -> dict[ModelKey, pd.DataFrame]:
    return {ModelKey.parse(Path(path).parent): pd.read_csv(path) for path in paths}
