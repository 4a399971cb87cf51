"""Combine the predictions of two methods on one fold."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.cascade.calibration import Calibration, calibrate
from halo.cascade.combination import Band, MemberPrediction, choose_band, combine
from halo.cascade.settings import CascadeSettings
from halo.errors import HaloError
from halo.evaluation.conformal import risk_control
from halo.evaluation.models import Model, read_model
from halo.fold_parts import HELD_OUT, FoldParts
from halo.label_groups import MAIN, LabelGroup, as_content
from halo.methods import CASCADE, NETWORKS
from halo.model_description import Band as ChosenBand
from halo.model_description import (
    Conformal,
    DescribedGroup,
    JoinedMember,
    write_model,
)
from halo.model_key import ModelKey
from halo.predictions import DECIDED_BY, write_predictions
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

EVERYTHING = Band(-1.0, 0.5)  # the mean of both models for every protein


def join_fold(
    proteins: Proteins,
    assignments: pd.DataFrame,
    members: Sequence[Path],
    method_class: str,
    key: ModelKey,
    settings: CascadeSettings,
    folder: Path,
) -> None:
    """Write ``predictions.csv`` and ``model.json`` to `folder`.

    Each group of labels is joined by itself. Both members and the conformal sets are calibrated on
    the part ``cal``; the band of a cascade is chosen on ``val``.

    Parameters
    ----------
    assignments : content of ``split/assignments.csv``, as text, indexed by id
    members : ``predictions.csv`` of the first and of the second method
    method_class : one of `halo.methods.JOINING`
    """
    joined = [
        _join_group(proteins, group, assignments, members, method_class, key, settings)
        for group in proteins.groups
    ]
    main, *others = joined
    parts = FoldParts.of_fold(assignments, key.fold, proteins.ids)
    write_predictions(
        folder / "predictions.csv",
        proteins,
        parts,
        main.rows,
        np.concatenate([each.probabilities for each in joined], axis=1),
        {each.group.column(DECIDED_BY): each.decided_by for each in joined},
    )
    further = {
        name: DescribedGroup(**content, **each.description)
        for each, (name, content) in zip(others, as_content(proteins.further).items(), strict=True)
    }
    thresholds = np.concatenate([each.thresholds for each in joined])
    write_model(
        folder,
        method_class,
        key,
        proteins,
        parts,
        thresholds,
        groups=further or None,
        **main.description,
    )


@dataclass(frozen=True)
class _Joined:
    """Two models of a group of labels, joined.

    Attributes
    ----------
    rows : int64 [n], rows of the protein table
    probabilities : float64 [n, n_labels]
    thresholds : float64 [n_labels]
    decided_by : text [n]
    description : members, band and conformal of ``model.json``
    """

    group: LabelGroup
    rows: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray
    decided_by: np.ndarray
    description: dict[str, Any]


def _join_group(
    everything: Proteins,
    group: LabelGroup,
    assignments: pd.DataFrame,
    members: Sequence[Path],
    method_class: str,
    key: ModelKey,
    settings: CascadeSettings,
) -> _Joined:
    models = [read_model(path, everything, assignments, group) for path in members]
    _require_same_place(members, models, key)
    proteins = everything.of_group(group)
    first, second = (_in_order(model) for model in models)
    _require_same_proteins(everything, members, first.rows, second.rows)
    truth, known = proteins.labels[first.rows].astype(bool), proteins.known[first.rows]
    of_part = {name: first.parts == name for name in HELD_OUT}
    cal = of_part["cal"]
    calibrations, predictions = [], []
    for model in (first, second):
        fitted = calibrate(model.probabilities[cal], truth[cal], proteins.task, known[cal])
        calibrations.append(fitted)
        predictions.append(_calibrated(model, fitted, proteins.task))
    band = EVERYTHING
    if method_class == CASCADE:
        val = of_part["val"]
        chosen = [_chosen(each, val) for each in predictions]
        band = choose_band(chosen[0], chosen[1], truth[val], known[val])
    joint, asked = combine(predictions[0], predictions[1], band)
    cut = risk_control(joint.probabilities[cal], truth[cal], settings.risk)
    shares = {name: float(asked[rows].mean()) for name, rows in of_part.items() if rows.any()}
    part = list(shares)[-1]  # the test, or, of `ALL`, which has none, cal
    log.info(
        "fold %s%s: %s is used for %.0f %% of the %s proteins, with the weight %.1f",
        key.fold, "" if group.name == MAIN else f", {group.name}", second.method,
        100 * shares[part], part, band.weight,
    )  # fmt: skip
    fits = zip((first, second), calibrations, strict=True)
    return _Joined(
        group,
        first.rows,
        joint.probabilities,
        joint.thresholds,
        np.where(asked, _second_name(method_class, first, second), first.method),
        {
            "members": [_member(model, fitted, group.labels) for model, fitted in fits],
            "band": ChosenBand(certainty=band.certainty, weight=band.weight, asked=shares),
            "conformal": Conformal(risk=float(settings.risk), cut=cut),
        },
    )


def _require_same_place(members: Sequence[Path], models: Sequence[Model], key: ModelKey) -> None:
    """HaloError if a member is of another fold, or a network of another seed, than the result.

    Other methods have only one seed.
    """
    for path, model in zip(members, models, strict=True):
        names = ("fold", "seed") if model.description.method_class in NETWORKS else ("fold",)
        given, wanted = (_listed(of, names) for of in (model.key, key))
        if given != wanted:
            raise HaloError(
                f"{path}: of {given}, but {key.method} combines methods of {wanted}; delete the "
                "file and run again"
            )


def _require_same_proteins(
    proteins: Proteins, members: Sequence[Path], first: np.ndarray, second: np.ndarray
) -> None:
    """Raise a HaloError if one of two members does not predict a protein of the other."""
    missing = [(members[1], np.setdiff1d(first, second)), (members[0], np.setdiff1d(second, first))]
    for path, rows in missing:
        if len(rows):
            raise HaloError(
                f"{path}: no prediction of {proteins.ids[rows[0]]} and {len(rows) - 1:,} others, "
                "which the other member has; delete the file and run again"
            )


def _listed(key: ModelKey, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {getattr(key, name)}" for name in names)


def _second_name(method_class: str, first: Model, second: Model) -> str:
    return second.method if method_class == CASCADE else f"{first.method};{second.method}"


def _in_order(model: Model) -> Model:
    """The model with its proteins in the order of the protein table."""
    order = np.argsort(model.rows, kind="stable")
    return model.restricted(order)


def _calibrated(model: Model, fitted: Calibration, task: str) -> MemberPrediction:
    return MemberPrediction(fitted(model.probabilities), fitted.thresholds(model.thresholds), task)


def _chosen(prediction: MemberPrediction, chosen: np.ndarray) -> MemberPrediction:
    return MemberPrediction(
        prediction.probabilities[chosen], prediction.thresholds, prediction.task
    )


def _member(model: Model, fitted: Calibration, labels: Sequence[str]) -> JoinedMember:
    return JoinedMember(
        method=model.method,
        seed=model.seed,
        temperature=fitted.temperature,
        shifts=_by_label(labels, fitted.shifts),
    )


def _by_label(labels: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(labels, map(float, values), strict=True))
