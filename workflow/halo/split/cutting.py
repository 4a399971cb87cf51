"""Cuts a component that is too large into groups, by removing few proteins."""

import numpy as np
from scipy.sparse import csr_array

from halo.split.groups import components


def cut(adjacency: csr_array, sizes: np.ndarray, largest: float) -> np.ndarray:
    """Nodes to remove so that no component is larger than `largest`.

    Parameters
    ----------
    adjacency : bool [n_nodes, n_nodes], symmetric
    sizes : proteins of each node
    largest : most proteins of a component

    Returns
    -------
    bool [n_nodes], True where the node is removed
    """
    removed = np.zeros(len(sizes), dtype=bool)
    while True:
        component = components(adjacency, ~removed)
        totals = np.bincount(component, weights=sizes)
        totals[component[removed]] = 0
        large = np.flatnonzero(totals > largest)
        if not len(large):
            return removed
        for name in large:
            members = np.flatnonzero(component == name)
            degree = adjacency[members][:, members].sum(axis=1)
            removed[members[np.argmax(degree)]] = True
