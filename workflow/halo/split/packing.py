"""Deals groups to bins so that every label and the size are shared out evenly."""

import numpy as np

MAX_STEPS = 20_000  # of the local search; 28,303 proteins in 5 folds take a few hundred
LARGEST_SHARE = 0.1  # of a bin, that a single group may fill where smaller ones are enough


def pack(
    weights: np.ndarray,
    shares: np.ndarray,
    seed: int,
    occupied: np.ndarray | None = None,
) -> np.ndarray:
    """Bin of each group.

    The squared deviations of the bins from their shares, relative to the share, are summed
    over kinds and bins; a kind of which a bin's share is less than one protein has no say there.
    Groups are dealt from the largest to the smallest, each to the bin
    where the sum grows least; then single groups are moved and pairs of them swapped, the
    best change first, until none makes the sum smaller. A group that would fill much of a
    small bin goes to a larger one, so that a validation is not made of a few families.

    Parameters
    ----------
    weights : float [n_groups, n_kinds], how much of each kind is in a group: the first kind
        is all proteins, the others are those with a label; the order of groups decides
        between equal choices
    shares : float [n_bins], wanted shares of the total, summing to one; a bin with share 0
        stays empty
    seed : another seed gives another packing
    occupied : float [n_bins, n_kinds], what is in the bins already, or None

    Returns
    -------
    int64 [n_groups]
    """
    n_bins = len(shares)
    if not len(weights):
        return np.empty(0, dtype=np.int64)
    occupied = np.zeros((n_bins, weights.shape[1])) if occupied is None else occupied
    total = weights.sum(axis=0) + occupied.sum(axis=0)
    target = np.outer(shares, total)
    # Of a kind that has less than one protein for a bin, none at all would be the fairest share.
    importance = np.where(target >= 1, 1.0 / np.maximum(target, 1.0) ** 2, 0.0)
    kinds, kind_of = np.unique(weights, axis=0, return_inverse=True)
    kind_of = kind_of.ravel()
    allowed = _allowed(kinds[:, 0], weights[:, 0], target[:, 0])
    order = np.random.default_rng(seed).permutation(len(weights))
    order = order[np.argsort(-_largest_share(weights, total)[order], kind="stable")]
    surplus = occupied - target
    bins = np.empty(len(weights), dtype=np.int64)
    for group in order:
        weight = weights[group]
        cost = ((2 * surplus + weight) * weight * importance).sum(axis=1)
        chosen = int(np.argmin(np.where(allowed[kind_of[group]], cost, np.inf)))
        bins[group] = chosen
        surplus[chosen] += weight
    counts = np.zeros((len(kinds), n_bins), dtype=np.int64)
    np.add.at(counts, (kind_of, bins), 1)
    _improve(kinds, counts, surplus, importance, allowed)
    return _as_counted(bins, kind_of, counts, order)


def _allowed(sizes: np.ndarray, all_sizes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether a group of each size may be in each bin: bool [n_sizes, n_bins].

    It may where it is at most `LARGEST_SHARE` of the bin, or no larger than what it takes to
    have the choice among smaller groups that could fill the bin twice. A group that may be
    nowhere may be in the largest bins.
    """
    ordered = np.sort(all_sizes)
    place = np.searchsorted(np.cumsum(ordered), 2 * target)
    enough = np.append(ordered, np.inf)[place]
    largest = np.maximum(LARGEST_SHARE * target, enough)
    allowed = (sizes[:, None] <= largest) & (target > 0)
    return allowed | (~allowed.any(axis=1)[:, None] & (target == target.max()))


def _largest_share(weights: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Largest share of any kind that is in each group."""
    return (weights / np.maximum(total, 1.0)).max(axis=1, initial=0.0)


def _improve(
    kinds: np.ndarray,
    counts: np.ndarray,
    surplus: np.ndarray,
    importance: np.ndarray,
    allowed: np.ndarray,
) -> None:
    """Local search over the number of groups of each kind in each bin.

    Groups with equal weights are interchangeable, so that a few hundred distinct weights
    stand for thousands of groups, and all changes can be weighed at once.

    Parameters
    ----------
    kinds : float [n_distinct, n_kinds], distinct weights
    counts : int64 [n_distinct, n_bins], groups of each in each bin; changed in place
    surplus : float [n_bins, n_kinds], what a bin has beyond its share; changed in place
    importance : float [n_bins, n_kinds]
    allowed : bool [n_distinct, n_bins], bins that a group may be in
    """
    for _ in range(MAX_STEPS):
        state = (kinds, counts, surplus, importance, allowed)
        change = _best_move(*state) or _best_swap(*state)
        if change is None:
            break
        given, taken, source, sink = change
        difference = kinds[given].copy()
        counts[given, source] -= 1
        counts[given, sink] += 1
        if taken is not None:
            difference -= kinds[taken]
            counts[taken, sink] -= 1
            counts[taken, source] += 1
        surplus[source] -= difference
        surplus[sink] += difference


Change = tuple[int, int | None, int, int]  # given, taken in return, from bin, to bin
LEAST_GAIN = 1e-9  # below it a change may be rounding, and the search might go round in circles


def _best_move(
    kinds: np.ndarray,
    counts: np.ndarray,
    surplus: np.ndarray,
    importance: np.ndarray,
    allowed: np.ndarray,
) -> Change | None:
    squares = kinds**2 @ importance.T
    linear = 2 * kinds @ (surplus * importance).T
    leave = np.where(counts > 0, squares - linear, np.inf)
    enter = np.where(allowed, squares + linear, np.inf)
    cost = leave[:, :, None] + enter[:, None, :]
    diagonal = np.arange(counts.shape[1])
    cost[:, diagonal, diagonal] = 0.0
    given, source, sink = np.unravel_index(np.argmin(cost), cost.shape)
    if cost[given, source, sink] > -LEAST_GAIN:
        return None
    return int(given), None, int(source), int(sink)


def _best_swap(
    kinds: np.ndarray,
    counts: np.ndarray,
    surplus: np.ndarray,
    importance: np.ndarray,
    allowed: np.ndarray,
) -> Change | None:
    best, best_cost = None, -LEAST_GAIN
    for source in range(counts.shape[1]):
        for sink in range(source + 1, counts.shape[1]):
            given = np.flatnonzero((counts[:, source] > 0) & allowed[:, sink])
            taken = np.flatnonzero((counts[:, sink] > 0) & allowed[:, source])
            weight = importance[source] + importance[sink]
            slope = 2 * (surplus[sink] * importance[sink] - surplus[source] * importance[source])
            a, b = kinds[given], kinds[taken]
            cost = (
                (a @ slope + a**2 @ weight)[:, None]
                + (b**2 @ weight - b @ slope)[None, :]
                - 2 * (a * weight) @ b.T
            )
            if not cost.size:
                continue
            place = int(np.argmin(cost))
            if cost.flat[place] < best_cost:
                best_cost = float(cost.flat[place])
                i, j = np.unravel_index(place, cost.shape)
                best = int(given[i]), int(taken[j]), source, sink
    return best


def _as_counted(
    bins: np.ndarray, kind_of: np.ndarray, counts: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Bins with the `counts` wanted, and as many groups as possible where they are."""
    bins = bins.copy()
    room = counts.copy()
    waiting: dict[int, list[int]] = {}
    for group in order:
        kind = kind_of[group]
        if room[kind, bins[group]] > 0:
            room[kind, bins[group]] -= 1
        else:
            waiting.setdefault(kind, []).append(group)
    for kind, groups in waiting.items():
        places = np.repeat(np.arange(counts.shape[1]), room[kind])
        bins[groups] = places
    return bins
