"""Cropping of long proteins in training: both ends are kept, with their features and edges."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from halo.network.batch import Batch, Data
from halo.training.crop import CroppedProteins, crop_middle


def protein(length: int, edges: list[tuple[int, int]]) -> Data:
    """A protein whose features are the numbers of its residues and edges."""
    rows = torch.arange(length, dtype=torch.float32)[:, None]
    index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T
    return Data(
        num_nodes=length,
        embedding=rows.half(),
        structure=rows + 0.25,
        coordinates=rows.repeat(1, 3),
        biochemistry=rows + 0.5,
        edge_index=index,
        edge_attr=torch.arange(len(edges), dtype=torch.float32)[:, None],
        edge_contact=torch.arange(len(edges)) % 2 == 0,
        present=torch.tensor([[True, True, True]]),
        y=torch.tensor([[1.0, 0.0]]),
        row=torch.tensor([7]),
        region=torch.arange(length),
    )


def test_both_ends_are_kept_with_the_edges_within_and_between_them():
    cropped = crop_middle(protein(10, [(0, 1), (2, 3), (0, 9), (3, 6), (8, 9), (4, 5)]), 5)
    assert cropped.num_nodes == 5
    assert cropped.embedding[:, 0].tolist() == [0, 1, 2, 8, 9]
    assert cropped.edge_index.T.tolist() == [[0, 1], [0, 4], [3, 4]]
    assert cropped.edge_attr[:, 0].tolist() == [0, 2, 4]
    assert cropped.edge_contact.tolist() == [True, True, True]
    assert cropped.y.tolist() == [[1.0, 0.0]]


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(2, 50), st.data())
def test_residues_and_edges_are_those_of_the_whole_protein(length, longest, data):
    residue = st.integers(0, length - 1)
    edges = data.draw(st.lists(st.tuples(residue, residue), max_size=30))
    whole = protein(length, edges)
    cropped = crop_middle(whole, longest)
    kept = cropped.embedding[:, 0].long().tolist()
    n_first = (longest + 1) // 2
    assert kept == [r for r in range(length) if r < n_first or r >= length - (longest - n_first)]
    assert cropped.num_nodes == len(kept) == min(length, longest)
    for name in ("structure", "coordinates", "biochemistry", "region"):
        assert torch.equal(cropped[name], whole[name][kept])
    ends = [(kept[a], kept[b]) for a, b in cropped.edge_index.T.tolist()]
    numbers = [n for n, (a, b) in enumerate(edges) if a in kept and b in kept]
    assert ends == [edges[n] for n in numbers]
    assert cropped.edge_attr[:, 0].tolist() == numbers
    assert set(dict(cropped)) == set(dict(whole))
    assert whole.num_nodes == length  # the cached protein is not changed
    assert len(whole.embedding) == length


def test_cropped_and_whole_proteins_form_a_batch():
    proteins = CroppedProteins([protein(9, [(0, 8)]), protein(3, [(0, 2)])], 4)  # type: ignore[arg-type]
    batch = Batch.from_data_list([proteins[0], proteins[1]])
    assert batch.ptr.tolist() == [0, 4, 7]
    assert batch.edge_index.T.tolist() == [[0, 3], [4, 6]]


def test_no_middle_means_no_copy():
    whole = protein(5, [])
    assert crop_middle(whole, 5) is whole


@pytest.mark.parametrize("longest", [2, 3])
def test_few_residues(longest):
    kept = crop_middle(protein(9, []), longest).embedding[:, 0].tolist()
    assert kept == np.arange(9)[[0, 8] if longest == 2 else [0, 1, 8]].tolist()
