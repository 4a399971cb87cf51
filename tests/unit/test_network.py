"""The network: invariances, and gradients of all weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import binary_cross_entropy_with_logits
from torch_geometric.nn import GATv2Conv
from torch_geometric.utils import scatter

from halo.graphs.build import CONTACT, NEIGHBOUR, GraphSettings, build_graph
from halo.network import convolution
from halo.network.batch import Batch, Data
from halo.network.classes import NETWORKS, prepared
from halo.network.dropout import Dropout
from halo.network.features import (
    EDGE_DIM,
    EDGE_FLAGS,
    HIDE,
    MODALITIES,
    hide_contacts,
    hide_embedding,
    hide_structure,
    protein_data,
    shuffle_structure,
    split_edges,
)
from halo.network.graph_attention import Edges, GraphAttention
from halo.network.loss import focal_loss, softmax_focal_loss
from halo.network.model import HaloNetwork, NetworkSettings
from halo.network.standardize import StandardizeEmbedding
from test_graphs import chain, structure

DIM, LABELS = 24, 5
SETTINGS = NetworkSettings(hidden=32, layers=2, heads=4, dropout=0.3)


def network(seed: int = 0) -> HaloNetwork:
    torch.manual_seed(seed)
    net = HaloNetwork(DIM, LABELS, SETTINGS)
    with torch.no_grad():  # at the start both are 0, and a test of their effect would be empty
        net.fusion.global_part.normal_()
        net.fusion.protein_part.normal_()
    return net.eval()


def protein(length: int, seed: int, with_structure: bool = True, move: bool = False) -> Data:
    rng = np.random.default_rng(seed)
    sequence = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), length))
    coordinates = chain(length, seed)
    if move:
        turned = Rotation.random(random_state=seed).apply(coordinates.reshape(-1, 3))
        coordinates = turned.reshape(length, 3, 3) + np.array([10.0, -3.0, 90.0])
    found = structure(coordinates) if with_structure else None
    embedding = rng.normal(size=(length, DIM)).astype(np.float16)
    return protein_data(build_graph(sequence, found, GraphSettings()), embedding)


def test_an_unknown_plddt_is_masked_in_residues_and_edges():
    found = structure(chain(30, 2))
    found["plddt"][:10] = np.nan
    data = protein_data(build_graph("A" * 30, found, GraphSettings()), None)
    unknown = torch.arange(30) < 10
    contacts_known, coordinates_known, plddt_known = data.structure[:, -3:].T
    assert not contacts_known.any()
    assert coordinates_known.all()
    assert (plddt_known == ~unknown).all()
    flags = dict(zip(EDGE_FLAGS, data.edge_attr[:, -len(EDGE_FLAGS) :].T, strict=True))
    masked = unknown[data.edge_index].any(dim=0)
    assert 0 < masked.sum() < len(masked)
    assert (flags["plddt_known"] == ~masked).all()
    for name in ("min_plddt", "mean_plddt"):
        assert not flags[name][masked].any()
        assert (flags[name][~masked] > 0).all()


@torch.inference_mode()
def logits(net: HaloNetwork, proteins: list[Data]) -> torch.Tensor:
    return net(Batch.from_data_list(proteins)).logits


@pytest.mark.parametrize("seed", range(5))
def test_rotated_structure_same_prediction(seed):
    net = network(seed)
    still, moved = (logits(net, [protein(40, seed, move=move)]) for move in (False, True))
    torch.testing.assert_close(still, moved, atol=1e-5, rtol=0)


def test_neighbours_in_the_batch_do_not_matter():
    net = network()
    proteins = [protein(length, seed) for seed, length in enumerate((5, 60, 1, 33))]
    together = logits(net, proteins)
    order = [2, 0, 3, 1]
    torch.testing.assert_close(
        logits(net, [proteins[i] for i in order]), together[order], atol=1e-5, rtol=0
    )
    alone = torch.cat([logits(net, [one]) for one in proteins])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


def test_hidden_structure_equals_none():
    net = network()
    pair = [protein(40, 7), protein(30, 8)]
    hidden = hide_structure(Batch.from_data_list(pair), torch.tensor([True, False]))
    without = [protein(40, 7, with_structure=False), pair[1]]
    with torch.inference_mode():
        out = net(hidden)
    torch.testing.assert_close(out.logits, logits(net, without), atol=1e-5, rtol=0)
    assert out.modality_weights[0, MODALITIES.index("structure")] == 0
    assert (out.modality_weights[1] > 0).all()


def test_hidden_embedding_has_no_weight_and_no_effect():
    net = network()
    batch = Batch.from_data_list([protein(20, 1)])
    hidden = hide_embedding(batch, torch.tensor([True]))
    with torch.inference_mode():
        one = net(hidden)
        hidden.embedding = torch.randn(20, DIM)
        two = net(hidden)
    assert one.modality_weights[0, 0] == 0
    torch.testing.assert_close(one.logits, two.logits)
    torch.testing.assert_close(one.modality_weights.sum(dim=1), torch.ones(1))


def test_a_modality_cannot_outgrow_its_weight():
    """Ten times larger features change nothing but rounding: the norm takes the scale away."""
    net = network()
    with torch.no_grad():
        net.fusion.projections["embedding"].bias.zero_()
    one = protein(20, 1)
    larger = one.clone()
    larger.embedding = one.embedding.float() * 10
    torch.testing.assert_close(logits(net, [one]), logits(net, [larger]), atol=1e-3, rtol=0)


def test_the_scale_of_the_embedding_does_not_matter():
    """After the standardization was fitted, as it is before a training."""
    proteins = [protein(30, seed) for seed in range(4)]
    scale, shift = torch.logspace(-2, 2, DIM), torch.linspace(-50, 50, DIM)

    def prediction(change) -> torch.Tensor:
        net = network()
        changed = [item.clone() for item in proteins]
        for item in changed:
            item.embedding = change(item.embedding.double())
        net.standardize.fit(item.embedding for item in changed)
        return logits(net, changed)

    expected = prediction(lambda values: values)
    found = prediction(lambda values: values * scale + shift)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_embeddings_are_standardized_by_all_residues():
    standardize = StandardizeEmbedding(3)
    parts = [torch.randn(n, 3, dtype=torch.float64) * 5 + 2 for n in (1, 70, 9)]
    standardize.fit(iter(parts))
    found = standardize(torch.cat(parts))
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std(dim=0, correction=0), torch.ones(3))
    standardize.fit([torch.ones(5, 3)])  # channels that never change
    assert torch.isfinite(standardize(torch.zeros(2, 3))).all()


def test_one_protein_can_be_a_batch_of_the_training():
    net = network().train()
    batch = Batch.from_data_list([protein(20, 1)])
    net(batch).logits.sum().backward()
    assert torch.isfinite(net.head[0].weight.grad).all()


def test_gradients_reach_every_parameter():
    net = network().train()
    batch = Batch.from_data_list([protein(30, seed) for seed in range(6)])
    targets = torch.eye(LABELS)[[0, 1, 2, 3, 4, 0]]
    focal_loss(net(batch).logits, targets, 1.0, torch.ones(LABELS)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_attention_sums_to_one_in_each_protein():
    batch = Batch.from_data_list([protein(9, 1), protein(21, 2)])
    with torch.inference_mode():
        attention = network()(batch).attention
    torch.testing.assert_close(attention[:9].sum(dim=0), torch.ones(4))
    torch.testing.assert_close(attention[9:].sum(dim=0), torch.ones(4))


def test_focal_loss_of_gamma_zero_is_cross_entropy():
    x, y = torch.randn(7, 4), torch.randint(0, 2, (7, 4)).float()
    ours = focal_loss(x, y, 0.0, torch.ones(4))
    torch.testing.assert_close(ours, binary_cross_entropy_with_logits(x, y))
    p = torch.sigmoid(x)
    p_true = torch.where(y > 0, p, 1 - p)
    by_hand = ((1 - p_true) ** 2 * -p_true.log()).mean()
    torch.testing.assert_close(focal_loss(x, y, 2.0, torch.ones(4)), by_hand)
    one_hot = torch.eye(4)[[0, 1, 2, 3, 0, 1, 2]]
    torch.testing.assert_close(
        softmax_focal_loss(x, one_hot, 0.0, torch.ones(4)),
        torch.nn.functional.cross_entropy(x, one_hot),
    )


def test_embedding_of_another_length_is_refused():
    graph = build_graph("ACDEF", None, GraphSettings())
    with pytest.raises(ValueError, match="4 embedded residues"):
        protein_data(graph, np.zeros((4, DIM), dtype=np.float16))


def without(batch: Batch, name: str) -> Batch:
    return HIDE[name](batch, torch.ones(batch.num_graphs, dtype=torch.bool))


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_keeps_the_proteins_of_a_batch_apart(kind):
    torch.manual_seed(0)
    net = NETWORKS[kind](DIM, LABELS, SETTINGS).eval()
    proteins = [protein(length, seed) for seed, length in enumerate((5, 60, 1, 33))]
    with torch.inference_mode():
        together = net(Batch.from_data_list(proteins))
    alone = torch.cat([logits(net, [one]) for one in proteins])
    torch.testing.assert_close(alone, together.logits, atol=1e-5, rtol=0)
    summed = scatter(together.attention, Batch.from_data_list(proteins).batch, dim=0)
    torch.testing.assert_close(summed, torch.ones_like(summed))
    torch.testing.assert_close(together.modality_weights.sum(dim=1), torch.ones(4))
    assert sum(net.global_weights().values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", NETWORKS)
def test_gradients_reach_every_weight_of_every_network(kind):
    torch.manual_seed(0)
    net = NETWORKS[kind](DIM, LABELS, SETTINGS).train()
    batch = Batch.from_data_list([protein(40, seed) for seed in range(3)])
    net(batch).logits.pow(2).sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters())


@pytest.mark.parametrize("kind", ["light_attention", "mean_embedding"])
def test_sequence_networks_see_nothing_but_the_embedding(kind):
    torch.manual_seed(0)
    net = NETWORKS[kind](DIM, LABELS, SETTINGS).eval()
    batch = Batch.from_data_list([protein(40, 1)])
    blind = without(without(batch, "structure"), "biochemistry")
    with torch.inference_mode():
        torch.testing.assert_close(net(batch).logits, net(blind).logits)
        assert not torch.allclose(net(batch).logits, net(without(batch, "embedding")).logits)


def test_the_reference_sees_where_a_structure_lies():
    """The fault that it keeps: a rotation changes its prediction."""
    torch.manual_seed(0)
    net = NETWORKS["reference"](DIM, LABELS, SETTINGS).eval()
    still, moved = (logits(net, [protein(40, 1, move=move)]) for move in (False, True))
    assert not torch.allclose(still, moved, atol=1e-3)


@pytest.mark.parametrize("name", MODALITIES)
def test_a_modality_that_is_left_out_has_no_effect_and_no_weight(name):
    others = tuple(other for other in MODALITIES if other != name)
    settings = replace(SETTINGS, modalities=others)
    torch.manual_seed(0)
    net = HaloNetwork(DIM, LABELS, settings).eval()
    batch = Batch.from_data_list([protein(40, 1), protein(30, 2)])
    with torch.inference_mode():
        seen, blind = net(batch), net(without(batch, name))
    torch.testing.assert_close(seen.logits, blind.logits)
    assert (seen.modality_weights[:, MODALITIES.index(name)] == 0).all()
    torch.testing.assert_close(seen.modality_weights.sum(dim=1), torch.ones(2))
    assert net.global_weights() == pytest.approx(dict.fromkeys(others, 0.5) | {name: 0})


def test_a_protein_with_all_inputs_masked_has_a_finite_prediction():
    torch.manual_seed(0)
    net = HaloNetwork(DIM, LABELS, replace(SETTINGS, modalities=("structure",)))
    out = net(Batch.from_data_list([protein(20, 1, with_structure=False), protein(20, 2)]))
    out.logits.sum().backward()
    assert torch.isfinite(out.logits).all()
    assert (out.modality_weights[0] == 0).all()
    assert all(torch.isfinite(v.grad).all() for v in net.parameters() if v.grad is not None)


def test_fixed_weights_are_equal_and_stay():
    torch.manual_seed(0)
    net = HaloNetwork(DIM, LABELS, replace(SETTINGS, weights="fixed"))
    out = net(Batch.from_data_list([protein(20, 1), protein(20, 2, with_structure=False)]))
    expected = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.5, 0, 0.5]])
    torch.testing.assert_close(out.modality_weights, expected)
    assert not net.fusion.global_part.requires_grad


def test_without_contacts_the_features_of_the_structure_stay():
    batch = Batch.from_data_list([protein(40, 1)])
    bare = hide_contacts(batch, torch.tensor([True]))
    sequence = Batch.from_data_list([protein(40, 1, with_structure=False)])
    assert torch.equal(bare.edge_index, sequence.edge_index)
    torch.testing.assert_close(bare.edge_attr, sequence.edge_attr)
    assert torch.equal(bare.structure, batch.structure)


def test_a_shuffled_structure_is_on_other_residues():
    """Relabelling the residues of a shuffled structure back gives the structure again."""
    batch = Batch.from_data_list([protein(40, 1), protein(25, 2)])
    moved = shuffle_structure(batch)
    assert torch.equal(moved.embedding, batch.embedding)
    assert not torch.equal(moved.structure, batch.structure)
    assert torch.equal(shuffle_structure(batch).structure, moved.structure)
    for start, stop in ((0, 40), (40, 65)):
        rows = slice(start, stop)
        sorted_rows = [sorted(map(tuple, part.structure[rows].tolist())) for part in (batch, moved)]
        assert sorted_rows[0] == sorted_rows[1]


def permuted(length: int, seed: int) -> tuple[Batch, Batch]:
    """A protein, and the graph that `build_graph` makes where its residues are permuted.

    The permutation is that of `shuffle_structure`. The structure alone is of interest.
    """
    order = torch.randperm(length, generator=torch.Generator().manual_seed(length)).numpy()
    place = np.argsort(order)
    graph = build_graph("A" * length, structure(chain(length, seed)), GraphSettings())
    other = build_graph("A" * length, None, GraphSettings())
    distances = {
        tuple(sorted(place[pair].tolist())): distance
        for pair, distance, kind in zip(
            graph["edges"], graph["distance"], graph["kind"], strict=True
        )
        if kind & CONTACT
    }
    kinds = dict.fromkeys(map(tuple, other["edges"].tolist()), NEIGHBOUR)
    for pair in distances:
        kinds[pair] = kinds.get(pair, 0) | CONTACT
    pairs = sorted(kinds)
    other |= {
        "structure": graph["structure"][order],
        "known": graph["known"][order],
        "coordinates": graph["coordinates"][order],
        "edges": np.array(pairs, np.int32).reshape(-1, 2),
        "kind": np.array([kinds[pair] for pair in pairs], np.uint8),
        "distance": np.array(
            [distances.get(pair, np.nan) for pair in pairs], graph["distance"].dtype
        ),
    }
    return tuple(Batch.from_data_list([protein_data(each, None)]) for each in (graph, other))


@pytest.mark.parametrize("length", [1, 4, 60])
def test_nothing_of_the_true_structure_is_left_in_place(length):
    """Contacts between sequence neighbours move, too, and have the features of their new place."""
    batch, expected = permuted(length, 1)
    before = batch.edge_attr.clone()
    moved = shuffle_structure(batch)
    assert torch.equal(batch.edge_attr, before)
    for name, tensor in expected:
        torch.testing.assert_close(moved[name], tensor, msg=name)


def test_between_sequence_neighbours_no_contact_stays():
    """Most of them are contacts in a structure, and few in a shuffled one: as many as by chance."""
    batch = Batch.from_data_list([protein(60, 1)])
    moved = shuffle_structure(batch)
    first = EDGE_DIM - len(EDGE_FLAGS)
    contact, neighbour, distance_known = range(first, first + 3)

    def pairs(of: Batch, flag: int) -> set[tuple[int, ...]]:
        return set(map(tuple, of.edge_index[:, of.edge_attr[:, flag] > 0].T.tolist()))

    along = pairs(batch, neighbour)
    assert pairs(moved, neighbour) == along
    assert len(pairs(moved, contact)) == len(pairs(batch, contact))
    assert pairs(moved, distance_known) == pairs(moved, contact)
    before, after = (len(pairs(each, contact) & along) / len(along) for each in (batch, moved))
    share = len(pairs(batch, contact)) / (60 * 59 / 2)
    assert before > 0.9
    assert after < share + 0.1


def test_edges_made_once_give_what_pytorch_geometric_makes_in_every_layer():
    """Its layer removes loops and adds them, with the mean of a residue's edges, at every call."""
    proteins = [protein(length, seed, length != 33) for seed, length in enumerate((5, 60, 1, 33))]
    batch = Batch.from_data_list(proteins)
    split = split_edges(batch)
    torch.manual_seed(0)
    ours = GraphAttention(16, 8, heads=2, edge_dim=EDGE_DIM, dropout=0.0).eval()
    theirs = GATv2Conv(16, 8, heads=2, edge_dim=EDGE_DIM)
    theirs.load_state_dict(ours.state_dict())
    h = torch.randn(batch.num_nodes, 16)
    for name, chosen in (("sequence", ~batch.edge_contact), ("contact", batch.edge_contact)):
        index, features = batch.edge_index[:, chosen], batch.edge_attr[chosen]
        both = torch.cat([index, index.flip(0)], dim=1)
        expected = theirs(h, both, torch.cat([features, features]))
        parts = (split[f"{name}_{part}"] for part in ("index", "begin", "attr"))
        found = ours(h, Edges(*parts, batch.ptr))
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("edges", ["contacts", "neighbours", "shuffled"])
@pytest.mark.parametrize("modalities", [MODALITIES, ("embedding", "biochemistry")])
def test_a_batch_that_is_prepared_before_gives_the_same(edges, modalities):
    torch.manual_seed(0)
    settings = replace(SETTINGS, edges=edges, modalities=modalities)
    net = HaloNetwork(DIM, LABELS, settings).eval()
    proteins = [protein(length, seed) for seed, length in enumerate((5, 60, 1, 33))]
    with torch.inference_mode():
        expected = net(Batch.from_data_list(proteins)).logits
        found = net(net.prepare(Batch.from_data_list(proteins))).logits
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_on_the_gpu_nothing_has_to_be_waited_for(kind, training, monkeypatch):
    """Fake tensors have no values: what reads one, or takes a shape from one, is an error."""
    # Fake tensors are on the CPU, where PyTorch has no GPU; they take the steps that a GPU takes.
    monkeypatch.setattr(GraphAttention, "_fused", GraphAttention._by_steps)
    monkeypatch.setattr(Dropout, "forward", nn.Dropout.forward)
    monkeypatch.setattr(convolution, "_by_blocks", convolution._direct)
    batch = Batch.from_data_list([protein(20, 1), protein(30, 2)])
    batch = prepared(NETWORKS[kind](DIM, LABELS, SETTINGS), batch)
    count = batch.num_graphs  # known since the batch was made

    def without_values(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty(tensor.shape, dtype=tensor.dtype)

    with FakeTensorMode():
        net = NETWORKS[kind](DIM, LABELS, SETTINGS).train(training)
        out = net(batch.apply(without_values))
        focal_loss(out.logits, torch.empty(count, LABELS), 1.0, torch.ones(LABELS)).backward()
    assert out.logits.shape == (count, LABELS)


@pytest.mark.parametrize("kind", ["light_attention", "reference"])
def test_baselines_of_a_batch_that_is_prepared_before_give_the_same(kind):
    torch.manual_seed(0)
    net = NETWORKS[kind](DIM, LABELS, SETTINGS).eval()
    batch = Batch.from_data_list([protein(n, seed) for seed, n in enumerate((5, 60, 1, 33))])
    with torch.inference_mode():
        for found, expected in zip(net(prepared(net, batch)), net(batch), strict=True):
            if expected is None:  # these networks predict no regions
                assert found is None
            else:
                assert torch.equal(found, expected)
