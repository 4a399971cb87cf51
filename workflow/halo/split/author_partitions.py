"""Author partitions: the column ``split`` of the proteins, published with the data set."""

import difflib
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from halo.errors import HaloError
from halo.split.settings import SplitSettings

PART_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "cal": ("cal", "calibration"),
    "test": ("test", "testing"),
}
PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}


@dataclass(frozen=True)
class AuthorFold:
    """One fold by the authors' partitions: bool [n_records] each.

    A record is in at most one of them; a record in none is removed.
    """

    train: np.ndarray
    val: np.ndarray
    cal: np.ndarray
    test: np.ndarray


def author_folds(values: np.ndarray, settings: SplitSettings) -> list[AuthorFold]:
    """Folds of the modes ``external`` and ``predefined``.

    Parameters
    ----------
    values : text [n_records], author partition, ``""`` if there is none
    settings : settings of the stage

    Raises
    ------
    HaloError
        if the values do not fit the mode
    """
    present = sorted(set(values) - {""}, key=_natural)
    if not present:
        raise HaloError(
            f"split.mode: {settings.mode} needs the partitions of the data's authors; name their "
            "column in dataset.split"
        )
    parts = {value: PART_OF.get(value.lower()) for value in present}
    if settings.mode == "external" or settings.val is not None:
        return [_chosen(values, parts, settings)]
    if any(parts.values()):
        _require_part_names(values, parts)
        return [_by_part_names(values, parts, settings)]
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


def _chosen(
    values: np.ndarray, parts: dict[str, str | None], settings: SplitSettings
) -> AuthorFold:
    """The division by `settings.test` and `settings.val`; all others are for training."""
    held_out = {"test": settings.test, "val": settings.val or ()}
    for key, names in held_out.items():
        absent = [value for value in names if value not in parts]
        if absent:
            raise HaloError(
                f"split.{key}: no protein is in {', '.join(absent)}; the column of dataset.split "
                f"has {_sizes(values, list(parts))}: name those of the "
                f"{'external test' if key == 'test' else 'validation'}"
            )
    rest = {v: r for v, r in parts.items() if v not in (*settings.test, *held_out["val"])}
    if any(rest.values()):
        _require_part_names(values, rest)
    test, val = (np.isin(values, list(names)) for names in held_out.values())
    train = ~test & ~val
    if settings.mode == "predefined":  # a blank is no partition
        train &= values != ""
    if not train.any():
        raise HaloError(
            f"split.test: {', '.join([*settings.test, *held_out['val']])} is all that the column "
            "of dataset.split has, and nothing is left to train on; name fewer"
        )
    return AuthorFold(train, val, np.zeros(len(values), dtype=bool), test)


def _require_part_names(values: np.ndarray, parts: dict[str, str | None]) -> None:
    """Require that all partitions are called train, test, … if some are.

    Another name may be a misspelt `test`, on which a model would be trained.

    Raises
    ------
    HaloError
        if only some are
    """
    others = [value for value, part in parts.items() if part is None]
    if not others:
        return
    close = difflib.get_close_matches(others[0].lower(), PART_OF, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    raise HaloError(
        f"dataset.split: its column has {_sizes(values, others)}, which is none of "
        f"{', '.join(PART_OF)}, as the others are{hint}; correct the table, or leave the field "
        "blank for proteins that are not to be used"
    )


def _by_part_names(
    values: np.ndarray, parts: dict[str, str | None], settings: SplitSettings
) -> AuthorFold:
    part = np.array([parts.get(value) for value in values], dtype=object)
    missing = [name for name in ("train", "test") if name not in parts.values()]
    if missing:
        raise HaloError(
            f"split.mode: predefined, but no protein is in {' or '.join(missing)}; the column of "
            f"dataset.split has {_some(list(parts))}"
        )
    if settings.folds != 1:
        raise HaloError(
            "split.folds: the data's authors gave one division into training and test; set it to 1"
        )
    return AuthorFold(*(part == name for name in ("train", "val", "cal", "test")))


def _natural(value: str) -> tuple[int, str]:
    return (int(value), "") if re.fullmatch(r"[0-9]{1,9}", value) else (10**9, value)


def _some(values: list[str], most: int = 8) -> str:
    return ", ".join(values[:most]) + (", …" if len(values) > most else "")


def _sizes(values: np.ndarray, names: list[str]) -> str:
    """Partitions with their number of proteins, smallest first, since misspelt ones are small."""
    counts = Counter(values.tolist())
    ordered = sorted(names, key=lambda name: (counts[name], names.index(name)))
    return _some(
        [f"{name!r} ({counts[name]:,} protein{'s' * (counts[name] > 1)})" for name in ordered]
    )
