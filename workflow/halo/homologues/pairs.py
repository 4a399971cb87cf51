"""Find homologues among the alignments of the split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo.baselines.methods import best_pairs
from halo.cascade.calibration import calibrate
from halo.cascade.combination import MemberPrediction
from halo.evaluation.models import Model
from halo.fold_parts import TRAIN, FoldParts
from halo.homologues.rule import Evidence, HomologueRule, fit_rule
from halo.proteins.table import Proteins

FITTED = ("val", "cal")  # parts that the rule is fitted to


@dataclass(frozen=True)
class Homologues:
    """The most similar protein of each of n proteins, if one is similar.

    Attributes
    ----------
    rows : int64 [n], row of the homologue in the protein table, -1 without one
    identity : float64 [n], NaN without one
    """

    rows: np.ndarray
    identity: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """Which proteins have one, bool [n]."""
        return self.rows >= 0

    def only(self, chosen: np.ndarray) -> "Homologues":
        """The homologues of the proteins in `chosen`, bool [n]; the others have none."""
        return Homologues(np.where(chosen, self.rows, -1), np.where(chosen, self.identity, np.nan))

    def evidence(self, proteins: Proteins) -> Evidence:
        """Identity and labels of the homologues of the proteins that have one."""
        rows = self.rows[self.found]
        return Evidence(
            self.identity[self.found], proteins.labels[rows].astype(bool), proteins.known[rows]
        )


def similar_hits(hits: pd.DataFrame) -> pd.DataFrame:
    """The hits of ``split/hits.csv.gz`` that are similar by the rule of the split."""
    return hits[hits["similar"] == 1]


def find_homologues(
    similar: pd.DataFrame, proteins: Proteins, queries: np.ndarray, targets: np.ndarray
) -> Homologues:
    """The homologue of each query among the targets: of similar proteins, the best alignment.

    `queries` and `targets` are rows of the protein table. No protein is its own homologue, and none
    without a known label is one.
    """
    ids = proteins.ids
    targets = targets[proteins.known[targets].any(axis=1)]
    row, hit = best_pairs(similar, ids[queries], ids[targets])
    has_hit = row >= 0
    identity = np.full(len(queries), np.nan)
    identity[has_hit] = similar["identity"].to_numpy()[hit[has_hit]]
    rows = np.full(len(queries), -1)
    rows[has_hit] = targets[row[has_hit]]
    return Homologues(rows, identity)


def calibrated(model: Model, proteins: Proteins) -> MemberPrediction:
    """Probabilities calibrated on ``cal``, with the thresholds of the same decisions.

    Those of a cascade or an average are calibrated already.
    """
    if model.description.members is not None:
        return MemberPrediction(model.probabilities, model.thresholds, proteins.task)
    cal = model.of_part("cal")
    truth = proteins.labels[cal.rows].astype(bool)
    fitted = calibrate(cal.probabilities, truth, proteins.task, proteins.known[cal.rows])
    return MemberPrediction(
        fitted(model.probabilities), fitted.thresholds(model.thresholds), proteins.task
    )


def fit_to_models(
    models: Sequence[Model],
    proteins: Proteins,
    assignments: pd.DataFrame,
    similar: pd.DataFrame,
    least: float,
    risk: float,
) -> HomologueRule | None:
    """Fit a rule to the validation and calibration proteins of one or several models.

    The homologue of such a protein is looked for in training, validation and calibration, and the
    labels of the test are not used. In a split without leaks, it is a protein of ``val`` or
    ``cal``: the model was trained on neither of them, nor on a similar one.

    Parameters
    ----------
    assignments : content of ``split/assignments.csv``, as text, indexed by id
    similar : see `similar_hits`
    least, risk : see `fit_rule`
    """
    group = assignments["group"].reindex(proteins.ids).to_numpy(dtype=object)
    parts = []
    for model in models:
        fold = FoldParts.of_fold(assignments, model.fold, proteins.ids)
        chosen = np.isin(model.parts, FITTED)
        queries = model.rows[chosen]
        targets = np.flatnonzero(fold.is_in(TRAIN, *FITTED))
        homologues = find_homologues(similar, proteins, queries, targets)
        homologues = homologues.only(proteins.known[queries].any(axis=1))
        rows = queries[homologues.found]
        evidence = homologues.evidence(proteins)
        probabilities = calibrated(model, proteins).probabilities[chosen][homologues.found]
        parts.append(
            (
                probabilities,
                *(evidence.identity, evidence.labels, evidence.known),
                *(proteins.labels[rows].astype(bool), proteins.known[rows], group[rows]),
            )
        )
    probabilities, identity, labels, given, truth, known, groups = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    evidence = Evidence(identity, labels, given)
    return fit_rule(probabilities, evidence, truth, known, groups, proteins.task, least, risk)
