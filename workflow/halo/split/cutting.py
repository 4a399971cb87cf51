"""Cuts a component that is too large for a fold, by removing few proteins."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from halo.split.groups import components

STARTS = 12  # places from which pieces are grown; more of them gain little


def cut(adjacency: csr_array, sizes: np.ndarray, largest: float) -> np.ndarray:
    """Nodes to remove so that no component is larger than `largest`.

    From a component that is too large, pieces are separated until the rest is small enough:
    each time the piece that costs the fewest removed proteins for each protein that it takes
    away, among pieces grown from several places. At the end every node that can come back
    without joining too much is put back. A single node larger than `largest` stays.

    Parameters
    ----------
    adjacency : bool [n_nodes, n_nodes], symmetric
    sizes : float [n_nodes], proteins of each node
    largest : most proteins of a component

    Returns
    -------
    bool [n_nodes], True where the node is removed
    """
    removed = np.zeros(len(sizes), dtype=bool)
    while True:
        component = components(adjacency, ~removed)
        totals = np.bincount(component, weights=sizes)
        totals[np.bincount(component) == 1] = 0
        large = np.flatnonzero(totals > largest)
        if not len(large):
            return _put_back(adjacency, sizes, largest, removed)
        for name in large:
            members = np.flatnonzero(component == name)
            part = adjacency[members][:, members]
            border = _cheapest_border(part, sizes[members], totals[name] - largest)
            removed[members[border]] = True


def _cheapest_border(adjacency: csr_array, sizes: np.ndarray, surplus: float) -> np.ndarray:
    """Nodes whose removal separates a piece; it need not be larger than `surplus`."""
    best: tuple[float, np.ndarray] = (np.inf, np.empty(0, dtype=np.int64))
    for start in _far_apart(adjacency):
        cost, border = _grow(adjacency, sizes, surplus, start)
        if cost < best[0]:
            best = cost, border
    return best[1]


def _far_apart(adjacency: csr_array) -> list[int]:
    """Nodes each as many steps as possible away from those before it; the first is a hub."""
    steps = np.full(adjacency.shape[0], np.inf)
    starts = [int(np.argmax(np.diff(adjacency.indptr)))]
    while len(starts) <= STARTS:
        steps = np.minimum(steps, _steps_from(adjacency, starts[-1]))
        if steps.max() == 0:
            break
        starts.append(int(np.argmax(steps)))
    return starts[1:]


def _steps_from(adjacency: csr_array, start: int) -> np.ndarray:
    order, before = breadth_first_order(adjacency, start, directed=False)
    steps = np.zeros(adjacency.shape[0])
    for node in order[1:]:
        steps[node] = steps[before[node]] + 1
    return steps


def _grow(
    adjacency: csr_array, sizes: np.ndarray, surplus: float, start: int
) -> tuple[float, np.ndarray]:
    """Grow a piece from `start`, and stop looking where it is as large as `surplus`.

    The border of a piece are the nodes outside of it with a neighbour inside; removing them
    separates it. Each time the node of the border enters that brings the least new border,
    so that a family is finished before the next one begins.

    Returns
    -------
    cost, the size of the border for each protein of the piece, and the border
    """
    inside = np.zeros(len(sizes), dtype=bool)
    seen = np.zeros(len(sizes), dtype=bool)
    unseen_around = adjacency.astype(float) @ sizes
    entering = np.full(len(sizes), np.inf)  # new border that a node of the border would bring

    def see(node: int) -> None:
        around = adjacency.indices[adjacency.indptr[node] : adjacency.indptr[node + 1]]
        seen[node] = True
        unseen_around[around] -= sizes[node]
        entering[around] -= sizes[node]
        entering[node] = unseen_around[node]

    see(start)
    within = border = 0.0
    best: tuple[float, np.ndarray] = (np.inf, np.empty(0, dtype=np.int64))
    border = sizes[start]
    total = sizes.sum()
    while within < surplus and within + border < total:
        node = int(np.argmin(entering))
        inside[node], entering[node] = True, np.inf
        within += sizes[node]
        border -= sizes[node]
        around = adjacency.indices[adjacency.indptr[node] : adjacency.indptr[node + 1]]
        for neighbour in around[~seen[around]]:
            see(neighbour)
            border += sizes[neighbour]
        cost = border / min(within, surplus)
        if cost < best[0]:
            best = cost, np.flatnonzero(seen & ~inside)
    return best


def _put_back(
    adjacency: csr_array, sizes: np.ndarray, largest: float, removed: np.ndarray
) -> np.ndarray:
    """Put removed nodes back that join no more than `largest`, the least joining first."""
    removed = removed.copy()
    while True:
        component = components(adjacency, ~removed)
        totals = np.bincount(component, weights=sizes)
        best: tuple[float, int] = (largest, -1)
        for node in np.flatnonzero(removed):
            around = adjacency.indices[adjacency.indptr[node] : adjacency.indptr[node + 1]]
            joined = np.unique(component[around[~removed[around]]])
            size = sizes[node] + totals[joined].sum()
            if size <= best[0]:
                best = size, node
        if best[1] < 0:
            return removed
        removed[best[1]] = False


def cover(edges: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Few nodes that touch every edge, none of them `fixed`.

    Edges between two fixed nodes stay uncovered. Nodes with a fixed neighbour must be taken;
    of the rest the one with most uncovered edges is taken until none is left, and at the end
    those are left out whose edges the others cover.

    Parameters
    ----------
    edges : int64 [n_edges, 2], each once
    fixed : bool [n_nodes]

    Returns
    -------
    bool [n_nodes], True where the node is taken
    """
    edges = edges[~fixed[edges].all(axis=1)]
    taken = np.zeros(len(fixed), dtype=bool)
    forced = edges[fixed[edges].any(axis=1)]
    taken[forced[~fixed[forced]]] = True
    chosen = []
    rest = edges
    while len(rest := rest[~taken[rest].any(axis=1)]):
        node = int(np.argmax(np.bincount(rest.ravel())))
        taken[node] = True
        chosen.append(node)
    for node in chosen:
        touching = edges[(edges == node).any(axis=1)]
        if taken[touching].all():
            taken[node] = False
    return taken
