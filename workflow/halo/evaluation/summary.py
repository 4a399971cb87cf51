"""Contents of ``metrics.json`` from bootstrap replicates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from halo.evaluation.bootstrap import Estimate, estimate, reported
from halo.evaluation.conformal import label_coverage, label_sets
from halo.evaluation.metrics import BIASED, BINS, Replicates
from halo.evaluation.models import Model


def overall_estimates(replicates: Replicates) -> dict[str, Estimate]:
    """Estimates of the overall metrics, by metric."""
    return {name: estimate(values, name in BIASED) for name, values in replicates.overall.items()}


def label_estimates(
    replicates: Replicates, label_names: Sequence[str]
) -> dict[str, dict[str, Estimate]]:
    """Estimates by label and metric."""
    return {
        label: {
            name: estimate(values[index], name in BIASED)
            for name, values in replicates.labels.items()
        }
        for index, label in enumerate(label_names)
    }


def reliability_table(seeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Bins of the reliability curve, averaged over seeds; empty bins are omitted.

    ``count`` is the number of pairs of protein and label, averaged over seeds.
    """
    bins = []
    for index in range(BINS):
        filled = [seed for seed in seeds if seed["count"][index, 0] > 0]
        if not filled:
            continue
        observed = np.mean([seed["observed"][index] for seed in filled], axis=0)
        bins.append(
            {
                "low": index / BINS,
                "high": (index + 1) / BINS,
                "count": reported(np.mean([seed["count"][index, 0] for seed in seeds])),
                "probability": reported(np.mean([s["probability"][index, 0] for s in filled])),
                "observed": estimate(observed),
            }
        )
    return bins


def describe(seeds: Mapping[int, Sequence[Model]]) -> dict[str, Any]:
    """Class and seeds of a method, and the modality weights of a network."""
    models = [model for trained in seeds.values() for model in trained]
    description: dict[str, Any] = {
        "class": models[0].description.method_class,
        "seeds": list(seeds),
        "n_seeds": len(seeds),
        "n_models": len(models),
    }
    if models[0].description.modality_weights is not None:
        description["modality_weights"] = [
            {
                "fold": model.fold,
                "seed": model.seed,
                **{name: reported(value) for name, value in weights.items()},
            }
            for model in models
            if (weights := model.description.modality_weights) is not None
        ]
    bands = [model.description.band for model in models if model.description.band is not None]
    if bands:
        description["asked"] = reported(float(np.mean([band.asked["test"] for band in bands])))
    return description


def conformal_summary(seeds: Mapping[int, Sequence[Model]], labels: np.ndarray) -> dict[str, Any]:
    """Coverage of conformal sets on the test; empty for methods without sets.

    ``nominal`` and ``observed`` are the mean fractions of a protein's labels that are in its set,
    ``size`` is the mean number of labels in a set. `labels` are those of the protein table; without
    any label in the test ``observed`` is None.
    """
    tested = [model.of_part("test") for trained in seeds.values() for model in trained]
    given = [m.description.conformal for m in tested if m.description.conformal is not None]
    if not given:
        return {}
    sets = [label_sets(m.probabilities, g.cut) for m, g in zip(tested, given, strict=True)]
    truth = np.concatenate([labels[model.rows] for model in tested])
    together = np.concatenate(sets)
    return {
        "nominal": 1 - given[0].risk,
        "observed": reported(label_coverage(together, truth)),
        "size": reported(together.sum(axis=1).mean()),
    }


def headline(method: str, overall: Mapping[str, Estimate]) -> str:
    """One line for the log."""

    def text(name: str) -> str:
        metric = overall[name]
        if metric["value"] is None:
            return "not defined"
        if metric["low"] is None:
            return f"{metric['value']:.3f}"
        return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"

    return (
        f"{method}: macro-F1 {text('macro_f1')}, MCC {text('macro_mcc')}, exact match "
        f"{text('exact_match')}"
    )
