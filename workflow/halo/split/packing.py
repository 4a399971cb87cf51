"""Assign groups to bins so that bins have the wanted sizes and label frequencies."""

import numpy as np

MAX_STEPS = 20_000  # of the local search; 28,303 proteins in 5 folds take a few hundred
LARGEST_SHARE = 0.1  # of a bin that a single group may fill if there are enough smaller groups


def pack(
    weights: np.ndarray,
    shares: np.ndarray,
    seed: int,
    occupied: np.ndarray | None = None,
) -> np.ndarray:
    """Bin of each group.

    The cost is the sum, over bins and quantities, of the squared relative deviations from the
    wanted share; a quantity of which a bin should have less than one protein is ignored there.
    Groups are assigned from the largest to the smallest, each to the bin that increases the cost
    least. Then single groups are moved and pairs swapped, the best change first, until no change
    lowers the cost. A group that would fill much of a small bin is assigned to a larger one, so
    that a validation set does not consist of a few protein families.

    Parameters
    ----------
    weights : float [n_groups, n_quantities], amount of each quantity in each group: the first
        quantity is the number of proteins, the others the numbers of proteins with each label;
        the order of groups decides between equal choices
    shares : float [n_bins], wanted shares of the total, summing to one; a bin with share 0
        stays empty
    seed : another seed gives another packing
    occupied : float [n_bins, n_quantities], current content of the bins, or None

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
    # A bin that should have less than one protein of a quantity may as well have none.
    importance = np.where(target >= 1, 1.0 / np.maximum(target, 1.0) ** 2, 0.0)
    profiles, profile_of = np.unique(weights, axis=0, return_inverse=True)
    profile_of = profile_of.ravel()
    allowed = _allowed(profiles[:, 0], weights[:, 0], target[:, 0])
    order = np.random.default_rng(seed).permutation(len(weights))
    order = order[np.argsort(-_largest_share(weights, total)[order], kind="stable")]
    surplus = occupied - target
    bins = np.empty(len(weights), dtype=np.int64)
    for group in order:
        weight = weights[group]
        cost = ((2 * surplus + weight) * weight * importance).sum(axis=1)
        chosen = int(np.argmin(np.where(allowed[profile_of[group]], cost, np.inf)))
        bins[group] = chosen
        surplus[chosen] += weight
    counts = np.zeros((len(profiles), n_bins), dtype=np.int64)
    np.add.at(counts, (profile_of, bins), 1)
    _improve(profiles, counts, surplus, importance, allowed)
    return _as_counted(bins, profile_of, counts, order)


def _allowed(sizes: np.ndarray, all_sizes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether a group of each size may be in each bin: bool [n_sizes, n_bins].

    A group is allowed if it fills at most `LARGEST_SHARE` of the bin, or if the smaller groups
    together could not fill the bin twice. A group that is allowed in no bin may be in the
    largest bins.
    """
    ordered = np.sort(all_sizes)
    place = np.searchsorted(np.cumsum(ordered), 2 * target)
    enough = np.append(ordered, np.inf)[place]
    largest = np.maximum(LARGEST_SHARE * target, enough)
    allowed = (sizes[:, None] <= largest) & (target > 0)
    return allowed | (~allowed.any(axis=1)[:, None] & (target == target.max()))


def _largest_share(weights: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Largest share of any quantity that is in each group."""
    return (weights / np.maximum(total, 1.0)).max(axis=1, initial=0.0)


def _improve(
    profiles: np.ndarray,
    counts: np.ndarray,
    surplus: np.ndarray,
    importance: np.ndarray,
    allowed: np.ndarray,
) -> None:
    """Local search over the number of groups of each profile in each bin.

    Groups with equal weights are interchangeable: a few hundred distinct profiles represent
    thousands of groups, and all changes can be evaluated at once.

    Parameters
    ----------
    profiles : float [n_profiles, n_quantities], distinct weights of groups
    counts : int64 [n_profiles, n_bins], groups of each profile in each bin; changed in place
    surplus : float [n_bins, n_quantities], content above the wanted share; changed in place
    importance : float [n_bins, n_quantities]
    allowed : bool [n_profiles, n_bins], bins that a group may be in
    """
    for _ in range(MAX_STEPS):
        state = (profiles, counts, surplus, importance, allowed)
        change = _best_move(*state) or _best_swap(*state)
        if change is None:
            break
        given, taken, source, sink = change
        difference = profiles[given].copy()
        counts[given, source] -= 1
        counts[given, sink] += 1
        if taken is not None:
            difference -= profiles[taken]
            counts[taken, sink] -= 1
            counts[taken, source] += 1
        surplus[source] -= difference
        surplus[sink] += difference


Change = tuple[int, int | None, int, int]  # profile given, profile taken, from bin, to bin
LEAST_GAIN = 1e-9  # smaller gains may be rounding errors, and the search might not end


def _best_move(
    profiles: np.ndarray,
    counts: np.ndarray,
    surplus: np.ndarray,
    importance: np.ndarray,
    allowed: np.ndarray,
) -> Change | None:
    squares = profiles**2 @ importance.T
    linear = 2 * profiles @ (surplus * importance).T
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
    profiles: np.ndarray,
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
            a, b = profiles[given], profiles[taken]
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
    bins: np.ndarray, profile_of: np.ndarray, counts: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Bins with the wanted `counts`, in which as many groups as possible keep their bin."""
    bins = bins.copy()
    room = counts.copy()
    waiting: dict[int, list[int]] = {}
    for group in order:
        profile = profile_of[group]
        if room[profile, bins[group]] > 0:
            room[profile, bins[group]] -= 1
        else:
            waiting.setdefault(profile, []).append(group)
    for profile, groups in waiting.items():
        places = np.repeat(np.arange(counts.shape[1]), room[profile])
        bins[groups] = places
    return bins
