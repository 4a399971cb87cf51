"""Graphs: edges equal those of an exhaustive search, features are invariant to rotation."""

import gzip
import warnings

import numpy as np
import pytest
from Bio.Data.IUPACData import protein_weights
from Bio.PDB import NeighborSearch, PDBParser
from Bio.PDB.vectors import Vector, calc_angle, calc_dihedral
from Bio.SeqUtils.ProtParamData import kd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from halo.biochemistry import scales
from halo.graphs.build import (
    CONTACT,
    CONTACTS_ONLY,
    COORDINATES,
    COORDINATES_ONLY,
    NEIGHBOUR,
    SEQUENCE_ONLY,
    GraphSettings,
    build_graph,
)
from halo.graphs.geometry import (
    BACKBONE_FEATURES,
    CA,
    CONTACT_CLASSES,
    CONTACT_FEATURES,
    FEATURES,
    C,
    N,
    backbone_features,
    contact_features,
    contacts,
)
from halo.residues import ALPHABET, STANDARD, residue_indices
from halo.structures.parse import parse_structure

SETTINGS = GraphSettings()


def chain(length: int, seed: int) -> np.ndarray:
    """A random walk of residues, float32 [length, 3 atoms, 3], Å."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(length * 3, 3))
    steps *= 1.45 / np.linalg.norm(steps, axis=1, keepdims=True)
    return steps.cumsum(axis=0).reshape(length, 3, 3).astype(np.float32)


def structure(coordinates: np.ndarray, fragments=None, position=None) -> dict[str, np.ndarray]:
    length = len(coordinates)
    rng = np.random.default_rng(length)
    return {
        "coordinates": coordinates,
        "plddt": rng.uniform(20, 100, length).astype(np.float16),
        "residue": np.full(length, ord("A"), dtype=np.uint8),
        "position": np.arange(length, dtype=np.uint16) if position is None else position,
        "fragment": np.array(fragments or [(0, length)], dtype=np.uint32),
        "contacts": np.empty((0, 2), dtype=np.uint16),
    }


def edge_set(graph: dict[str, np.ndarray], bit: int) -> set[tuple[int, int]]:
    return set(map(tuple, graph["edges"][graph["kind"] & bit > 0].tolist()))


def brute_force(ca: np.ndarray, radius: float) -> set[tuple[int, int]]:
    close = np.argwhere(np.triu(cdist(ca, ca) <= radius, k=1))
    return set(map(tuple, close.tolist()))


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 80), seed=st.integers(0, 10_000))
def test_contacts_are_those_of_a_brute_force_search(length, seed):
    coordinates = chain(length, seed)
    graph = build_graph("A" * length, structure(coordinates), GraphSettings(max_contacts=1000))
    assert edge_set(graph, CONTACT) == brute_force(coordinates[:, CA].astype(float), 10.0)
    near = {(i, j) for i in range(length) for j in range(i + 1, min(i + 4, length))}
    assert edge_set(graph, NEIGHBOUR) == near
    i, j = graph["edges"][graph["kind"] & CONTACT > 0].T
    expected = np.linalg.norm(coordinates[i, CA] - coordinates[j, CA], axis=1)
    measured = graph["distance"][graph["kind"] & CONTACT > 0]
    np.testing.assert_allclose(measured, expected, atol=1e-4)
    assert np.isnan(graph["distance"][graph["kind"] == NEIGHBOUR]).all()


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 60), seed=st.integers(0, 10_000))
def test_rotation_and_translation_change_nothing(length, seed):
    coordinates = chain(length, seed).astype(np.float64)
    turn = Rotation.random(random_state=seed)
    turned = turn.apply(coordinates.reshape(-1, 3)).reshape(length, 3, 3)
    moved = turned + np.array([3.0, -40.0, 7.0])
    one = build_graph("A" * length, structure(coordinates), SETTINGS)
    two = build_graph("A" * length, structure(moved), SETTINGS)
    for name in one.keys() - {"coordinates"}:
        np.testing.assert_allclose(one[name], two[name], atol=1e-5, err_msg=name)
    for graph, expected in ((one, coordinates), (two, moved)):
        np.testing.assert_allclose(graph["coordinates"], expected[:, CA], atol=1e-4)


def test_a_mirror_image_is_another_structure():
    coordinates = chain(30, 1)
    one = build_graph("A" * 30, structure(coordinates), SETTINGS)["structure"]
    two = build_graph("A" * 30, structure(coordinates * [1, 1, -1]), SETTINGS)["structure"]
    assert np.abs(one - two).max() > 0.1


def test_geometry_agrees_with_biopython():
    xyz = chain(12, 3)
    plddt = np.full(12, 70.0)
    pairs, _ = contacts(xyz[:, CA], 10.0)
    table = backbone_features(xyz, plddt, pairs, np.arange(12))
    found = dict(zip(BACKBONE_FEATURES, table.T, strict=True))
    vectors = [[Vector(*atom) for atom in residue.astype(float)] for residue in xyz]
    for i in range(1, 12):
        phi = calc_dihedral(vectors[i - 1][C], *(vectors[i][atom] for atom in (N, CA, C)))
        assert found["sin_phi"][i] == pytest.approx(np.sin(phi), abs=1e-5)
        assert found["cos_phi"][i] == pytest.approx(np.cos(phi), abs=1e-5)
    for i in range(11):
        psi = calc_dihedral(*(vectors[i][atom] for atom in (N, CA, C)), vectors[i + 1][N])
        assert found["sin_psi"][i] == pytest.approx(np.sin(psi), abs=1e-5)
    for i in range(2, 10):
        bend = calc_angle(vectors[i - 2][CA], vectors[i][CA], vectors[i + 2][CA])
        assert found["cos_bend"][i] == pytest.approx(np.cos(bend), abs=1e-5)
    for i in range(1, 10):
        twist = calc_dihedral(*(vectors[i + step][CA] for step in (-1, 0, 1, 2)))
        assert found["cos_twist"][i] == pytest.approx(np.cos(twist), abs=1e-5)
    assert found["sin_phi"][0] == 0
    assert found["plddt"][0] == pytest.approx(0.7)


def test_missing_atoms_and_breaks_leave_zeros_not_nan():
    coordinates = chain(20, 5)
    coordinates[7, C] = np.nan
    coordinates[9] = np.nan
    position = np.r_[np.arange(12), np.arange(14, 22)].astype(np.uint16)
    graph = build_graph("A" * 22, structure(coordinates, position=position), SETTINGS)
    assert np.isfinite(graph["structure"]).all()
    assert graph["known"][12] == graph["known"][13] == SEQUENCE_ONLY
    assert graph["known"][0] == COORDINATES
    assert not [edge for edge in edge_set(graph, CONTACT) if 9 in edge]
    column = FEATURES.index("sin_phi")
    assert graph["structure"][8, column] == graph["structure"][14, column] == 0


def test_fragments_have_no_contacts_between_them():
    """Two fragments that share residues 10 to 19, laid upon each other by chance."""
    one, two = chain(20, 1), chain(20, 2)
    both = np.concatenate([one, two])
    position = np.r_[np.arange(20), np.arange(10, 30)].astype(np.uint16)
    found = structure(both, [(0, 20), (20, 40)], position)
    graph = build_graph("A" * 30, found, GraphSettings(max_contacts=1000))
    shifted = {(i + 10, j + 10) for i, j in brute_force(two[:, CA], 10.0)}
    assert edge_set(graph, CONTACT) == brute_force(one[:, CA], 10.0) | shifted
    assert not [edge for edge in edge_set(graph, CONTACT) if edge[0] < 10 and edge[1] >= 20]
    overlap = (found["plddt"][15].astype(float) + found["plddt"][25]) / 200
    assert graph["structure"][15, 0] == pytest.approx(overlap, abs=1e-3)


def test_an_unknown_plddt_is_masked_and_none_is_made_up():
    known = structure(chain(20, 6))
    unknown = known | {"plddt": np.full(20, np.nan, np.float16)}
    graph, bare = (build_graph("A" * 20, one, SETTINGS) for one in (known, unknown))
    assert set(graph["known"]) == {COORDINATES}
    assert set(bare["known"]) == {COORDINATES_ONLY}
    column = FEATURES.index("plddt")
    assert not bare["structure"][:, column].any()
    others = np.arange(len(FEATURES)) != column
    np.testing.assert_array_equal(graph["structure"][:, others], bare["structure"][:, others])
    np.testing.assert_array_equal(graph["edges"], bare["edges"])
    partly = known["plddt"].copy()
    partly[:5] = np.nan
    graph = build_graph("A" * 20, known | {"plddt": partly}, SETTINGS)
    assert graph["known"].tolist() == [COORDINATES_ONLY] * 5 + [COORDINATES] * 15
    # Of overlapping fragments those that tell it count.
    both = structure(np.concatenate([chain(10, 1), chain(10, 2)]), [(0, 10), (10, 20)])
    both |= {"position": np.tile(np.arange(10, dtype=np.uint16), 2)}
    both |= {"plddt": np.r_[np.full(10, np.nan), np.full(10, 60)].astype(np.float16)}
    graph = build_graph("A" * 10, both, SETTINGS)
    np.testing.assert_allclose(graph["structure"][:, column], 0.6, atol=1e-6)
    assert set(graph["known"]) == {COORDINATES}


def test_contacts_only_and_sequence_only():
    pairs = np.array([[0, 5], [2, 9]], dtype=np.uint16)
    empty = structure(np.empty((0, 3, 3), dtype=np.float32), [(0, 0)])
    graph = build_graph("ACDEFGHIKL", empty | {"contacts": pairs}, SETTINGS)
    assert edge_set(graph, CONTACT) == {(0, 5), (2, 9)}
    assert (graph["known"] == CONTACTS_ONLY).all()
    assert np.isnan(graph["distance"]).all()
    alone = build_graph("ACDEFGHIKL", None, SETTINGS)
    assert not edge_set(alone, CONTACT)
    assert (alone["known"] == SEQUENCE_ONLY).all()
    assert not alone["structure"].any()
    assert len(build_graph("M", None, SETTINGS)["edges"]) == 0


@settings(max_examples=25, deadline=None)
@given(length=st.integers(2, 60), seed=st.integers(0, 10_000))
def test_contacts_are_counted_by_their_separation(length, seed):
    close = np.triu(np.random.default_rng(seed).random((length, length)) < 0.3, k=1)
    found = contact_features(np.argwhere(close), length)
    classes = list(CONTACT_CLASSES.items())
    for column, (first, usual) in enumerate(classes):
        last = classes[column + 1][0] if column + 1 < len(classes) else length
        for residue in range(length):
            partners = np.flatnonzero(close[residue] | close[:, residue])
            count = sum(first <= abs(partner - residue) < last for partner in partners)
            assert found[residue, column] == pytest.approx(count / usual)


def test_a_helix_and_a_strand_differ_in_their_contacts():
    turn = np.radians(100) * np.arange(20)
    helix = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(20)], axis=1)
    strand = np.stack([np.zeros(20), np.zeros(20), 3.3 * np.arange(20)], axis=1)
    rows = [contact_features(contacts(ca, 10.0)[0], 20)[10] for ca in (helix, strand)]
    helical, extended = (dict(zip(CONTACT_FEATURES, row, strict=True)) for row in rows)
    assert (helical["contacts_from_5"], helical["contacts_from_7"]) == (1, 0)
    assert (extended["contacts_from_3"], extended["contacts_from_4"]) == (1, 0)


def test_a_map_of_contacts_tells_of_them_what_a_model_tells():
    coordinates = chain(60, 4)
    model = build_graph("A" * 60, structure(coordinates), GraphSettings(max_contacts=5))
    pairs, _ = contacts(coordinates[:, CA], 10.0)
    bare = structure(np.empty((0, 3, 3), dtype=np.float32), [(0, 0)]) | {"contacts": pairs}
    graph = build_graph("A" * 60, bare, GraphSettings(max_contacts=5))
    columns = [FEATURES.index(name) for name in ("contact_number", *CONTACT_FEATURES)]
    assert model["structure"][:, columns].any(axis=0).sum() > 3
    np.testing.assert_allclose(graph["structure"][:, columns], model["structure"][:, columns])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 12))
def test_cap_keeps_the_nearest_of_either_end(seed, most):
    coordinates = chain(40, seed)
    ca = coordinates[:, CA].astype(float)
    graph = build_graph("A" * 40, structure(coordinates), GraphSettings(max_contacts=most))
    distances = cdist(ca, ca) + np.diag([np.inf] * 40)
    expected = set()
    for i in range(40):
        near = [j for j in np.argsort(distances[i])[:most] if distances[i, j] <= 10.0]
        expected |= {(min(i, j), max(i, j)) for j in map(int, near)}
    assert edge_set(graph, CONTACT) == expected


def test_scales_agree_with_biopython():
    table = scales().loc[list(STANDARD)]
    for name, source in (("hydrophobicity", kd), ("mass", protein_weights)):
        values = np.array([source[letter] for letter in STANDARD])
        expected = (values - values.mean()) / values.std()
        np.testing.assert_allclose(table[name], expected, atol=1e-3)
    np.testing.assert_allclose(table.std(ddof=0), 1, atol=1e-5)
    np.testing.assert_allclose(scales().loc["X"], 0, atol=1e-5)
    assert scales().loc["U"].equals(scales().loc["C"].rename("U"))


def test_residue_indices_cover_the_alphabet():
    assert residue_indices(ALPHABET).tolist() == list(range(26))


def test_edges_of_real_models_by_biopython(shared):
    """AlphaFold models, parsed and searched by Biopython: the same contacts."""
    for path in sorted((shared / "afdb").glob("*.pdb.gz"))[::60]:
        (chain,) = parse_structure(path.read_bytes(), path.name)
        with gzip.open(path, "rt") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = list(PDBParser().get_structure("", file).get_atoms())
        alphas = [atom for atom in atoms if atom.get_name() == "CA"]
        order = {id(atom.get_parent()): i for i, atom in enumerate(alphas)}
        close = NeighborSearch(alphas).search_all(10.0, level="A")
        expected = {tuple(sorted(order[id(a.get_parent())] for a in pair)) for pair in close}
        found = structure(chain.coordinates) | {"plddt": chain.b_factor.astype(np.float16)}
        graph = build_graph(chain.letters, found, SETTINGS)
        assert edge_set(graph, CONTACT) == expected
        b_factors = [atom.get_bfactor() / 100 for atom in alphas]
        np.testing.assert_allclose(graph["structure"][:, 0], b_factors, atol=1e-3)
