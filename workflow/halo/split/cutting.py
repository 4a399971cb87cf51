"""Cut a connected component that is too large for a fold, by removing few proteins."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from halo.split.groups import components

STARTS = 12  # nodes from which pieces are grown; more of them improve the result little


def cut(adjacency: csr_array, sizes: np.ndarray, largest: float) -> np.ndarray:
    """Nodes to remove so that no component is larger than `largest`.

    Pieces are separated from a large component until the rest is small enough. Each step grows
    pieces from several nodes and separates the one with the fewest removed proteins per protein
    of the piece. In the end, removed nodes are restored if the component that they join stays
    small enough. A single node larger than `largest` is kept.

    Parameters
    ----------
    adjacency : bool [n_nodes, n_nodes], symmetric
    sizes : float [n_nodes], number of proteins of each node
    largest : largest number of proteins of a component

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
            return _restore(adjacency, sizes, largest, removed)
        for name in large:
            members = np.flatnonzero(component == name)
            part = adjacency[members][:, members]
            border = _cheapest_border(part, sizes[members], totals[name] - largest)
            removed[members[border]] = True


def _cheapest_border(adjacency: csr_array, sizes: np.ndarray, surplus: float) -> np.ndarray:
    """Nodes whose removal separates a piece of at most about `surplus` proteins."""
    best: tuple[float, np.ndarray] = (np.inf, np.empty(0, dtype=np.int64))
    for start in _far_apart(adjacency):
        cost, border = _grow(adjacency, sizes, surplus, start)
        if cost < best[0]:
            best = cost, border
    return best[1]


def _far_apart(adjacency: csr_array) -> list[int]:
    """Start nodes, each as far as possible from those before it; distances begin at a hub."""
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
    """Grow a piece from `start` until it is as large as `surplus`, and return its best border.

    The border of a piece is the set of nodes outside with a neighbour inside; removing them
    separates the piece. Each step adds the border node that enlarges the border least, so that
    one protein family is completed before the next one begins.

    Returns
    -------
    lowest cost (size of the border per protein of the piece), and the nodes of that border
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


def _restore(
    adjacency: csr_array, sizes: np.ndarray, largest: float, removed: np.ndarray
) -> np.ndarray:
    """Restore removed nodes while components stay within `largest`, smallest component first."""
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
                best = size, int(node)
        if best[1] < 0:
            return removed
        removed[best[1]] = False


def cover(edges: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """A small vertex cover without `fixed` nodes, by a greedy search.

    Edges between two fixed nodes stay uncovered. Neighbours of fixed nodes must be in the cover.
    Then the node with the most uncovered edges is added until no edge is left, and in the end
    nodes are dropped whose edges the others cover.

    Parameters
    ----------
    edges : int64 [n_edges, 2], each once
    fixed : bool [n_nodes]

    Returns
    -------
    bool [n_nodes], True where the node is in the cover
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
