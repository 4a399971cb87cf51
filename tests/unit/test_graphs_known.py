"""Graphs and features with known answers: radius, termini, lower pLDDT of both ends."""

import numpy as np
import pytest
import torch

from halo.graphs.build import CONTACT, SEQUENCE_ONLY, GraphSettings, build_graph
from halo.network.features import EDGE_FLAGS, TERMINUS_SCALES, edge_features, protein_data

N = 12
STEP = 3.0  # Å between Cα atoms on a line


def line_structure() -> dict[str, np.ndarray]:
    """A structure whose Cα atoms lie on a line."""
    coordinates = np.zeros((N, 3, 3), dtype=np.float32)
    coordinates[:, :, 1] = [0.5, 0.0, -0.5]  # not all on the line
    coordinates[:, :, 0] = STEP * np.arange(N)[:, None] + [-1.0, 0.0, 1.0]  # N, Cα, C
    return {
        "coordinates": coordinates,
        "plddt": np.full(N, 90, dtype=np.float16),
        "residue": np.full(N, ord("A"), dtype=np.uint8),
        "position": np.arange(N, dtype=np.uint16),
        "fragment": np.array([[0, N]], dtype=np.uint32),
        "contacts": np.empty((0, 2), dtype=np.uint16),
    }


@pytest.mark.parametrize("radius", [5.0, 10.0, 14.0])
def test_contacts_are_those_within_the_radius_of_the_settings(radius):
    graph = build_graph("A" * N, line_structure(), GraphSettings(radius=radius))
    found = graph["edges"][(graph["kind"] & CONTACT) > 0]
    expected = [(i, j) for i in range(N) for j in range(i + 1, N) if STEP * (j - i) <= radius]
    assert [tuple(edge) for edge in found.tolist()] == expected


def test_the_first_residue_is_near_the_n_terminus_and_the_last_near_the_c_terminus():
    graph = build_graph("A" * N, None, GraphSettings())
    assert (graph["known"] == SEQUENCE_ONLY).all()
    count = len(TERMINUS_SCALES)
    ends = protein_data(graph, None).biochemistry[:, -2 * count :]
    away = np.arange(N)[:, None] / np.array(TERMINUS_SCALES)
    np.testing.assert_allclose(ends[:, :count], np.exp(-away), rtol=1e-5)
    np.testing.assert_allclose(ends[:, count:], np.exp(-away[::-1]), rtol=1e-5)


def test_the_confidence_of_a_contact_is_that_of_its_less_certain_end():
    plddt = torch.tensor([0.9, 0.3, 0.5])
    edges = torch.tensor([[0, 1], [1, 2]])
    known = torch.ones(3, dtype=torch.bool)
    found = edge_features(edges, torch.ones(2), torch.full((2,), CONTACT), plddt, known)
    flags = found[:, -len(EDGE_FLAGS) :]
    lower = flags[:, EDGE_FLAGS.index("min_plddt")]
    mean = flags[:, EDGE_FLAGS.index("mean_plddt")]
    torch.testing.assert_close(lower, torch.tensor([0.3, 0.3]))
    torch.testing.assert_close(mean, torch.tensor([0.6, 0.4]))
