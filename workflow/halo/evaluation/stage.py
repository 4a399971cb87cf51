"""The evaluate stage: metrics of every method on the test parts, intervals and comparisons."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.evaluation.bootstrap import INTERVAL, GroupBootstrap
from halo.evaluation.comparison import differences, threshold_comparison
from halo.evaluation.joining import joining_summary
from halo.evaluation.metrics import (
    Replicates,
    decision_replicates,
    mean_of,
    probability_replicates,
    reliability_replicates,
)
from halo.evaluation.models import Model, Pooled, pooled, read_models
from halo.evaluation.settings import EvaluationSettings
from halo.evaluation.summary import (
    conformal_summary,
    describe,
    headline,
    label_estimates,
    overall_estimates,
    reliability_table,
)
from halo.evaluation.sweep import threshold_sweep
from halo.evaluation.table import beside_each_other, prediction_table
from halo.label_groups import MAIN
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

Models = Mapping[str, Mapping[int, Sequence[Model]]]  # by method and seed
Pools = Mapping[str, Sequence[Pooled]]
Strata = Mapping[str, Mapping[str, np.ndarray]]


def evaluate(
    proteins: Proteins,
    assignments: pd.DataFrame,
    paths: Sequence[Path],
    strata: Strata,
    settings: EvaluationSettings,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Evaluate the models whose ``predictions.csv`` are given; see `evaluate_groups`."""
    models = read_models(proteins, assignments, paths)
    return evaluate_groups(proteins, assignments, models, strata, settings)


