"""Regions of a protein that support a label."""

from dataclasses import dataclass

import numpy as np

WINDOW = 7  # residues over which attributions are averaged, since single ones are noisy
SHARE = 0.5  # of the highest average, which all residues of a region reach
GAIN = 0.25  # smallest increase of the label's logit by a region
MOST = 5  # largest number of regions per label


@dataclass(frozen=True)
class Region:
    """A range of residues, counted from 1, including both ends.

    `gain` is the sum of its attributions: the increase of the label's logit.
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
    """Regions that support `label`, in the order of the sequence.

    A region is a maximal range of residues whose averages over `WINDOW` residues reach `SHARE` of
    the highest average, and which increases the logit by at least `GAIN`. At most `MOST` regions
    with the largest gains are returned.

    Parameters
    ----------
    label : name of the label
    values : float [length], attributions of the residues
    """
    averages = smoothed(values)
    if averages.max() <= 0:
        return []
    inside = np.concatenate([[0], averages >= SHARE * averages.max(), [0]]).astype(np.int8)
    starts, stops = np.flatnonzero(np.diff(inside) == 1), np.flatnonzero(np.diff(inside) == -1)
    candidates = [
        Region(label, int(start) + 1, int(stop), round(float(values[start:stop].sum()), 4))
        for start, stop in zip(starts, stops, strict=True)
    ]
    chosen = sorted((r for r in candidates if r.gain >= GAIN), key=lambda r: (-r.gain, r.start))
    return sorted(chosen[:MOST], key=lambda r: r.start)
