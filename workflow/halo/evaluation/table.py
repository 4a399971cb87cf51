"""The table ``evaluation/predictions.csv``: one row per test protein and method."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from halo.decisions import decide, uncertainty
from halo.evaluation.models import Pooled
from halo.predictions import probability_columns
from halo.proteins.table import Proteins

DIGITS = 6


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


def joined(chosen: np.ndarray, label_names: Sequence[str]) -> list[str]:
    """Names of the labels in each row of `chosen`, bool [n, n_labels], joined by ``;``."""
    names = np.array(label_names, dtype=object)
    return [";".join(names[row]) for row in chosen]
