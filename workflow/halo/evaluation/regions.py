"""How well regions are predicted: by kind, for proteins and for the ends of regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.evaluation.bootstrap import GroupBootstrap, estimate
from halo.evaluation.settings import EvaluationSettings
from halo.evaluation.strata import Strata
from halo.files import read_text_table
from halo.fold_parts import FoldParts
from halo.model_description import read_description
from halo.model_key import ModelKey
from halo.proteins.table import Proteins
from halo.regions.table import FILE, UNKNOWN, Region, Regions

NEAR = 3  # residues, the tolerance with which TargetP and SignalP report cleavage sites, too
COUNTS = ("hit", "missed", "wrong", "rest", "regions", "exact", "near", "predicted")


@dataclass(frozen=True)
class Pair:
    """Annotated and predicted regions of one protein."""

    true: Sequence[Region]
    predicted: Sequence[Region]


def counts_of(pair: Pair, kind: str) -> list[int]:
    """`COUNTS` of one protein, whose sums over proteins the metrics are functions of.

    ``hit``, ``missed``, ``wrong`` and ``rest`` are 1 where the protein has a region of the kind or
    not, and where one is predicted or not. ``regions`` and ``predicted`` are numbers of regions,
    ``exact`` and ``near`` those of annotated ones whose end is predicted exactly or within `NEAR`.
    """
    true = [region.end for region in pair.true if region.kind == kind]
    predicted = [region.end for region in pair.predicted if region.kind == kind]
    off = [min((abs(end - other) for other in predicted), default=None) for end in true]
    distances = [distance for distance in off if distance is not None]
    return [
        bool(true) and bool(predicted),
        bool(true) and not predicted,
        not true and bool(predicted),
        not true and not predicted,
        len(true),
        sum(distance == 0 for distance in distances),
        sum(distance <= NEAR for distance in distances),
        len(predicted),
    ]


def metrics_of(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics from sums of `COUNTS`, float [8, ...]; NaN where nothing can be divided by.

    ``precision``, ``recall``, ``f1`` and ``mcc`` are of proteins having a region of the kind;
    ``end_exact`` and ``end_near`` are shares of the annotated regions, ``end_precision`` is the
    share of predicted regions whose end is exact.
    """
    hit, missed, wrong, rest, regions, exact, near, predicted = sums
    product = (hit + wrong) * (hit + missed) * (rest + wrong) * (rest + missed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "precision": hit / (hit + wrong),
            "recall": hit / (hit + missed),
            "f1": 2 * hit / (2 * hit + wrong + missed),
            "mcc": (hit * rest - wrong * missed) / np.sqrt(product),
            "end_exact": exact / regions,
            "end_near": near / regions,
            "end_precision": exact / predicted,
        }


def evaluate_regions(
    proteins: Proteins,
    assignments: pd.DataFrame,
    regions: Regions,
    paths: Sequence[Path],
    strata: Strata,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """The part ``regions`` of ``metrics.json``.

    Parameters
    ----------
    assignments
        Content of ``split/assignments.csv``, as text, indexed by id.
    regions
        Annotated regions; other proteins are not used.
    paths
        ``predictions.csv`` of the models, beside which the predicted regions are. Models that
        predict none are skipped.
    strata
        See `halo.evaluation.stage.evaluate`.

    Returns
    -------
    For each method: by kind, metrics with intervals (mean of the seeds) and the number of
    proteins in all and with the kind; and the same by stratum.
    """
    tested: dict[str, dict[int, dict[str, list[Region]]]] = {}
    for path in paths:
        if read_description(path.parent).regions is not None:
            key = ModelKey.parse(path.parent)
            of_seed = tested.setdefault(key.method, {}).setdefault(key.seed, {})
            of_seed |= _predicted(path.parent / FILE, key.fold, assignments, regions)
    groups = assignments["group"].reindex(proteins.ids).to_numpy()
    masks = {"": {"": np.ones(len(proteins), dtype=bool)}, **strata}
    methods: dict[str, Any] = {}
    for method, seeds in tested.items():
        names = set.intersection(*map(set, seeds.values()))
        found = [row for row, name in enumerate(proteins.ids) if name in names]
        rows = np.array(found, dtype=np.intp)
        counts = {
            kind: [
                np.array([counts_of(_pair(proteins, row, regions, of_seed), kind) for row in rows])
                for of_seed in seeds.values()
            ]
            for kind in regions.kinds
        }
        parts: dict[str, Any] = {}
        for name, of_stratum in masks.items():
            for stratum, mask in of_stratum.items():
                chosen = mask[rows]
                if chosen.any():
                    bootstrap = GroupBootstrap(
                        groups[rows[chosen]], settings.resamples, settings.seed
                    )
                    parts.setdefault(name, {})[stratum] = {
                        kind: _estimates([c[chosen] for c in counts[kind]], bootstrap)
                        for kind in regions.kinds
                    }
        # Strata that contain all proteins say nothing new.
        by_stratum = {name: part for name, part in parts.items() if name and len(part) > 1}
        methods[method] = {"kinds": parts[""][""] if len(rows) else {}, "strata": by_stratum}
    return {"kinds": list(regions.kinds), "near": NEAR, "methods": methods}


def _predicted(
    file: Path, fold: str, assignments: pd.DataFrame, regions: Regions
) -> dict[str, list[Region]]:
    """Predicted regions of each annotated test protein of a fold."""
    parts = FoldParts.of_fold(assignments, fold, assignments.index)
    tested = assignments.index[parts.rows("test")]
    predicted: dict[str, list[Region]] = {name: [] for name in tested if name in regions.of_protein}
    for row in read_text_table(file).itertuples(index=False):
        if row.id in predicted:
            predicted[row.id].append(Region(int(row.start), int(row.end), row.kind))
    return predicted


def _pair(
    proteins: Proteins, row: int, regions: Regions, predicted: Mapping[str, Sequence[Region]]
) -> Pair:
    """Regions of a protein, without predicted ones of which no residue is annotated."""
    name = proteins.ids[row]
    target = regions.targets(name, int(proteins.table["length"].iat[row]))
    known = [r for r in predicted[name] if (target[r.start - 1 : r.end] != UNKNOWN).any()]
    return Pair(regions.named(name), known)


def _estimates(counts: Sequence[np.ndarray], bootstrap: GroupBootstrap) -> dict[str, Any]:
    """Metrics with intervals, the mean of the seeds, and numbers of proteins."""
    of_seeds = [metrics_of(bootstrap.sums(each)) for each in counts]
    first = counts[0]
    return {
        "proteins": len(first),
        "with": int(first[:, :2].sum()),
        **{
            name: estimate(np.mean([each[name] for each in of_seeds], axis=0))
            for name in of_seeds[0]
        },
    }
