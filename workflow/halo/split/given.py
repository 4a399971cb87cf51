"""Partitions that the authors of the data gave, in the column ``split`` of the proteins."""

from dataclasses import dataclass

import numpy as np

from halo.errors import HaloError
from halo.split.settings import SplitSettings

ROLES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "cal": ("cal", "calibration"),
    "test": ("test", "testing"),
}
ROLE_OF = {name: role for role, names in ROLES.items() for name in names}


@dataclass(frozen=True)
class GivenFold:
    """What the authors say about a fold: bool [n_records] each, where a record is in no more
    than one of them; a record that is in none is removed."""

    train: np.ndarray
    val: np.ndarray
    cal: np.ndarray
    test: np.ndarray


def given_folds(values: np.ndarray, settings: SplitSettings) -> list[GivenFold]:
    """The folds of the modes ``external`` and ``predefined``.

    Parameters
    ----------
    values : text [n_records], the given partition, ``""`` where there is none
    settings : the stage's

    Raises
    ------
    HaloError
        where the values do not suit the mode
    """
    present = sorted(set(values) - {""}, key=_natural)
    if not present:
        raise HaloError(
            f"split.mode: {settings.mode} needs the partitions of the data's authors; name their "
            "column in dataset.split"
        )
    if settings.mode == "external":
        return [_external(values, present, settings)]
    roles = {value: ROLE_OF.get(value.lower()) for value in present}
    if all(roles.values()):
        return [_by_role(values, roles, settings)]
    if len(present) != settings.folds:
        raise HaloError(
            f"split.folds: {settings.folds}, but the data have {len(present)} partitions "
            f"({_some(present)}); set it to {len(present)}"
        )
    none = np.zeros(len(values), dtype=bool)
    return [
        GivenFold((values != value) & (values != ""), none, none, values == value)
        for value in present
    ]


def _external(values: np.ndarray, present: list[str], settings: SplitSettings) -> GivenFold:
    test = np.isin(values, list(settings.test))
    if not test.any() or test.all():
        raise HaloError(
            f"split.test: {', '.join(settings.test)} is {'all' if test.all() else 'none'} of the "
            f"partitions of the data ({_some(present)}); name those of the external test"
        )
    none = np.zeros(len(values), dtype=bool)
    return GivenFold(~test, none, none, test)


def _by_role(
    values: np.ndarray, roles: dict[str, str | None], settings: SplitSettings
) -> GivenFold:
    role = np.array([roles.get(value) for value in values], dtype=object)
    missing = [name for name in ("train", "test") if name not in roles.values()]
    if missing:
        raise HaloError(
            f"split.mode: predefined, but no protein is in {' or '.join(missing)}; the column of "
            f"dataset.split has {_some(list(roles))}"
        )
    if settings.folds != 1:
        raise HaloError(
            "split.folds: the data's authors gave one division into training and test; set it to 1"
        )
    return GivenFold(*(role == name for name in ("train", "val", "cal", "test")))


def _natural(value: str) -> tuple[int, str]:
    return (int(value), "") if value.isdecimal() else (10**9, value)


def _some(values: list[str], most: int = 8) -> str:
    return ", ".join(values[:most]) + (", …" if len(values) > most else "")
