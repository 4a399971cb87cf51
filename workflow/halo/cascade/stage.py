"""Combine the predictions of two methods on one fold."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from halo.cascade.calibration import Calibration, calibrate
from halo.cascade.combination import Band, MemberPrediction, choose_band, combine
from halo.cascade.settings import CascadeSettings
from halo.errors import HaloError
from halo.evaluation.conformal import risk_control
from halo.evaluation.models import Model, read_model
from halo.fold_parts import HELD_OUT, FoldParts
from halo.methods import CASCADE, NETWORKS
from halo.model_description import JoinedMember, described, write_description
from halo.model_key import ModelKey
from halo.predictions import write_predictions
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

    Both members and the conformal sets are calibrated on the part ``cal``; the band of a cascade
    is chosen on ``val``.

    Parameters
    ----------
    assignments : content of ``split/assignments.csv``, as text, indexed by id
    members : ``predictions.csv`` of the first and of the second method
    method_class : one of `halo.methods.JOINING`
    """
    models = [read_model(path, proteins, assignments) for path in members]
    _require_same_place(members, models, key)
    first, second = (_in_order(model) for model in models)
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
    log.info(
        "fold %s: %s is used for %.0f %% of the test proteins, with the weight %.1f",
        key.fold, second.method, 100 * shares["test"], band.weight,
    )  # fmt: skip
    decided_by = np.where(asked, _second_name(method_class, first, second), first.method)
    parts = FoldParts.of_fold(assignments, key.fold, proteins.ids)
    write_predictions(
        folder / "predictions.csv", proteins, parts, first.rows, joint.probabilities, decided_by
    )
    fits = zip((first, second), calibrations, strict=True)
    write_description(
        folder,
        described(
            method_class,
            key,
            task=proteins.task,
            labels=list(proteins.label_names),
            thresholds=_by_label(proteins, joint.thresholds),
            proteins=parts.counts,
            members=[_member(model, fitted, proteins) for model, fitted in fits],
            band={"certainty": band.certainty, "weight": band.weight, "asked": shares},
            conformal={"risk": float(settings.risk), "cut": cut},
        ),
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


def _member(model: Model, fitted: Calibration, proteins: Proteins) -> JoinedMember:
    return JoinedMember(
        method=model.method,
        seed=model.seed,
        temperature=fitted.temperature,
        shifts=_by_label(proteins, fitted.shifts),
    )


def _by_label(proteins: Proteins, values: np.ndarray) -> dict[str, float]:
    return dict(zip(proteins.label_names, map(float, values), strict=True))
