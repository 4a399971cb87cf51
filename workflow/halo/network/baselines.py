"""Baseline networks, trained on the same embeddings and graphs by the same loop.

They have no fusion that leaves out a modality, and so are trained without modality dropout.
"""

from copy import copy

import torch
from torch import Tensor, nn

from halo.network.batch import Batch
from halo.network.convolution import convolve
from halo.network.dropout import Dropout
from halo.network.features import BIOCHEMISTRY_DIM, MODALITIES
from halo.network.graph_attention import segment, segment_softmax
from halo.network.model import NetworkSettings, Output
from halo.network.standardize import StandardizeEmbedding


class MeanEmbedding(nn.Module):
    """Mean embedding of a protein and a perceptron with one hidden layer.

    Args:
        embedding_dim: width of the language model's embeddings.
        n_labels: number of labels.
        settings: only `hidden` and `dropout` are used.
    """

    modality_dropout = False

    def __init__(self, embedding_dim: int, n_labels: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.standardize = StandardizeEmbedding(embedding_dim)
        self.layers = nn.Sequential(
            nn.LayerNorm(embedding_dim),
            nn.Linear(embedding_dim, settings.hidden),
            nn.GELU(),
            Dropout(settings.dropout),
            nn.Linear(settings.hidden, n_labels),
        )

    def forward(self, batch: Batch) -> Output:
        """See `HaloNetwork.forward`."""
        embedding = self.standardize(batch.embedding)
        mean = segment(embedding, batch.batch, batch.num_graphs, "mean")
        return Output(self.layers(mean), *_embedding_only(batch))

    def global_weights(self) -> dict[str, float]:
        """The embedding has weight 1."""
        return _weights_by_name((1.0, 0.0, 0.0))


class LightAttention(nn.Module):
    r"""Light attention (Stärk 2021, 10.1093/bioadv/vbab035), as the paper describes it.

    Two convolutions along the sequence compute attention :math:`a` and values :math:`v`, with as
    many channels as the embedding; the representation of a protein is
    :math:`\sum_i \mathrm{softmax}_i(a_i) v_i` concatenated with :math:`\max_i v_i`. The kernel of 9
    residues, the dropout of 0.25 and the hidden layer of 32 units are the paper's; `settings` are
    not used. Unlike in the paper, the hidden layer has layer normalization instead of batch
    normalization, because a batch may be one long protein, and the embedding is standardized.
    """

    modality_dropout = False
    KERNEL, DROPOUT, HIDDEN = 9, 0.25, 32

    def __init__(self, embedding_dim: int, n_labels: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.standardize = StandardizeEmbedding(embedding_dim)
        self.attend, self.value = (
            nn.Conv1d(embedding_dim, embedding_dim, self.KERNEL, padding=self.KERNEL // 2)
            for _ in range(2)
        )
        self.dropout = Dropout(self.DROPOUT)
        self.head = nn.Sequential(
            nn.Linear(2 * embedding_dim, self.HIDDEN),
            Dropout(self.DROPOUT),
            nn.ReLU(),
            nn.LayerNorm(self.HIDDEN),
            nn.Linear(self.HIDDEN, n_labels),
        )

    def forward(self, batch: Batch) -> Output:
        """See `HaloNetwork.forward`; the attention is the mean over the channels."""
        embedding = self.standardize(batch.embedding)
        # One long sequence, in which the kernel reaches over the zeros between two proteins.
        gap = self.KERNEL // 2
        place = torch.arange(len(embedding), device=embedding.device) + gap * batch.batch
        joined = embedding.new_zeros(len(embedding) + gap * batch.num_graphs, embedding.shape[1])
        joined = joined.index_copy(0, place, embedding)
        # One convolution, which transforms its input once.
        (scores_weight, scores_bias), (weight, bias) = (
            conv.parameters() for conv in (self.attend, self.value)
        )
        both = convolve(
            joined[None], torch.cat([scores_weight, weight]), torch.cat([scores_bias, bias])
        )
        scores, values = both[0].index_select(0, place).chunk(2, dim=1)
        protein, count = batch.batch, batch.num_graphs
        attention = segment_softmax(scores, protein, count)
        values = self.dropout(values)
        mixed = segment(attention * values, protein, count, "sum")
        highest = segment(values, protein, count, "max")
        logits = self.head(torch.cat([mixed, highest], dim=1))
        weights, _ = _embedding_only(batch)
        return Output(logits, weights, attention.mean(dim=1, keepdim=True))

    def prepare(self, batch: Batch) -> Batch:
        """The batch without tensors that are not used and need not be moved to a GPU."""
        made = copy(batch)
        for name in ("edge_index", "edge_attr", "edge_contact", "coordinates"):
            del made[name]
        return made

    def global_weights(self) -> dict[str, float]:
        """The embedding has weight 1."""
        return _weights_by_name((1.0, 0.0, 0.0))


class ReferenceNetwork(nn.Module):
    """The network of the published HALO: graph attention over concatenated features.

    The features of a residue are its Cα coordinates in Å, its embedding and its biochemistry, each
    multiplied by a fixed weight. They pass through four layers of graph attention with 128 units in
    4 heads, a mean over the residues and a linear layer. As published, coordinates are not
    invariant to rotation, weights are fixed, and edges have no weights. Indexing errors of the
    published code are fixed: edges reach 10 Å (not 20), each embedding belongs to its own residue
    (not to the next one), and each protein has its own graph. The embedding is not standardized,
    which would change its published weight. Of `settings`, only `dropout` is used.
    """

    modality_dropout = False
    LAYERS, UNITS, HEADS = 4, 128, 4
    WEIGHTS = (1.0, 0.5, 0.5)  # in the order of MODALITIES

    def __init__(self, embedding_dim: int, n_labels: int, settings: NetworkSettings) -> None:
        from torch_geometric.nn import GATConv  # slow to import; only this network needs it

        super().__init__()
        width = embedding_dim + 3 + BIOCHEMISTRY_DIM
        self.layers = nn.ModuleList(
            GATConv(
                width if number == 0 else self.UNITS,
                self.UNITS // self.HEADS,
                heads=self.HEADS,
                dropout=settings.dropout,
                add_self_loops=False,  # `prepare` adds them once for all layers
            )
            for number in range(self.LAYERS)
        )
        self.head = nn.Linear(self.UNITS, n_labels)
        shares = torch.tensor(self.WEIGHTS) / sum(self.WEIGHTS)
        self.shares: Tensor
        self.register_buffer("shares", shares, persistent=False)

    def forward(self, batch: Batch) -> Output:
        """See `HaloNetwork.forward`; the attention is uniform."""
        if "looped_index" not in batch:
            batch = self.prepare(batch)
        modalities = (batch.embedding.float(), batch.coordinates, batch.biochemistry)
        h = torch.cat(
            [weight * part for weight, part in zip(self.WEIGHTS, modalities, strict=True)], dim=1
        )
        for layer in self.layers:
            h = torch.relu(layer(h, batch.looped_index))
        mean = segment(h, batch.batch, batch.num_graphs, "mean")
        return Output(self.head(mean), self.shares.expand(batch.num_graphs, -1), _uniform(batch))

    def prepare(self, batch: Batch) -> Batch:
        """The batch with ``looped_index`` int64 [2, 2 n_edges + N].

        It has both directions of each edge and the self-loops. Tensors that are not used are
        removed and need not be moved to a GPU.
        """
        made = copy(batch)
        edges = batch.edge_index
        loops = torch.arange(batch.num_nodes, device=edges.device).expand(2, -1)
        made.looped_index = torch.cat([edges, edges.flip(0), loops], dim=1)
        for name in ("edge_index", "edge_attr", "edge_contact"):
            del made[name]
        return made

    def global_weights(self) -> dict[str, float]:
        """The fixed weights, normalized to a sum of 1."""
        return _weights_by_name(tuple(weight / sum(self.WEIGHTS) for weight in self.WEIGHTS))


def _embedding_only(batch: Batch) -> tuple[Tensor, Tensor]:
    weights = torch.zeros(batch.num_graphs, len(MODALITIES), device=batch.batch.device)
    weights[:, MODALITIES.index("embedding")] = 1.0
    return weights, _uniform(batch)


def _uniform(batch: Batch) -> Tensor:
    """The attention of a plain mean, [N, 1]."""
    return (1.0 / batch.ptr.diff()).index_select(0, batch.batch)[:, None]


def _weights_by_name(weights: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(MODALITIES, weights, strict=True))
