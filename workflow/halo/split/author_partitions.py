"""Partitions that the authors of the data gave, in the column ``split`` of the proteins."""

import difflib
from collections import Counter
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
class AuthorFold:
    """What the authors say about a fold, bool [n_records] each.

    A record is in no more than one of them; a record that is in none is removed.
    """

    train: np.ndarray
    val: np.ndarray
    cal: np.ndarray
    test: np.ndarray


def author_folds(values: np.ndarray, settings: SplitSettings) -> list[AuthorFold]:
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
    roles = {value: ROLE_OF.get(value.lower()) for value in present}
    if settings.mode == "external":
        return [_external(values, roles, settings)]
    if any(roles.values()):
        _require_roles(values, roles)
        return [_by_role(values, roles, settings)]
    if len(present) != settings.folds:
        raise HaloError(
            f"split.folds: {settings.folds}, but the column of dataset.split has {len(present)} "
            f"partitions: {_sizes(values, present)}; correct the table where one of them is "
            f"misspelt, or set split.folds to {len(present)}"
        )
    none = np.zeros(len(values), dtype=bool)
    return [
        AuthorFold((values != value) & (values != ""), none, none, values == value)
        for value in present
    ]


def _external(
    values: np.ndarray, roles: dict[str, str | None], settings: SplitSettings
) -> AuthorFold:
    absent = [value for value in settings.test if value not in roles]
    if absent:
        raise HaloError(
            f"split.test: no protein is in {', '.join(absent)}; the column of dataset.split has "
            f"{_sizes(values, list(roles))}: name those of the external test"
        )
    if any(role for value, role in roles.items() if value not in settings.test):
        _require_roles(values, {v: r for v, r in roles.items() if v not in settings.test})
    test = np.isin(values, list(settings.test))
    if test.all():
        raise HaloError(
            f"split.test: {', '.join(settings.test)} is all that the column of dataset.split has, "
            "and nothing is left to train on; name fewer"
        )
    none = np.zeros(len(values), dtype=bool)
    return AuthorFold(~test, none, none, test)


def _require_roles(values: np.ndarray, roles: dict[str, str | None]) -> None:
    """HaloError where some partitions are called train, test, … and others are not.

    What is taken for a partition of its own may be a misspelt `test`, which would be trained on.
    """
    others = [value for value, role in roles.items() if role is None]
    if not others:
        return
    close = difflib.get_close_matches(others[0].lower(), ROLE_OF, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    raise HaloError(
        f"dataset.split: its column has {_sizes(values, others)}, which is none of "
        f"{', '.join(ROLE_OF)}, as the others are{hint}; correct the table, or leave the field "
        "blank for proteins that are not to be used"
    )


def _by_role(
    values: np.ndarray, roles: dict[str, str | None], settings: SplitSettings
) -> AuthorFold:
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
    return AuthorFold(*(role == name for name in ("train", "val", "cal", "test")))


def _natural(value: str) -> tuple[int, str]:
    return (int(value), "") if value.isdecimal() else (10**9, value)


def _some(values: list[str], most: int = 8) -> str:
    return ", ".join(values[:most]) + (", …" if len(values) > most else "")


def _sizes(values: np.ndarray, names: list[str]) -> str:
    """Partitions with the number of their proteins, the smallest first: a typo has few."""
    counts = Counter(values.tolist())
    ordered = sorted(names, key=lambda name: (counts[name], names.index(name)))
    return _some(
        [f"{name!r} ({counts[name]:,} protein{'s' * (counts[name] > 1)})" for name in ordered]
    )
