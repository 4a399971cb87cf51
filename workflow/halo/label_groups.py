"""Groups of labels that one network predicts together, each with a task of its own.

The labels of all groups are the columns of the same arrays: first those of the main group
(``dataset.labels``), then those of the further groups (``dataset.groups``) in their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MAIN = "labels"  # name of the group of `dataset.labels`


@dataclass(frozen=True)
class LabelGroup:
    """Labels that are decided together.

    Attributes
    ----------
    name
        `MAIN`, or a key of ``dataset.groups``.
    task
        ``multilabel``, or ``singlelabel`` if every annotated protein has exactly one of the labels.
    labels
        Their names.
    first
        Column of the first label in arrays of all labels.
    """

    name: str
    task: str
    labels: tuple[str, ...]
    first: int = 0

    @property
    def columns(self) -> slice:
        """Columns of the labels in arrays of all labels."""
        return slice(self.first, self.first + len(self.labels))

    def column(self, name: str) -> str:
        """Name of a column of this group in tables with columns for each group."""
        return name if self.name == MAIN else f"{name}:{self.name}"


def all_groups(
    labels: Sequence[str], task: str, further: Sequence[LabelGroup]
) -> tuple[LabelGroup, ...]:
    """The main group, of the labels that are in no further group, and the further groups."""
    n_main = len(labels) - sum(len(group.labels) for group in further)
    return (LabelGroup(MAIN, task, tuple(labels[:n_main])), *further)


def as_content(further: Sequence[LabelGroup]) -> dict[str, dict[str, Any]]:
    """Further groups as written to files: ``task`` and ``labels`` by name."""
    return {group.name: {"task": group.task, "labels": list(group.labels)} for group in further}


def from_content(
    labels: Sequence[str], content: Mapping[str, Mapping[str, Any]] | None
) -> tuple[LabelGroup, ...]:
    """The further groups of a file; the inverse of `as_content`.

    `labels` are those of all groups. ValueError if they do not end with those of the groups.
    """
    groups = content or {}
    first = len(labels) - sum(len(each["labels"]) for each in groups.values())
    if first < 1:
        raise ValueError("no label is in the main group")
    made = []
    for name, each in groups.items():
        group = LabelGroup(name, each["task"], tuple(each["labels"]), first)
        if not group.labels or tuple(labels[group.columns]) != group.labels:
            raise ValueError(f"the labels of the group {name} are not in their place")
        made.append(group)
        first += len(group.labels)
    return tuple(made)


def by_group(
    groups: Sequence[LabelGroup], compute: Callable[..., np.ndarray], *arrays: np.ndarray
) -> np.ndarray:
    """Compute labels group by group: ``compute(*columns, task)``, joined along the last axis.

    `columns` are those of the group in each of `arrays`, whose last axis is the labels.
    """
    parts = [compute(*(array[..., g.columns] for array in arrays), g.task) for g in groups]
    return np.concatenate(parts, axis=-1)
