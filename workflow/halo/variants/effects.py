"""What a variant changes: probabilities, labels, and how that compares with chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from halo.decisions import decide
from halo.label_groups import LabelGroup, by_group
from halo.variants.background import p_values
from halo.variants.edits import Edit

CONFIDENCE = 0.95
DIGITS = 6


@dataclass(frozen=True)
class Labels:
    """Names, thresholds and groups of a bundle's labels."""

    names: Sequence[str]
    thresholds: np.ndarray
    groups: Sequence[LabelGroup]

    def given(self, probabilities: np.ndarray) -> list[str]:
        """The labels of a protein with these probabilities, float [n_labels]."""
        chosen = by_group(self.groups, decide, probabilities[None], self.thresholds)[0]
        return [name for name, one in zip(self.names, chosen, strict=True) if one]

    def by_name(self, values: np.ndarray, digits: int = DIGITS) -> dict[str, float]:
        """Rounded values [n_labels] by label."""
        return dict(zip(self.names, values.round(digits).tolist(), strict=True))


@dataclass(frozen=True)
class Background:
    """Effects of random substitutions of a wild type at a number of places.

    `differences` are float64 [n, n_labels]: probabilities minus those of the wild type.
    """

    differences: np.ndarray


def interval(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The interval of the mean difference over models, at `CONFIDENCE`, float64 [n_labels] each.

    It is Student's t interval of paired differences [n_models, n_labels], limited to -1 and 1; None
    for one model. The models are trained on overlapping data, so it is about the training of the
    models alone, and rather too narrow.
    """
    count = len(differences)
    if count < 2:
        return None
    from scipy.special import stdtrit  # slow to import

    quantile = stdtrit(count - 1, (1 + CONFIDENCE) / 2)
    half = quantile * differences.std(axis=0, ddof=1) / np.sqrt(count)
    mean = differences.mean(axis=0)
    return np.clip(mean - half, -1, 1), np.clip(mean + half, -1, 1)


def effect(
    wildtype: np.ndarray, variant: np.ndarray, labels: Labels, background: Background | None
) -> dict[str, Any]:
    """What changes from `wildtype` to `variant`, probabilities of each model [n_models, n_labels].

    Returns the fields ``labels``, ``gained``, ``lost``, ``probabilities``, ``difference``,
    ``interval`` (None for one model), ``p_value`` (of the largest change of any label) and
    ``p_values`` (by label; both None without a background).
    """
    before, after = wildtype.mean(axis=0), variant.mean(axis=0)
    old, new = labels.given(before), labels.given(after)
    difference = after - before
    bounds = interval(variant - wildtype)
    largest = int(np.abs(difference).argmax())
    p_value = by_label = None
    if background is not None and len(background.differences):
        random = np.abs(background.differences)
        p_value = round(float(p_values(np.abs(difference).max(), random.max(axis=1))), 4)
        by_label = labels.by_name(p_values(np.abs(difference), random), 4)
    return {
        "labels": new,
        "gained": [name for name in new if name not in old],
        "lost": [name for name in old if name not in new],
        "largest": labels.names[largest],
        "p_value": p_value,
        "probabilities": labels.by_name(after),
        "difference": labels.by_name(difference),
        "interval": None
        if bounds is None
        else {
            name: [round(float(low), DIGITS), round(float(high), DIGITS)]
            for name, low, high in zip(labels.names, *bounds, strict=True)
        },
        "p_values": by_label,
    }


def touched_regions(
    edits: Sequence[Edit], regions: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The `regions` of the wild type that an edit changes; see `halo.predict.regions`."""
    spans = [edit.touched for edit in edits]
    return [
        region
        for region in regions
        if any(first <= region["end"] and last >= region["start"] for first, last in spans)
    ]
