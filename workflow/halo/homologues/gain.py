"""Measure what homologues add to the decisions of each method, by identity."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from halo.decisions import decide
from halo.evaluation.bootstrap import GroupBootstrap, estimate, reported
from halo.evaluation.comparison import LEARNED
from halo.evaluation.conformal import label_coverage, label_sets
from halo.evaluation.metrics import Replicates, decision_replicates, mean_of
from halo.evaluation.models import Model
from halo.evaluation.settings import EvaluationSettings
from halo.evaluation.strata import binned
from halo.homologues.pairs import calibrated, find_homologues, fit_to_models, similar_hits
from halo.homologues.rule import FEWEST, HomologueRule
from halo.label_groups import MAIN
from halo.methods import JOINING
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

EDGES = (0.4, 0.6, 0.8, np.inf)  # of the bins of identity, above the rule's smallest one
METRICS = ("macro_f1", "micro_f1", "exact_match", "jaccard")
ALL = "all"  # the bin of all proteins with a homologue


@dataclass(frozen=True)
class _Tested:
    """Test proteins with a homologue, of one model: rows of the protein table, and decisions.

    `known` is bool [n, n_labels]: the label of the homologue is known.
    """

    rows: np.ndarray
    identity: np.ndarray
    known: np.ndarray
    decisions: dict[str, np.ndarray]
    sets: np.ndarray | None


def add_gains(
    metrics: dict[str, Any],
    models: Mapping[str, Mapping[str, Mapping[int, Sequence[Model]]]],
    proteins: Proteins,
    assignments: pd.DataFrame,
    hits: pd.DataFrame,
    least: float,
    risk: float,
    settings: EvaluationSettings,
) -> None:
    """Add ``homologues`` to each method of ``metrics.json``, for every group of labels.

    `models` are by group of labels; for each group, see `measure_gains`.
    """
    further = metrics.get("label_groups", {})
    for group in proteins.groups:
        content = metrics if group.name == MAIN else further.get(group.name)
        if content:  # of a group that no test protein is annotated in there are no metrics
            context = proteins.of_group(group), assignments, hits, least, risk, settings
            for method, gain in measure_gains(models[group.name], *context).items():
                content["methods"][method]["homologues"] = gain


def measure_gains(
    models: Mapping[str, Mapping[int, Sequence[Model]]],
    proteins: Proteins,
    assignments: pd.DataFrame,
    hits: pd.DataFrame,
    least: float,
    risk: float,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """Decisions of each trained or combined method alone and with homologues, by method.

    The rule of each model is fitted without the test (`fit_to_models`). The homologue of a test
    protein is the most similar one of all other proteins, test proteins included: in a split
    without leaks, no other protein is similar. So this measures what a user gets for proteins with
    a known homologue that the model has not seen.

    Parameters
    ----------
    models : by method and seed, a model of each fold
    assignments : content of ``split/assignments.csv``, as text, indexed by id
    hits : content of ``split/hits.csv.gz``
    least : smallest identity of similar proteins

    Returns
    -------
    for each method ``rules``, ``bins`` and ``conformal``, see ``docs/reference/outputs.md``;
    without ``bins`` if no rule could be fitted
    """
    similar = similar_hits(hits)
    context = proteins, assignments, similar, least, risk
    table = {}
    for method, seeds in models.items():
        method_class = next(iter(seeds.values()))[0].description.method_class
        if method_class not in (*LEARNED, *JOINING):
            continue
        rules = {
            (seed, model.fold): fit_to_models([model], *context)
            for seed, trained in seeds.items()
            for model in trained
        }
        fitted = [rule for rule in rules.values() if rule is not None]
        content: dict[str, Any] = {
            "rules": [
                {"fold": fold, "seed": seed, "rule": rule and _described(rule)}
                for (seed, fold), rule in rules.items()
            ]
        }
        if fitted:
            tested = {
                seed: [
                    _tested(model, rules[seed, model.fold], proteins, similar) for model in trained
                ]
                for seed, trained in seeds.items()
            }
            content |= _compared(tested, proteins, assignments, least, settings)
            content["conformal"] = _coverage(tested, proteins, risk)
        else:
            log.info(
                "%s: labels of homologues are not used: validation and calibration proteins with a "
                "homologue are of fewer than %s homology groups",
                method,
                FEWEST,
            )
        table[method] = content
    return table


def _described(rule: HomologueRule) -> dict[str, Any]:
    return {
        name: reported(value) if isinstance(value, float) else value
        for name, value in asdict(rule).items()
    }


def _tested(
    model: Model, rule: HomologueRule | None, proteins: Proteins, similar: pd.DataFrame
) -> _Tested:
    prediction = calibrated(model, proteins)
    test = (model.parts == "test") & proteins.known[model.rows].any(axis=1)
    everything = np.arange(len(proteins))
    homologues = find_homologues(similar, proteins, model.rows[test], everything)
    evidence = homologues.evidence(proteins)
    alone = prediction.probabilities[test][homologues.found]
    joint, thresholds = alone, prediction.thresholds
    if rule is not None:
        joint = rule(alone, evidence, proteins.task)
        thresholds = rule.thresholds(prediction.thresholds, evidence)
    decisions = {
        "alone": decide(alone, prediction.thresholds, proteins.task),
        "joined": decide(joint, thresholds, proteins.task),
        "homologue": evidence.labels,
    }
    sets = None if rule is None else label_sets(joint, rule.cut)
    rows = model.rows[test][homologues.found]
    return _Tested(rows, evidence.identity, evidence.known, decisions, sets)


def _compared(
    tested: Mapping[int, Sequence[_Tested]],
    proteins: Proteins,
    assignments: pd.DataFrame,
    least: float,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """Metrics by bin of identity; methods are compared in the same resamples.

    A label counts where it is known of the protein and of its homologue, which has no decision
    elsewhere.
    """
    first = next(iter(tested.values()))
    rows = np.concatenate([part.rows for part in first])
    identity = np.concatenate([part.identity for part in first])
    truth = proteins.labels[rows].astype(bool)
    known = proteins.known[rows] & np.concatenate([part.known for part in first])
    groups = assignments["group"].reindex(proteins.ids).to_numpy(dtype=object)[rows]
    bins = {ALL: np.ones(len(rows), dtype=bool)}
    bins |= binned(identity, (least, *(edge for edge in EDGES if edge > least)))
    content = {}
    for name, chosen in bins.items():
        if not chosen.any():
            continue
        bootstrap = GroupBootstrap(groups[chosen], settings.resamples, settings.seed)
        measured = {
            way: mean_of(
                [
                    decision_replicates(
                        truth[chosen],
                        np.concatenate([part.decisions[way] for part in parts])[chosen],
                        bootstrap,
                        known[chosen],
                    )
                    for parts in tested.values()
                ]
            )
            for way in ("alone", "homologue", "joined")
        }
        content[name] = {
            "proteins": int(chosen.sum()),
            "groups": bootstrap.n_groups,
            **{way: _estimates(replicates) for way, replicates in measured.items()},
            "gain": {
                way: {
                    metric: estimate(
                        measured["joined"].overall[metric] - measured[way].overall[metric]
                    )
                    for metric in METRICS
                }
                for way in ("alone", "homologue")
            },
        }
    return {"bins": content}


def _estimates(replicates: Replicates) -> dict[str, Any]:
    return {metric: estimate(replicates.overall[metric]) for metric in METRICS}


def _coverage(
    tested: Mapping[int, Sequence[_Tested]], proteins: Proteins, risk: float
) -> dict[str, float | None]:
    """Coverage and size of the conformal sets, over all seeds.

    The observed coverage is None if the proteins have no label.
    """
    parts = [part for models in tested.values() for part in models if part.sets is not None]
    sets = np.concatenate([part.sets for part in parts if part.sets is not None])
    truth = proteins.labels[np.concatenate([part.rows for part in parts])].astype(bool)
    if not len(sets):
        return {}
    return {
        "nominal": reported(1 - risk),
        "observed": reported(label_coverage(sets, truth)),
        "size": reported(sets.sum(axis=1).mean()),
    }
