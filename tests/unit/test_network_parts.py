"""Batches, segment reductions and graph attention equal those of PyTorch Geometric."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric import data as pyg
from torch_geometric.nn import GATv2Conv
from torch_geometric.utils import add_self_loops, scatter, softmax

from halo.network.batch import Batch, Data
from halo.network.graph_attention import GraphAttention, segment, segment_softmax, with_loops

WIDTH, CHANNELS, HEADS, EDGE_DIM = 6, 4, 2, 3


def edges(nodes: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randint(nodes, (2, count)), torch.randn(count, EDGE_DIM)


@given(st.integers(0, 30), st.integers(1, 6), st.sampled_from(["sum", "mean", "max"]))
def test_segments(rows, count, reduce):
    torch.manual_seed(rows)
    index = torch.randint(count, (rows,))
    for size in ((rows,), (rows, 3), (rows, 2, 3)):
        values = torch.randn(size)
        expected = scatter(values, index, dim=0, dim_size=count, reduce=reduce)
        torch.testing.assert_close(segment(values, index, count, reduce), expected)


@given(st.integers(1, 30), st.integers(1, 6))
def test_softmax_within_segments(rows, count):
    torch.manual_seed(rows)
    index, scores = torch.randint(count, (rows,)), torch.randn(rows, 2) * 30
    expected = softmax(scores, index, num_nodes=count)
    torch.testing.assert_close(segment_softmax(scores, index, count), expected)


def test_gradients_of_the_maximum():
    index = torch.tensor([0, 0, 1, 1, 1])
    one, two = (torch.tensor([1.0, 3.0, 2.0, 2.0, 0.0], requires_grad=True) for _ in range(2))
    segment(one, index, 2, "max").sum().backward()
    scatter(two, index, dim=0, dim_size=2, reduce="max").sum().backward()
    torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_loops(count):
    index, features = edges(9, count)
    expected = add_self_loops(index, features, fill_value="mean", num_nodes=9)
    torch.testing.assert_close(with_loops(index, features, 9), expected)


@pytest.mark.parametrize("count", [0, 1, 60])
def test_graph_attention_and_its_gradients(count):
    torch.manual_seed(count)
    ours = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.0)
    theirs = GATv2Conv(WIDTH, CHANNELS, HEADS, edge_dim=EDGE_DIM, add_self_loops=False)
    theirs.load_state_dict(ours.state_dict())  # networks that were trained with it can be read
    index, features = edges(9, count)
    inputs = [torch.randn(9, WIDTH).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    outputs = [layer(x, index, features) for layer, x in zip((ours, theirs), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs.get_parameter(name).grad)


def test_the_first_weights():
    torch.manual_seed(0)
    ours = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.0)
    torch.manual_seed(0)
    theirs = GATv2Conv(WIDTH, CHANNELS, HEADS, edge_dim=EDGE_DIM)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, theirs.get_parameter(name))


def test_dropout_in_training_alone():
    layer = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.5)
    x, (index, features) = torch.randn(9, WIDTH), edges(9, 60)
    assert not torch.equal(layer(x, index, features), layer(x, index, features))
    layer.eval()
    assert torch.equal(layer(x, index, features), layer(x, index, features))


def proteins() -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    return [
        {
            "embedding": torch.randn(length, 4).half(),
            "edge_index": torch.randint(length, (2, 3 * length)),
            "edge_attr": torch.randn(3 * length, 2),
            "present": torch.tensor([[True, False, True]]),
        }
        for length in (5, 1, 12)
    ]


def test_a_batch():
    ours = Batch.from_data_list([Data(len(p["embedding"]), **p) for p in proteins()])
    theirs = pyg.Batch.from_data_list([pyg.Data(num_nodes=len(p["embedding"]), **p)
                                       for p in proteins()])  # fmt: skip
    for name in (*proteins()[0], "batch", "ptr"):
        torch.testing.assert_close(ours[name], theirs[name])
    assert (ours.num_graphs, ours.num_nodes) == (theirs.num_graphs, theirs.num_nodes)


def test_copies_and_names():
    one = Data(5, **proteins()[0])
    other = one.clone()
    other.embedding.zero_()
    assert one.embedding.any()
    assert "edge_index" in one
    del one["edge_index"]
    assert "edge_index" not in one
    assert "edge_index" in other
    one["more"] = torch.zeros(1)
    assert [name for name, _ in one] == ["embedding", "edge_attr", "present", "more"]
    moved = other.to("meta")
    assert moved.embedding.device.type == "meta"
    assert moved.num_nodes == 5
