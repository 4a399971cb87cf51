"""The graph attention network."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from halo.network.batch import Batch
from halo.network.dropout import Dropout
from halo.network.features import (
    BIOCHEMISTRY_DIM,
    EDGE_DIM,
    HIDE,
    MODALITIES,
    STRUCTURE_DIM,
    hide_contacts,
    shuffle_structure,
    split_edges,
)
from halo.network.graph_attention import Edges, GraphAttention, segment, segment_softmax
from halo.network.modalities import ModalityFusion
from halo.network.region_head import RegionHead
from halo.network.settings import NetworkSettings
from halo.network.standardize import StandardizeEmbedding


class Output(NamedTuple):
    """Output of the network for G proteins with N residues in total."""

    logits: Tensor  # [G, n_labels]
    modality_weights: Tensor  # [G, 3], in the order of MODALITIES
    attention: Tensor  # [N, pooling heads], sums to 1 over the residues of a protein
    regions: Tensor | None = None  # [N, n_kinds + 1] logits of no region and of each kind


class AttentionBlock(nn.Module):
    r"""Graph attention and a feed-forward part, each with a residual connection.

    :math:`h \leftarrow h + [\mathrm{GATv2}_s(\mathrm{LN}(h)), \mathrm{GATv2}_c(\mathrm{LN}(h))]`,
    then :math:`h \leftarrow h + \mathrm{FF}(\mathrm{LN}(h))` (GATv2: Brody 2022, arXiv 2105.14491).

    Half of the heads attend to sequence edges (:math:`s`), half to contact edges (:math:`c`). In a
    joint softmax, the many contacts would outweigh the few sequence neighbours, and proteins
    without structure would have a different distribution of attention.

    Shapes:
        - **input:** :math:`(N, hidden)`, edges along the sequence and across contacts
        - **output:** :math:`(N, hidden)`
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        hidden = settings.hidden
        self.norm = nn.LayerNorm(hidden)
        self.sequence, self.contacts = (
            GraphAttention(
                hidden,
                hidden // settings.heads,
                heads=settings.heads // 2,
                edge_dim=EDGE_DIM,
                dropout=settings.dropout,
            )
            for _ in range(2)
        )
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, 2 * hidden),
            nn.GELU(),
            Dropout(settings.dropout),
            nn.Linear(2 * hidden, hidden),
        )
        self.dropout = Dropout(settings.dropout)

    def forward(self, h: Tensor, sequence: Edges, contacts: Edges) -> Tensor:
        """One step of message passing and the feed-forward layer."""
        normed = self.norm(h)
        messages = [self.sequence(normed, sequence), self.contacts(normed, contacts)]
        h = h + self.dropout(torch.cat(messages, dim=1))
        return h + self.dropout(self.feed_forward(h))


class AttentionPooling(nn.Module):
    r"""Pool the residues of a protein by attention-weighted means and the maximum.

    Each head has weights :math:`\alpha_{ik} = \mathrm{softmax}_{i \in g}(s_k(h_i))` over the
    residues of a protein; the maximum keeps signals of few residues.

    Shapes:
        - **input:** :math:`(N, hidden)`, protein of each residue :math:`(N)`
        - **output:** :math:`(G, (heads + 1) \cdot hidden)` and attention :math:`(N, heads)`
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, heads))

    def forward(self, h: Tensor, protein: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Pooled proteins and the attention of each residue."""
        attention = segment_softmax(self.score(h), protein, count)
        pooled = [
            segment(h * attention[:, head, None], protein, count, "sum")
            for head in range(attention.shape[1])
        ]
        pooled.append(segment(h, protein, count, "max"))
        return torch.cat(pooled, dim=1), attention


class ProteinNorm(nn.BatchNorm1d):
    """Batch normalization of pooled features over proteins.

    Pooled features of different proteins are similar; standardization emphasizes their
    differences. A batch of one protein has no variance and uses the running statistics.
    """

    def forward(self, pooled: Tensor) -> Tensor:
        """The features [G, n], normalized."""
        if self.training and len(pooled) == 1:
            return batch_norm(
                pooled, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(pooled)


class HaloNetwork(nn.Module):
    """Modalities → fusion → graph attention → attention pooling → one logit per label.

    With `n_kinds`, a convolution along the sequence also predicts the region of each residue.

    Args:
        embedding_dim: width of the language model's embeddings.
        n_labels: number of labels.
        settings: hyperparameters of the network.
        n_kinds: number of kinds of regions to predict for each residue; 0 for none.
    """

    modality_dropout = True  # the fusion leaves out a modality that is hidden in training

    def __init__(
        self, embedding_dim: int, n_labels: int, settings: NetworkSettings, n_kinds: int = 0
    ) -> None:
        super().__init__()
        dimensions = dict(
            zip(MODALITIES, (embedding_dim, STRUCTURE_DIM, BIOCHEMISTRY_DIM), strict=True)
        )
        hidden = settings.hidden
        self.settings = settings
        self.standardize = StandardizeEmbedding(embedding_dim)
        self.fusion = ModalityFusion(dimensions, hidden, settings.weights == "learned")
        self.blocks = nn.ModuleList(AttentionBlock(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(hidden)
        self.pooling = AttentionPooling(hidden, settings.pooling_heads)
        pooled = (settings.pooling_heads + 1) * hidden
        self.head = nn.Sequential(
            ProteinNorm(pooled),
            nn.Linear(pooled, hidden),
            nn.GELU(),
            Dropout(settings.dropout),
            nn.Linear(hidden, n_labels),
        )
        self.region_head = RegionHead(hidden, n_kinds) if n_kinds else None

    def forward(self, batch: Batch) -> Output:
        """Compute the output for a batch of proteins from `halo.network.features.protein_data`.

        `prepare` is called here if it has not been called for the batch.
        """
        if "sequence_index" not in batch:
            batch = self.prepare(batch)
        features = {name: batch[name].float() for name in MODALITIES}
        features["embedding"] = self.standardize(batch.embedding)
        h, weights = self.fusion(features, batch.present, batch.batch)
        sequence, contacts = (
            Edges(batch[f"{name}_index"], batch[f"{name}_begin"], batch[f"{name}_attr"], batch.ptr)
            for name in ("sequence", "contact")
        )
        for block in self.blocks:
            h = block(h, sequence, contacts)
        h = self.norm(h)
        pooled, attention = self.pooling(h, batch.batch, batch.num_graphs)
        regions = None
        if self.region_head is not None:
            regions = self.region_head(h, batch.batch, batch.num_graphs)
        return Output(self.head(pooled), weights, attention, regions)

    def prepare(self, batch: Batch) -> Batch:
        """Prepare a batch for `forward`; best called on the CPU, before the batch is moved."""
        made = split_edges(self._seen(batch))
        for name in ("edge_index", "edge_attr", "edge_contact", "coordinates"):
            del made[name]  # no longer used; need not be moved
        return made

    def _seen(self, batch: Batch) -> Batch:
        """The batch without the modalities and edges that the settings exclude."""
        everyone = torch.ones_like(batch.present[:, 0])
        if self.settings.edges == "neighbours":
            batch = hide_contacts(batch, everyone)
        elif self.settings.edges == "shuffled":
            batch = shuffle_structure(batch)
        for name in MODALITIES:
            if name not in self.settings.modalities:
                batch = HIDE[name](batch, everyone)
        return batch

    def global_weights(self) -> dict[str, float]:
        """Weights for a protein with all modalities, without the per-protein term."""
        return self.fusion.global_weights(self.settings.modalities)
