"""Metrics against one threshold that all labels have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from halo.decisions import decide
from halo.evaluation.bootstrap import GroupBootstrap, estimate, reported
from halo.evaluation.metrics import decision_replicates, mean_of
from halo.evaluation.models import Model, pooled
from halo.evaluation.thresholds import GRID
from halo.methods import BASELINES
from halo.proteins.table import Proteins

SWEPT = ("macro_f1", "micro_f1", "micro_mcc")


def threshold_sweep(
    models: Mapping[str, Mapping[int, Sequence[Model]]],
    proteins: Proteins,
    truth: np.ndarray,
    bootstrap: GroupBootstrap,
    known: np.ndarray,
) -> dict[str, Any]:
    """Metrics of the test at each threshold of `GRID`, by method, averaged over seeds.

    The chosen threshold has the best macro-F1 on the part ``cal``, averaged over the models; it is
    None if a fold has no such part. Only its metrics have intervals. The result is empty for a
    single-label task, which has no thresholds.
    """
    if proteins.task == "singlelabel":
        return {}
    once = GroupBootstrap(bootstrap.group, 0, bootstrap.seed)
    n_labels = truth.shape[1]

    def measured(seeds: Mapping[int, Sequence[Model]], threshold: float, of: GroupBootstrap) -> Any:
        limits = np.full(n_labels, threshold)
        return mean_of(
            [
                decision_replicates(
                    truth,
                    pooled(trained, proteins.task, [limits] * len(trained)).decisions,
                    of,
                    known,
                )
                for trained in seeds.values()
            ]
        ).overall

    table = {}
    for method, seeds in models.items():
        if next(iter(seeds.values()))[0].description.method_class in BASELINES:
            continue
        curves = [measured(seeds, threshold, once) for threshold in GRID]
        best = chosen_threshold([m for trained in seeds.values() for m in trained], proteins)
        at_best = None if best is None else measured(seeds, best, bootstrap)
        table[method] = {
            "thresholds": list(GRID),
            **{name: [reported(curve[name][0]) for curve in curves] for name in SWEPT},
            "chosen": at_best
            and {"threshold": best, **{name: estimate(at_best[name]) for name in SWEPT}},
        }
    return table


def chosen_threshold(models: Sequence[Model], proteins: Proteins) -> float | None:
    """The threshold of `GRID` with the best mean macro-F1 on ``cal``; of equal ones the lowest."""
    scores = np.zeros(len(GRID))
    for model in models:
        cal = model.of_part("cal")
        if not len(cal.rows):
            return None
        truth, known = proteins.labels[cal.rows].astype(bool), proteins.known[cal.rows]
        bootstrap = GroupBootstrap(np.arange(len(truth)), 0, seed=0)
        for index, threshold in enumerate(GRID):
            limits = np.full(truth.shape[1], threshold)
            decisions = decide(cal.probabilities, limits, proteins.task)
            replicates = decision_replicates(truth, decisions, bootstrap, known)
            scores[index] += np.nan_to_num(replicates.overall["macro_f1"][0])
    return GRID[int(scores.argmax())]
