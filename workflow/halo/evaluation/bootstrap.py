"""Bootstrap over homology groups.

Proteins of one homology group are not independent, so whole groups are resampled. Most metrics
are functions of sums over proteins; the sums of all resamples are a matrix product of the sums of
each group and the number of times that each group was drawn.
"""

from copy import copy

import numpy as np

INTERVAL = 0.95
DIGITS = 6  # decimals of reported values; further ones differ between machines

Estimate = dict[str, float | None]


class GroupBootstrap:
    """Bootstrap weights of homology groups, for the data itself and for each resample.

    Results have a last axis of ``1 + resamples``: the value of the data, then that of each
    resample. Methods that share a `GroupBootstrap` are compared in the same resamples (paired
    bootstrap). A single group cannot be resampled: there are no resamples then.

    Parameters
    ----------
    groups : text [n], the homology group of each protein
    resamples : number of resamples
    seed : seed of the random draws
    """

    def __init__(self, groups: np.ndarray, resamples: int, seed: int) -> None:
        names, self.group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self.n_groups = len(names)
        self.resamples = resamples if self.n_groups > 1 else 0
        self.seed = seed
        generator = np.random.default_rng(seed)
        self.weights = np.ones((self.n_groups, 1 + self.resamples))
        for column in range(1, 1 + self.resamples):
            drawn = generator.integers(self.n_groups, size=self.n_groups)
            self.weights[:, column] = np.bincount(drawn, minlength=self.n_groups)

    def restricted(self, chosen: np.ndarray) -> "GroupBootstrap":
        """A new bootstrap of the groups of the proteins in `chosen` (bool [n])."""
        return GroupBootstrap(self.group[chosen], self.resamples, self.seed)

    def repeated(self, times: int) -> "GroupBootstrap":
        """The same resamples of a table in which each protein has `times` rows, one by one."""
        other = copy(self)
        other.group = np.repeat(self.group, times)
        return other

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over proteins of `values` [n, k], float64 [k, 1 + resamples]."""
        from scipy.sparse import csr_array  # slow to import; predictions do not need it

        n = len(self.group)
        member = csr_array((np.ones(n), (self.group, np.arange(n))), shape=(self.n_groups, n))
        return (member @ values.astype(np.float64)).T @ self.weights


def estimate(replicates: np.ndarray, biased: bool = False) -> Estimate:
    """``value``, ``low`` and ``high`` of `replicates`, float [1 + resamples].

    The interval is the percentile interval. Resamples in which the metric is not defined (because
    a label was not drawn) are ignored. All are None if the metric is not defined in the data;
    ``low`` and ``high`` are if it is defined in no resample, as of a single homology group.

    `biased` is for metrics with a positive bias in finite samples, which resampling doubles. The
    interval is shifted down by twice the difference between the mean of the resamples and the
    value, but not below 0, and it always contains the value.
    """
    value, drawn = replicates[0], replicates[1:]
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(drawn):
        return {"value": reported(value), "low": None, "high": None}
    low, high = np.quantile(drawn, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    if biased:
        shift = 2 * (drawn.mean() - value)
        low, high = max(low - shift, 0.0), max(high - shift, value)
    return {"value": reported(value), "low": reported(low), "high": reported(high)}


def reported(value: float) -> float | None:
    """`value` rounded to the decimals that are the same on all machines; None if not finite."""
    return round(float(value), DIGITS) if np.isfinite(value) else None
