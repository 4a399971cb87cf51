"""Stretches of a protein that mattered for a label."""

from dataclasses import dataclass

import numpy as np

WINDOW = 7  # residues over which parts are averaged: single ones are noisy
SHARE = 0.5  # of the highest average, which every residue of a region reaches
GAIN = 0.25  # by which a region raises the label's logit at least
MOST = 5  # regions of a label


@dataclass(frozen=True)
class Region:
    """A stretch of residues, counted from 1, both ends included.

    `gain` is the sum of its residues' parts: by how much it raises the label's logit.
    """

    label: str
    start: int
    end: int
    gain: float


def smoothed(values: np.ndarray) -> np.ndarray:
    """Means over windows of `WINDOW` residues, shorter ones at the ends, float32 [..., length]."""
    before = WINDOW // 2
    length = values.shape[-1]
    sums = np.cumsum(np.insert(values.astype(np.float64), 0, 0, axis=-1), axis=-1)
    start = np.clip(np.arange(length) - before, 0, length)
    stop = np.clip(np.arange(length) + before + 1, 0, length)
    return ((sums[..., stop] - sums[..., start]) / (stop - start)).astype(np.float32)


def regions(label: str, values: np.ndarray) -> list[Region]:
    """The regions that speak for `label`, the first in the sequence first.

    A region is a longest stretch whose averages over `WINDOW` residues reach `SHARE` of the
    highest, if it raises the logit by `GAIN`; of more than `MOST`, those that raise it most.

    Parameters
    ----------
    values : float [length], what each residue contributes to the label's logit
    """
    averages = smoothed(values)
    if averages.max() <= 0:
        return []
    inside = np.concatenate([[0], averages >= SHARE * averages.max(), [0]]).astype(np.int8)
    starts, stops = np.flatnonzero(np.diff(inside) == 1), np.flatnonzero(np.diff(inside) == -1)
    found = [
        Region(label, int(start) + 1, int(stop), round(float(values[start:stop].sum()), 4))
        for start, stop in zip(starts, stops, strict=True)
    ]
    found = sorted((r for r in found if r.gain >= GAIN), key=lambda r: (-r.gain, r.start))
    return sorted(found[:MOST], key=lambda r: r.start)
