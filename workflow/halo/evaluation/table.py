"""The table ``evaluation/predictions.csv``: one row per test protein and method."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from halo.decisions import decide, uncertainty
from halo.evaluation.models import Pooled
from halo.label_groups import LabelGroup
from halo.predictions import probability_columns
from halo.proteins.table import Proteins

DIGITS = 6
SHARED = ["id", "method", "fold", "part"]  # columns that are the same for all groups of labels
OF_A_GROUP = ("labels", "unknown", "decisions", "uncertainty", "decided_by")


def prediction_table(pools: Mapping[str, Sequence[Pooled]], proteins: Proteins) -> pd.DataFrame:
    """Probabilities averaged over seeds, decisions, true labels and uncertainty.

    Decisions compare the mean probability with the mean threshold of the fold's models.
    """
    tables = []
    for method, seeds in pools.items():
        probabilities = np.mean([pool.probabilities for pool in seeds], axis=0)
        thresholds = np.mean([pool.thresholds for pool in seeds], axis=0)
        decisions = decide(probabilities, thresholds, proteins.task)
        unsure = uncertainty(probabilities, thresholds, proteins.task)
        rows = seeds[0].rows
        deciders = zip(*(pool.decided_by for pool in seeds), strict=True)
        columns = {
            "id": proteins.ids[rows],
            "method": method,
            "fold": seeds[0].folds,
            "part": "test",
            "labels": joined(proteins.labels[rows].astype(bool), proteins.label_names),
            "unknown": joined(~proteins.known[rows], proteins.label_names),
            "decisions": joined(decisions, proteins.label_names),
            "uncertainty": unsure.round(DIGITS),
            "decided_by": [";".join(dict.fromkeys(names)) for names in deciders],
        }
        scores = {
            name: probabilities[:, index].round(DIGITS)
            for index, name in enumerate(probability_columns(proteins.label_names))
        }
        tables.append(pd.DataFrame(columns | scores))
    return pd.concat(tables, ignore_index=True)


def beside_each_other(tables: Mapping[LabelGroup, pd.DataFrame]) -> pd.DataFrame:
    """One table of the `prediction_table` of each group of labels, for the same proteins.

    Columns of further groups have names such as ``decisions:membrane``; probabilities come last.
    """
    first = next(iter(tables.values()))
    common, scores = [first[SHARED]], []
    for group, table in tables.items():
        own = table[list(OF_A_GROUP)]
        common.append(own.rename(columns=group.column))
        scores.append(table[probability_columns(group.labels)])
    return pd.concat([*common, *scores], axis=1)


def joined(chosen: np.ndarray, label_names: Sequence[str]) -> list[str]:
    """Names of the labels in each row of `chosen`, bool [n, n_labels], joined by ``;``."""
    names = np.array(label_names, dtype=object)
    return [";".join(names[row]) for row in chosen]
