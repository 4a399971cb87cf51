"""Batches, segment reductions and graph attention equal those of PyTorch Geometric."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric import data as pyg
from torch_geometric.nn import GATv2Conv
from torch_geometric.utils import add_self_loops, coalesce, scatter, softmax

from halo.network import graph_attention
from halo.network.batch import Batch, Data
from halo.network.dropout import Dropout
from halo.network.fused_attention import kernels
from halo.network.graph_attention import (
    Edges,
    GraphAttention,
    directed_with_loops,
    fuse_inference,
    segment,
    segment_softmax,
)

WIDTH, CHANNELS, HEADS, EDGE_DIM = 6, 4, 2, 3


def edges(lengths: list[int], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """At most so many undirected edges in each protein, none twice, and their features."""
    parts, start = [torch.empty(2, 0, dtype=torch.int64)], 0
    for length in lengths:
        found = torch.randint(length, (2, count)).sort(dim=0).values
        parts.append(start + found[:, found[0] < found[1]].unique(dim=1))
        start += length
    index = torch.cat(parts, dim=1)
    return index, torch.randn(index.shape[1], EDGE_DIM)


def as_edges(lengths: list[int], index: torch.Tensor, features: torch.Tensor) -> Edges:
    proteins = torch.tensor([0, *lengths]).cumsum(0)
    return Edges(*directed_with_loops(index, features, sum(lengths)), proteins)


def with_pytorch_geometric(
    nodes: int, index: torch.Tensor, features: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both directions and loops, sorted by where they end."""
    both = torch.cat([index, index.flip(0)], dim=1), torch.cat([features, features])
    index, features = add_self_loops(*both, fill_value="mean", num_nodes=nodes)
    return coalesce(index, features, num_nodes=nodes, sort_by_row=False)


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
def test_both_directions_and_loops(count):
    index, features = edges([9], count)
    expected, of_edges = with_pytorch_geometric(9, index, features)
    found, begin, rows = directed_with_loops(index, features, 9)
    order = torch.argsort(found[1] * 9 + found[0])  # of one target, the order does not matter
    assert torch.equal(found[:2, order], expected)
    torch.testing.assert_close(rows[found[2]][order], of_edges)
    assert begin.tolist() == [int((found[1] < node).sum()) for node in range(10)]


LENGTHS = [[9], [1], [5, 1, 30, 12]]


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("count", [0, 1, 60])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_graph_attention_and_its_gradients(count, lengths, is_training):
    torch.manual_seed(count)
    ours = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.0).train(is_training)
    theirs = GATv2Conv(WIDTH, CHANNELS, HEADS, edge_dim=EDGE_DIM, add_self_loops=False)
    theirs.load_state_dict(ours.state_dict())  # networks that were trained with it can be read
    drawn, nodes = edges(lengths, count), sum(lengths)
    inputs = [torch.randn(nodes, WIDTH).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    outputs = [
        ours(inputs[0], as_edges(lengths, *drawn)),
        theirs(inputs[1], *with_pytorch_geometric(nodes, *drawn)),
    ]
    torch.testing.assert_close(*outputs)
    if not is_training:
        fuse_inference(ours)
        ours.dropout = 0.5  # of trainings alone
        fused = ours(inputs[0].detach(), as_edges(lengths, *drawn))
        torch.testing.assert_close(fused, outputs[1].detach())
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=2e-5, rtol=1e-4)
    for name, parameter in ours.named_parameters():
        expected = theirs.get_parameter(name).grad
        torch.testing.assert_close(parameter.grad, expected, atol=2e-5, rtol=1e-4)


