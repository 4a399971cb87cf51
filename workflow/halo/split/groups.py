"""The similarity graph and its connected components, the homology groups."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from halo.proteins.accessions import parse_accession


def pairs_of_equals(keys: Sequence[str]) -> np.ndarray:
    """All pairs of positions with the same key; empty keys are ignored.

    Returns
    -------
    int64 [n_pairs, 2]
    """
    positions: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        if key:
            positions.setdefault(key, []).append(position)
    pairs = [pair for same in positions.values() for pair in combinations(same, 2)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def accession_base(accession: str) -> str:
    """The accession without the isoform (``P12345`` of ``P12345-2``), or ``""``."""
    parsed = parse_accession(accession)
    return parsed.base if parsed else ""


def graph(n_nodes: int, *pairs: np.ndarray) -> csr_array:
    """Symmetric boolean adjacency matrix of `n_nodes` nodes, from arrays of pairs [n, 2]."""
    edges = np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs])
    edges = edges[edges[:, 0] != edges[:, 1]]
    ends = np.concatenate([edges, edges[:, ::-1]])
    ones = np.ones(len(ends), dtype=bool)
    return coo_array((ones, (ends[:, 0], ends[:, 1])), shape=(n_nodes, n_nodes)).tocsr()


def components(adjacency: csr_array, keep: np.ndarray | None = None) -> np.ndarray:
    """Connected component of each node, int64 [n_nodes], numbered in the order of the nodes.

    Nodes for which the boolean array `keep` is False are components of their own.
    """
    if keep is not None:
        chosen = np.flatnonzero(keep)
        part = adjacency[chosen][:, chosen].tocoo()
        adjacency = graph(len(keep), np.stack([chosen[part.row], chosen[part.col]], axis=1))
    return connected_components(adjacency, directed=False)[1].astype(np.int64)
