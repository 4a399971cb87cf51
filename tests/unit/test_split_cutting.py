import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo.split.cutting import cover, cut
from halo.split.groups import components, graph


def cliques(*sizes):
    """Pairs of disjoint cliques."""
    pairs, start = [], 0
    for size in sizes:
        nodes = range(start, start + size)
        pairs += [(a, b) for a in nodes for b in nodes if a < b]
        start += size
    return pairs


def largest_component(adjacency, kept):
    return np.bincount(components(adjacency, kept)[kept]).max(initial=0)


def test_two_families_joined_by_one_protein_lose_that_protein_only():
    # Node 20 is similar to all of both families, as a protein with two domains is.
    bridge = [(20, node) for node in range(20)]
    adjacency = graph(21, np.array(cliques(10, 10) + bridge))
    assert np.flatnonzero(cut(adjacency, np.ones(21), 12)).tolist() == [20]


def test_a_chain_of_families_is_cut_at_its_bridges_and_as_rarely_as_possible():
    # Four families of ten in a row; pieces of at most 21 need one cut, in the middle.
    bridges = [(40, 0), (40, 10), (41, 11), (41, 20), (42, 21), (42, 30)]
    adjacency = graph(43, np.array(cliques(10, 10, 10, 10) + bridges))
    assert np.flatnonzero(cut(adjacency, np.ones(43), 22)).tolist() == [41]


def test_proteins_of_a_sequence_count_each():
    adjacency = graph(3, np.array([(0, 1), (1, 2)]))
    sizes = np.array([4.0, 1.0, 4.0])
    assert cut(adjacency, sizes, 9).sum() == 0
    assert np.flatnonzero(cut(adjacency, sizes, 5)).size == 1


def test_a_clique_loses_what_is_too_much_and_no_more():
    adjacency = graph(30, np.array(cliques(30)))
    assert cut(adjacency, np.ones(30), 20).sum() == 10


def test_a_single_sequence_larger_than_a_fold_stays():
    assert not cut(graph(1), np.array([50.0]), 10).any()


@settings(max_examples=60, deadline=None)
@given(
    n_nodes=st.integers(2, 40),
    density=st.floats(0.02, 0.4),
    share=st.floats(0.1, 1.0),
    seed=st.integers(0, 1000),
)
def test_no_component_is_too_large_and_no_removed_node_fits(n_nodes, density, share, seed):
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(np.triu(rng.random((n_nodes, n_nodes)) < density, 1))
    adjacency, largest = graph(n_nodes, pairs), max(1.0, share * n_nodes)
    removed = cut(adjacency, np.ones(n_nodes), largest)
    assert largest_component(adjacency, ~removed) <= largest
    for node in np.flatnonzero(removed):
        kept = ~removed
        kept[node] = True
        assert largest_component(adjacency, kept) > largest


def test_cover_of_a_star_is_its_middle():
    edges = np.array([(0, node) for node in range(1, 6)])
    assert np.flatnonzero(cover(edges, np.zeros(6, bool))).tolist() == [0]


def test_cover_takes_the_other_end_of_a_fixed_node():
    edges = np.array([(0, node) for node in range(1, 6)])
    fixed = np.arange(6) == 0
    assert np.flatnonzero(cover(edges, fixed)).tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", range(5))
def test_cover_touches_every_edge_that_it_can(seed):
    rng = np.random.default_rng(seed)
    edges = np.argwhere(np.triu(rng.random((30, 30)) < 0.2, 1))
    fixed = rng.random(30) < 0.2
    taken = cover(edges, fixed)
    assert not taken[fixed].any()
    assert (taken[edges].any(axis=1) | fixed[edges].all(axis=1)).all()