def splitmix(seed: int, count: int) -> list[int]:
    """SplitMix64's numbers (Steele, Lea and Flood 2014), in Python's integers."""
    mask, numbers = 2**64 - 1, []
    for place in range(count):
        z = (seed + (place + 1) * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        numbers.append(z ^ (z >> 31))
    return numbers


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_dropout_of_the_attention_and_its_gradients(share, monkeypatch):
    """The same weights are left out in the steps of PyTorch."""
    torch.manual_seed(0)
    lengths = [20, 1, 30]
    layer = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=share).train()
    graph = as_edges(lengths, *edges(lengths, 80))
    inputs = [torch.randn(sum(lengths), WIDTH).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    torch.manual_seed(1)
    seed = int(torch.randint(2**62, ()))
    shape = graph.index.shape[1], HEADS
    numbers = torch.tensor([number >> 40 for number in splitmix(seed, shape[0] * shape[1])])
    kept = (numbers >= int(share * 2**24)).view(shape)
    assert abs(kept.float().mean() - (1 - share)) < 0.05
    found = []
    for x, is_fused in zip(inputs, (True, False), strict=True):
        layer.zero_grad()
        torch.manual_seed(1)
        if not is_fused:
            monkeypatch.setattr(layer, "_fused", layer._by_steps)
            monkeypatch.setattr(
                graph_attention, "dropout", lambda weights, *_: weights * kept / (1 - share)
            )
        output = layer(x, graph)
        output.square().sum().backward()
        found.append([output.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


def test_compiled_kernels_are_kept_for_the_next_process():
    for _ in range(2):
        kernels.cache_clear()  # as in a new process
        layer = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.2).train()
        layer(torch.randn(9, WIDTH), as_edges([9], *edges([9], 20))).sum().backward()
        made = [kernel.stats for kernel in kernels(HEADS, CHANNELS)]
    assert [(len(each.cache_hits), len(each.cache_misses)) for each in made] == [(1, 0)] * 2


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_the_number_of_threads_does_not_change_the_attention(threads):
    lengths = [30, 1, 25, 7, 80]
    torch.manual_seed(0)
    layer = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.2).train()
    graph = as_edges(lengths, *edges(lengths, 90))
    x = torch.randn(sum(lengths), WIDTH)
    found = []
    before = torch.get_num_threads()
    for number in (1, threads):
        layer.zero_grad()
        torch.set_num_threads(number)
        torch.manual_seed(1)
        output = layer(x, graph)
        output.square().sum().backward()
        found.append([output.detach(), *(p.grad.clone() for p in layer.parameters())])
    torch.set_num_threads(before)
    for one, several in zip(*found, strict=True):
        assert torch.equal(one, several)


def test_the_first_weights():
    torch.manual_seed(0)
    ours = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.0)
    torch.manual_seed(0)
    theirs = GATv2Conv(WIDTH, CHANNELS, HEADS, edge_dim=EDGE_DIM)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, theirs.get_parameter(name))


def test_dropout_in_training_alone():
    layer = GraphAttention(WIDTH, CHANNELS, HEADS, EDGE_DIM, dropout=0.5)
    x, graph = torch.randn(9, WIDTH), as_edges([9], *edges([9], 60))
    assert not torch.equal(layer(x, graph), layer(x, graph))
    layer.eval()
    assert torch.equal(layer(x, graph), layer(x, graph))


@given(st.floats(0.01, 0.99), st.integers(1, 9), st.integers(1, 900))
def test_dropout_leaves_out_a_share_and_scales_the_others(share, rows, columns):
    torch.manual_seed(rows * columns)
    values = torch.randn(rows, columns).requires_grad_()
    layer = Dropout(share)
    dropped = layer(values)
    dropped.sum().backward()
    kept = values.grad != 0
    torch.testing.assert_close(values.grad[kept], torch.full((int(kept.sum()),), 1 / (1 - share)))
    torch.testing.assert_close(dropped, values * values.grad)
    error = (share * (1 - share) / kept.numel()) ** 0.5
    assert abs(float(kept.float().mean()) - (1 - share)) < 6 * error + 2**-16


def test_dropout_follows_the_seed_and_ends_with_the_training():
    values, layer, drawn = torch.ones(40, 7), Dropout(0.5), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(layer(values))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(layer(values), drawn[2])  # the next call draws anew
    assert torch.equal(layer.eval()(values), values)


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
