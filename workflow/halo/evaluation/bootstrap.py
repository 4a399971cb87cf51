"""Bootstrap over homology groups.

Proteins of one homology group are no independent observations, so whole groups are
resampled. Nearly every metric is a function of sums over proteins; the sums of all
resamples are one matrix product of sums a group and of how often each group was drawn.
"""

import numpy as np
from scipy.sparse import csr_array

INTERVAL = 0.95
DIGITS = 6  # of the values reported: beyond it, sums differ between machines

Estimate = dict[str, float | None]


class GroupBootstrap:
    """How often each homology group was drawn, in the data and in each resample.

    Everything that is computed from it has a last axis of ``1 + resamples``: the value of
    the data itself, then that of each resample. Methods that share a `GroupBootstrap` are
    compared in the same resamples, that is, in pairs.

    Parameters
    ----------
    groups : text [n], the homology group of each protein
    resamples : number of resamples
    seed : of the draws
    """

    def __init__(self, groups: np.ndarray, resamples: int, seed: int) -> None:
        names, self.group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self.n_groups = len(names)
        self.resamples = resamples
        self.seed = seed
        generator = np.random.default_rng(seed)
        self.weights = np.ones((self.n_groups, 1 + resamples))
        for column in range(1, 1 + resamples):
            drawn = generator.integers(self.n_groups, size=self.n_groups)
            self.weights[:, column] = np.bincount(drawn, minlength=self.n_groups)

    def restricted(self, chosen: np.ndarray) -> "GroupBootstrap":
        """A bootstrap of the proteins in `chosen` (bool [n]) alone, with groups of their own."""
        return GroupBootstrap(self.group[chosen], self.resamples, self.seed)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over proteins of `values` [n, k], float64 [k, 1 + resamples]."""
        n = len(self.group)
        member = csr_array((np.ones(n), (self.group, np.arange(n))), shape=(self.n_groups, n))
        return (member @ values.astype(np.float64)).T @ self.weights


def estimate(replicates: np.ndarray, biased: bool = False) -> Estimate:
    """``value``, ``low`` and ``high`` of `replicates`, float [1 + resamples].

    The interval is the percentile interval. Resamples in which the metric is not defined
    (a label that was not drawn) do not count. None where it is not defined in the data.

    With `biased`, for a metric that is too high in a finite sample and more so in a
    resample of it, the interval is moved down by twice the bias that the resamples show:
    once for theirs, once for that of the data. It is not below 0, and goes up to the value
    at least.
    """
    value, drawn = replicates[0], replicates[1:]
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(drawn):
        return {"value": None, "low": None, "high": None}
    low, high = np.quantile(drawn, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    if biased:
        shift = 2 * (drawn.mean() - value)
        low, high = max(low - shift, 0.0), max(high - shift, value)
    return {"value": reported(value), "low": reported(low), "high": reported(high)}


def reported(value: float) -> float:
    """`value` with the digits that are the same on every machine."""
    return round(float(value), DIGITS)
