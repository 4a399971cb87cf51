"""Paired comparisons of the main method with the others, and of kinds of thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from halo.evaluation.bootstrap import GroupBootstrap, estimate, reported
from halo.evaluation.metrics import Replicates, decision_replicates, mean_of
from halo.evaluation.models import Model, pooled
from halo.evaluation.thresholds import FIXED, tuned_thresholds
from halo.methods import NEIGHBOURS, NETWORKS
from halo.proteins.table import Proteins

COMPARED = ("macro_f1", "macro_mcc", "micro_f1", "exact_match", "jaccard")
COMPARED_BY_LABEL = ("f1", "mcc")
LEARNED = (*NETWORKS, *NEIGHBOURS, "esm")  # classes with learned thresholds


def differences(
    measured: Mapping[str, Replicates], label_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Differences of the first method's metrics to those of each other method.

    Both are computed in the same resamples (paired bootstrap).
    """
    main, *others = measured
    table = {}
    for other in others:
        ours, theirs = measured[main], measured[other]
        table[other] = {
            "overall": {n: estimate(ours.overall[n] - theirs.overall[n]) for n in COMPARED},
            "labels": {
                label: {
                    name: estimate(ours.labels[name][index] - theirs.labels[name][index])
                    for name in COMPARED_BY_LABEL
                }
                for index, label in enumerate(label_names)
            },
        }
    return table


def threshold_comparison(
    models: Mapping[str, Mapping[int, Sequence[Model]]],
    proteins: Proteins,
    truth: np.ndarray,
    bootstrap: GroupBootstrap,
    known: np.ndarray,
) -> dict[str, Any]:
    """Metrics of trained models with learned, fixed and tuned thresholds, and the thresholds.

    Differences are those of learned thresholds to the others, in the same resamples. Tuned
    thresholds have the best F1 on the part ``cal``; a fold without that part has none. The result
    is empty for a single-label task, which has no thresholds.
    """
    if proteins.task == "singlelabel":
        return {}
    table = {}
    for method, seeds in models.items():
        if next(iter(seeds.values()))[0].description.method_class not in LEARNED:
            continue
        chosen = {
            seed: [_thresholds(model, proteins) for model in trained]
            for seed, trained in seeds.items()
        }
        ways = [way for way in ("learned", "fixed", "tuned") if _has(chosen, way)]
        measured = {
            way: mean_of(
                [
                    decision_replicates(
                        truth,
                        pooled(trained, proteins.task, [t[way] for t in chosen[seed]]).decisions,
                        bootstrap,
                        known,
                    )
                    for seed, trained in seeds.items()
                ]
            )
            for way in ways
        }
        table[method] = {
            "overall": {
                way: {name: estimate(r.overall[name]) for name in (*COMPARED, "labels_predicted")}
                for way, r in measured.items()
            },
            "differences": {
                way: {
                    name: estimate(measured["learned"].overall[name] - measured[way].overall[name])
                    for name in COMPARED
                }
                for way in ways[1:]
            },
            "values": [
                {
                    "fold": model.fold,
                    "seed": seed,
                    **{way: _by_label(limits[way], proteins) for way in ways},
                }
                for seed, trained in seeds.items()
                for model, limits in zip(trained, chosen[seed], strict=True)
            ],
        }
    return table


def _thresholds(model: Model, proteins: Proteins) -> dict[str, np.ndarray]:
    cal = model.of_part("cal")
    limits = {"learned": model.thresholds, "fixed": np.full(len(proteins.label_names), FIXED)}
    if len(cal.rows):
        truth = proteins.labels[cal.rows].astype(bool)
        limits["tuned"] = tuned_thresholds(truth, cal.probabilities, proteins.known[cal.rows])
    return limits


def _has(chosen: Mapping[int, Sequence[Mapping[str, np.ndarray]]], way: str) -> bool:
    return all(way in limits for models in chosen.values() for limits in models)


def _by_label(thresholds: np.ndarray, proteins: Proteins) -> dict[str, float | None]:
    return dict(zip(proteins.label_names, map(reported, thresholds), strict=True))
