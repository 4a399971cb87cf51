"""One fold of a method that joins two others: their files in, the same files out."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.cascade.calibration import Calibration, calibrate
from halo.cascade.combination import Band, MemberPrediction, choose_band, combine
from halo.cascade.conformal import risk_control
from halo.cascade.settings import CascadeSettings
from halo.errors import HaloError
from halo.evaluation.models import Model, read_model
from halo.files import write_json
from halo.methods import CASCADE, NETWORKS
from halo.predictions import HELD_OUT, write_predictions
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

EVERYTHING = Band(-1.0, 0.5)  # the mean of both, for every protein


def join_fold(
    proteins: Proteins,
    assignments: pd.DataFrame,
    members: Sequence[Path],
    kind: str,
    names: Mapping[str, object],
    settings: CascadeSettings,
    folder: Path,
) -> None:
    """Write ``predictions.csv`` and ``model.json`` to `folder`.

    Both members are calibrated on the part ``cal``, which neither has seen, and so are the
    conformal sets; the band of a cascade is chosen on ``val``.

    Parameters
    ----------
    assignments : content of ``split/assignments.csv``, as text, indexed by id
    members : ``predictions.csv`` of the method that is asked first, and of the other
    kind : one of `halo.methods.JOINING`
    names : `method`, `split`, `fold` and `seed`
    """
    models = [read_model(path, proteins, assignments) for path in members]
    _require_same_place(members, models, names)
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
    if kind == CASCADE:
        val = of_part["val"]
        band = choose_band(*(_chosen(found, val) for found in predictions), truth[val], known[val])
    joint, asked = combine(*predictions, band)
    cut = risk_control(joint.probabilities[cal], truth[cal], settings.risk)
    shares = {name: float(asked[chosen].mean()) for name, chosen in of_part.items() if chosen.any()}
    log.info(
        "fold %s: %s was asked about %.0f %% of the test proteins, with the weight %.1f",
        names["fold"], second.method, 100 * shares["test"], band.weight,
    )  # fmt: skip
    decided_by = np.where(asked, _second_name(kind, first, second), first.method)
    part = assignments[f"part_{names['fold']}"].reindex(proteins.ids).to_numpy(dtype=object)
    write_predictions(
        folder / "predictions.csv", proteins, part, first.rows, joint.probabilities, decided_by
    )
    write_json(
        folder / "model.json",
        {
            "class": kind,
            **names,
            "task": proteins.task,
            "labels": list(proteins.label_names),
            "thresholds": _by_label(proteins, joint.thresholds),
            "members": [
                {"method": model.method, "seed": model.seed, **_described(fitted, proteins)}
                for model, fitted in zip((first, second), calibrations, strict=True)
            ],
            "band": {"certainty": band.certainty, "weight": band.weight, "asked": shares},
            "conformal": {"risk": settings.risk, "cut": cut},
            "proteins": {name: int((part == name).sum()) for name in ("train", *of_part)},
        },
    )


def _require_same_place(
    members: Sequence[Path], models: Sequence[Model], names: Mapping[str, object]
) -> None:
    """HaloError where a member is of another fold, or a network of another seed, than the result.

    The other methods have one seed alone, which all share.
    """
    for path, model in zip(members, models, strict=True):
        found, wanted = {"fold": model.fold}, {"fold": str(names["fold"])}
        if model.description["class"] in NETWORKS:
            found["seed"], wanted["seed"] = model.seed, names["seed"]
        if found != wanted:
            raise HaloError(
                f"{path}: of {_listed(found)}, but {names['method']} joins methods of "
                f"{_listed(wanted)}; delete the file and run again"
            )


def _listed(place: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in place.items())


def _second_name(kind: str, first: Model, second: Model) -> str:
    return second.method if kind == CASCADE else f"{first.method};{second.method}"


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


def _described(fitted: Calibration, proteins: Proteins) -> dict[str, Any]:
    return {"temperature": fitted.temperature, "shifts": _by_label(proteins, fitted.shifts)}


def _by_label(proteins: Proteins, values: np.ndarray) -> dict[str, float]:
    return dict(zip(proteins.label_names, map(float, values), strict=True))