def evaluate_groups(
    proteins: Proteins,
    assignments: pd.DataFrame,
    models: Mapping[str, Models],
    strata: Strata,
    settings: EvaluationSettings,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The contents of ``metrics.json`` and ``predictions.csv``; `models` are by group of labels.

    The metrics of further groups are in ``label_groups``, by name; a group of which no test protein
    is annotated has none.
    """
    metrics: dict[str, Any] = {}
    tables = {}
    for group in proteins.groups:
        own = proteins.of_group(group)
        if group.name != MAIN:
            log.info("group %s:", group.name)
        content, tables[group] = evaluate_models(
            own, assignments, models[group.name], strata, settings
        )
        if group.name == MAIN and not content:
            raise HaloError(
                "no test protein has a known label of the main group (dataset.labels); annotate "
                "more proteins, or make another group the main one"
            )
        if group.name == MAIN:
            metrics = content
        elif content:
            metrics.setdefault("label_groups", {})[group.name] = content
    return metrics, beside_each_other(tables)


def evaluate_models(
    proteins: Proteins,
    assignments: pd.DataFrame,
    models: Models,
    strata: Strata,
    settings: EvaluationSettings,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The metrics of a group of labels, and its table of predictions.

    Metrics are of the test proteins of which a label is known; empty if there are none.

    Parameters
    ----------
    assignments
        Content of ``split/assignments.csv``, as text, indexed by id.
    models
        The models of every fold, by method and seed. The first method is the main one, with which
        the others are compared.
    strata
        Groups of proteins with separate results, by name and stratum, each bool [n_proteins].
    """
    pools = _pools(models, proteins)
    _require_same_proteins(pools, next(iter(pools.values()))[0])
    table = prediction_table(pools, proteins)
    annotated = np.asarray(proteins.known.any(axis=1))
    if not annotated[next(iter(pools.values()))[0].rows].any():
        log.warning("no test protein has a known label")
        return {}, table
    models = {
        method: {
            seed: [each.restricted(annotated[each.rows]) for each in trained]
            for seed, trained in seeds.items()
        }
        for method, seeds in models.items()
    }
    pools = _pools(models, proteins)
    reference = next(iter(pools.values()))[0]
    rows = reference.rows
    truth, known = proteins.labels[rows].astype(bool), proteins.known[rows]
    groups = assignments["group"].reindex(proteins.ids).to_numpy()[rows]
    bootstrap = GroupBootstrap(groups, settings.resamples, settings.seed)
    log.info(
        "%s test proteins in %s homology groups, %s resamples",
        f"{len(rows):,}", f"{bootstrap.n_groups:,}", f"{settings.resamples:,}",
    )  # fmt: skip
    measured = measure(truth, pools, bootstrap, known)
    folds = {fold: reference.folds == fold for fold in sorted(set(reference.folds))}
    by_fold = {
        fold: measure(
            truth[chosen], _restricted(pools, chosen), bootstrap.restricted(chosen), known[chosen]
        )
        for fold, chosen in folds.items()
    }
    methods = {
        method: {
            **describe(models[method]),
            "conformal": conformal_summary(models[method], proteins.labels),
            "joining": joining_summary(models[method], pools, method, truth, known),
            "overall": overall_estimates(measured[method]),
            "folds": {fold: overall_estimates(each[method]) for fold, each in by_fold.items()},
            "labels": label_estimates(measured[method], proteins.label_names),
            "reliability": reliability_table(
                [
                    reliability_replicates(truth, pool.probabilities, bootstrap, known)
                    for pool in seeds
                ]
            ),
        }
        for method, seeds in pools.items()
    }
    for method, content in methods.items():
        log.info("%s", headline(method, content["overall"]))
    present = truth.any(axis=0)
    metrics = {
        "task": proteins.task,
        "labels": list(proteins.label_names),
        "labels_averaged": [n for n, p in zip(proteins.label_names, present, strict=True) if p],
        "main": next(iter(pools)),
        "proteins": len(rows),
        "groups": bootstrap.n_groups,
        "folds": {fold: int(chosen.sum()) for fold, chosen in folds.items()},
        "support": dict(zip(proteins.label_names, truth.sum(axis=0).tolist(), strict=True)),
        "unknown": dict(zip(proteins.label_names, (~known).sum(axis=0).tolist(), strict=True)),
        "bootstrap": {
            "resamples": settings.resamples, "seed": settings.seed, "interval": INTERVAL,
        },
        "methods": methods,
        "differences": differences(measured, proteins.label_names),
        "thresholds": threshold_comparison(models, proteins, truth, bootstrap, known),
        "threshold_sweep": threshold_sweep(models, proteins, truth, bootstrap, known),
        "strata": _by_stratum(truth, pools, strata, rows, bootstrap, known),
    }  # fmt: skip
    return metrics, table


def _pools(models: Models, proteins: Proteins) -> Pools:
    """The test proteins of every method, one pool for each seed."""
    return {
        method: [pooled(seed, proteins.task) for seed in seeds.values()]
        for method, seeds in models.items()
    }


def measure(
    truth: np.ndarray, pools: Pools, bootstrap: GroupBootstrap, known: np.ndarray
) -> dict[str, Replicates]:
    """Every metric of every method on the `known` labels, averaged over seeds."""
    several = np.array([len(set(bootstrap.group[having])) > 1 for having in (truth & known).T])
    return {
        method: mean_of(
            [
                decision_replicates(truth, pool.decisions, bootstrap, known)
                | probability_replicates(truth, pool.probabilities, bootstrap, known)
                for pool in seeds
            ]
        ).resampled(several)
        for method, seeds in pools.items()
    }


def _by_stratum(
    truth: np.ndarray,
    pools: Pools,
    strata: Strata,
    rows: np.ndarray,
    bootstrap: GroupBootstrap,
    known: np.ndarray,
) -> dict[str, Any]:
    """Metrics of the decisions, by stratum and method.

    Strata without proteins, and those that contain all proteins, are omitted.
    """
    table: dict[str, Any] = {}
    for name, masks in strata.items():
        filled = {stratum: mask[rows] for stratum, mask in masks.items() if mask[rows].any()}
        if len(filled) == 1:
            continue
        for stratum, chosen in filled.items():
            part = bootstrap.restricted(chosen)
            measured = {
                method: mean_of(
                    [
                        decision_replicates(
                            truth[chosen], pool.decisions[chosen], part, known[chosen]
                        )
                        for pool in p
                    ]
                )
                for method, p in pools.items()
            }
            table.setdefault(name, {})[stratum] = {
                "proteins": int(chosen.sum()),
                "methods": {method: overall_estimates(r) for method, r in measured.items()},
            }
    return table


def _restricted(pools: Pools, chosen: np.ndarray) -> Pools:
    return {method: [pool.restricted(chosen) for pool in seeds] for method, seeds in pools.items()}


def _require_same_proteins(pools: Pools, reference: Pooled) -> None:
    for method, seeds in pools.items():
        for pool in seeds:
            if not np.array_equal(pool.rows, reference.rows):
                raise HaloError(
                    f"method {method!r} was not tested on the same proteins as the others; give "
                    "predictions of the same folds for every method and seed"
                )
