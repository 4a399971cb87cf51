"""Network inputs from a stored graph and an embedding."""

from copy import copy
from itertools import pairwise

import numpy as np
import torch

from halo import biochemistry
from halo.graphs.build import (
    CONTACT,
    CONTACTS_ONLY,
    COORDINATES,
    COORDINATES_ONLY,
    NEIGHBOUR,
    SEQUENCE_ONLY,
)
from halo.graphs.geometry import FEATURES
from halo.network.batch import Batch, Data
from halo.network.graph_attention import directed_with_loops

MODALITIES = ("embedding", "structure", "biochemistry")
TERMINUS_SCALES = (5.0, 20.0, 60.0)  # decay lengths of the proximity to a terminus, in residues
RADIAL_CENTRES = torch.linspace(2.0, 10.0, 16)  # Å
RADIAL_WIDTH = 8.0 / 15  # Å, the distance between centres
SEPARATION_SCALES = (1.0, 4.0, 16.0, 64.0)  # residues

# And whether contacts, coordinates, and the confidence in them are known.
STRUCTURE_DIM = len(FEATURES) + 3
EDGE_FLAGS = ("contact", "neighbour", "distance_known", "plddt_known", "min_plddt", "mean_plddt")
EDGE_DIM = len(RADIAL_CENTRES) + len(SEPARATION_SCALES) + len(EDGE_FLAGS)
CONFIDENCE = slice(EDGE_DIM - 3, EDGE_DIM)  # the last three flags
SEPARATION = slice(len(RADIAL_CENTRES), len(RADIAL_CENTRES) + len(SEPARATION_SCALES))
# Columns of the edge features that a sequence alone does not give.
FROM_STRUCTURE = torch.tensor(
    [True] * len(RADIAL_CENTRES)
    + [False] * len(SEPARATION_SCALES)
    + [flag != "neighbour" for flag in EDGE_FLAGS]
)
SCALES = torch.from_numpy(biochemistry.scales().to_numpy())
BIOCHEMISTRY_DIM = SCALES.shape[1] + 2 * len(TERMINUS_SCALES)


def protein_data(
    graph: dict[str, np.ndarray], embedding: np.ndarray | None, scales: torch.Tensor = SCALES
) -> Data:
    """Network inputs of one protein.

    Parameters
    ----------
    graph : arrays of `halo.graphs.layout.LAYOUT`
    embedding : float16 [length, dim], or None if the modality is missing
    scales : amino-acid scales, float32 [26, n_scales], see `halo.biochemistry.scales`

    Returns
    -------
    Data with ``embedding`` float16 [length, dim], ``structure`` float32
    [length, STRUCTURE_DIM], ``coordinates`` float32 [length, 3] of the Cα atoms in Å, 0 where
    unknown, ``biochemistry`` float32 [length, BIOCHEMISTRY_DIM],
    ``edge_index`` int64 [2, n_edges] (each edge once), ``edge_attr`` float32
    [n_edges, EDGE_DIM], ``edge_contact`` bool [n_edges], true for edges that exist only in the
    structure, and ``present`` bool [1, 3], the available modalities.
    """
    length = len(graph["residue"])
    if embedding is not None and len(embedding) != length:
        raise ValueError(f"{len(embedding)} embedded residues for a graph of {length}")
    known = torch.from_numpy(graph["known"].astype(np.int64))
    structure = torch.from_numpy(graph["structure"].astype(np.float32))
    confident = known == COORDINATES
    flags = torch.stack(
        [known == CONTACTS_ONLY, confident | (known == COORDINATES_ONLY), confident], dim=1
    ).float()
    edges = torch.from_numpy(graph["edges"].astype(np.int64))
    attributes = edge_features(
        edges,
        torch.from_numpy(graph["distance"].astype(np.float32)),
        torch.from_numpy(graph["kind"].astype(np.int64)),
        structure[:, FEATURES.index("plddt")],
        confident,
    )
    contact_only = torch.from_numpy(graph["kind"] == CONTACT)
    has_structure = bool((known != SEQUENCE_ONLY).any())
    return Data(
        num_nodes=length,
        embedding=torch.from_numpy(embedding) if embedding is not None else torch.zeros(length, 0),
        structure=torch.cat([structure, flags], dim=1),
        coordinates=torch.from_numpy(graph["coordinates"].astype(np.float32)),
        biochemistry=_biochemistry(graph["residue"], _termini(length), scales),
        edge_index=edges.T.contiguous(),
        edge_attr=attributes,
        edge_contact=contact_only,
        present=torch.tensor([[embedding is not None, has_structure, True]]),
    )


def with_residues(
    data: Data, residue: np.ndarray, embedding: np.ndarray, scales: torch.Tensor = SCALES
) -> Data:
    """The inputs `data` of a protein with other residues, as after substitutions.

    They are those of `protein_data` for a graph that differs in ``residue`` alone, uint8 [length];
    `embedding` and `scales` are as there. All other tensors are shared with `data`.
    """
    made = copy(data)
    made.embedding = torch.from_numpy(embedding)
    made.biochemistry = _biochemistry(residue, data.biochemistry[:, scales.shape[1] :], scales)
    return made


def edge_features(
    edges: torch.Tensor,
    distance: torch.Tensor,
    kind: torch.Tensor,
    plddt: torch.Tensor,
    confident: torch.Tensor,
) -> torch.Tensor:
    """Features of undirected edges, float32 [n_edges, EDGE_DIM].

    The features are a Gaussian radial basis of the distance in Å (0 if unknown), decays of the
    sequence separation, flags for contact, sequence neighbour, known distance and known pLDDT of
    both ends (`confident`, bool [length]), and the smaller and the mean pLDDT (0 to 1) of both
    ends, by which the network can weight contacts. If a pLDDT is unknown, both numbers are 0 and
    the flag is 0, so that the network can learn a separate weight for such contacts.
    """
    has_distance = ~torch.isnan(distance)
    offset = torch.nan_to_num(distance, nan=0.0)[:, None] - RADIAL_CENTRES
    radial = torch.exp(-0.5 * (offset / RADIAL_WIDTH) ** 2) * has_distance[:, None]
    decays = _decays(edges[:, 1] - edges[:, 0])
    flags = torch.stack([(kind & CONTACT) > 0, (kind & NEIGHBOUR) > 0, has_distance], dim=1)
    return torch.cat([radial, decays, flags.float(), _confidence(edges, plddt, confident)], dim=1)


def split_edges(batch: Batch) -> Batch:
    """The batch with separate sequence and contact edges, for all layers of graph attention.

    Adds ``sequence_index`` and ``contact_index``, ``sequence_begin`` and ``contact_begin``,
    ``sequence_attr`` and ``contact_attr``, the tensors of `Edges`. Call this before the batch is
    moved to a GPU, because the CPU would have to wait for the numbers of edges.
    """
    made = copy(batch)
    for name, chosen in (("sequence", ~batch.edge_contact), ("contact", batch.edge_contact)):
        rows = chosen.nonzero().squeeze(1)  # faster than the mask, which is searched each time
        made[f"{name}_index"], made[f"{name}_begin"], made[f"{name}_attr"] = directed_with_loops(
            batch.edge_index.index_select(1, rows),
            batch.edge_attr.index_select(0, rows),
            batch.num_nodes,
        )
    return made


def hide_structure(batch: Batch, hidden: torch.Tensor) -> Batch:
    """Remove the structure of the proteins in `hidden` (bool [G]).

    Structural features, contact edges, and distances and confidences of the remaining edges are
    removed. The result equals that of `protein_data` for a sequence without structure.
    """
    masked = hide_contacts(batch, hidden)
    rows = hidden[batch.batch, None]
    masked.structure = batch.structure.masked_fill(rows, 0)
    masked.coordinates = batch.coordinates.masked_fill(rows, 0)
    masked.present = _without(batch.present, "structure", hidden)
    return masked


def hide_contacts(batch: Batch, hidden: torch.Tensor) -> Batch:
    """Remove the contact edges of the proteins in `hidden` (bool [G])."""
    of_edge = hidden[batch.batch].index_select(0, batch.edge_index[0])
    keep = (~(of_edge & batch.edge_contact)).nonzero().squeeze(1)
    edge_attr = batch.edge_attr.index_select(0, keep)
    # Only the rows of hidden proteins are written, which are few in training.
    rows = of_edge.index_select(0, keep).nonzero().squeeze(1)
    without = edge_attr.index_select(0, rows).masked_fill(FROM_STRUCTURE.to(edge_attr.device), 0)
    masked = copy(batch)
    masked.edge_index = batch.edge_index.index_select(1, keep)
    masked.edge_attr = edge_attr.index_copy_(0, rows, without)
    masked.edge_contact = batch.edge_contact.index_select(0, keep)
    return masked


def hide_embedding(batch: Batch, hidden: torch.Tensor) -> Batch:
    """Remove the embedding of the proteins in `hidden` (bool [G])."""
    masked = copy(batch)
    masked.embedding = batch.embedding.masked_fill(hidden[batch.batch, None], 0)
    masked.present = _without(batch.present, "embedding", hidden)
    return masked


def hide_biochemistry(batch: Batch, hidden: torch.Tensor) -> Batch:
    """Remove the biochemistry of the proteins in `hidden` (bool [G])."""
    masked = copy(batch)
    masked.biochemistry = batch.biochemistry.masked_fill(hidden[batch.batch, None], 0)
    masked.present = _without(batch.present, "biochemistry", hidden)
    return masked


HIDE = {
    "embedding": hide_embedding,
    "structure": hide_structure,
    "biochemistry": hide_biochemistry,
}


def shuffle_structure(batch: Batch) -> Batch:
    """Permute each protein's structure over its residues, as a control.

    Structural features and contacts are permuted together; the sequence is unchanged. The result is
    that of `protein_data` for a structure whose residues are permuted: nothing of the true one
    stays in place, in edges along the sequence neither. The permutation depends only on the length,
    so that a protein always has the same one.
    """
    orders = []
    for start, stop in pairwise(batch.ptr.tolist()):
        generator = torch.Generator().manual_seed(stop - start)
        orders.append(start + torch.randperm(stop - start, generator=generator))
    order = torch.cat(orders).to(batch.ptr.device)
    moved = copy(batch)
    moved.structure = batch.structure[order]
    moved.coordinates = batch.coordinates[order]
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    moved.edge_index, moved.edge_attr = _with_moved_contacts(batch, place)
    plddt = moved.structure[:, FEATURES.index("plddt")]
    confident = moved.structure[:, -1] > 0
    moved.edge_attr[:, CONFIDENCE] = _confidence(moved.edge_index.T, plddt, confident)
    moved.edge_contact = moved.edge_attr[:, _flag("neighbour")] == 0
    return moved


def _with_moved_contacts(batch: Batch, place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Index and features of the edges, with the contacts of residue i at `place[i]`.

    The edges are sorted by their ends. Their confidences are not of the new places.
    """
    contact, neighbour = (batch.edge_attr[:, _flag(name)] > 0 for name in ("contact", "neighbour"))
    contacts = place[batch.edge_index[:, contact]].sort(dim=0).values
    of_contacts = batch.edge_attr[contact]
    of_contacts[:, SEPARATION] = _decays(contacts[1] - contacts[0])
    of_contacts[:, _flag("neighbour")] = 0
    from_structure = FROM_STRUCTURE.to(batch.edge_attr.device)
    of_neighbours = batch.edge_attr[neighbour].masked_fill(from_structure, 0)
    # A contact that has come between sequence neighbours is one edge with them. It has the larger
    # one of each feature: that of the only kind of edge that has it, or one that both have.
    both = torch.cat([batch.edge_index[:, neighbour], contacts], dim=1)
    pairs, edge = (both[0] * batch.num_nodes + both[1]).unique(return_inverse=True)
    features = torch.cat([of_neighbours, of_contacts])
    joined = features.new_zeros(len(pairs), EDGE_DIM).scatter_reduce(
        0, edge[:, None].expand_as(features), features, "amax"
    )
    return torch.stack([pairs // batch.num_nodes, pairs % batch.num_nodes]), joined


def _flag(name: str) -> int:
    """Column of a flag in the edge features."""
    return EDGE_DIM - len(EDGE_FLAGS) + EDGE_FLAGS.index(name)


def _confidence(edges: torch.Tensor, plddt: torch.Tensor, confident: torch.Tensor) -> torch.Tensor:
    """Flag of a known pLDDT, its minimum and mean, of edges [n_edges, 2]; float32 [n_edges, 3]."""
    known = confident[edges].all(dim=1)
    ends = plddt[edges] * known[:, None]
    return torch.stack([known.float(), ends.min(dim=1).values, ends.mean(dim=1)], dim=1)


def _decays(separation: torch.Tensor) -> torch.Tensor:
    """Decays of the sequence separation of edges, int [n_edges], in residues."""
    scales = torch.tensor(SEPARATION_SCALES, device=separation.device)
    return torch.exp(-separation.float()[:, None] / scales)


def _without(present: torch.Tensor, modality: str, hidden: torch.Tensor) -> torch.Tensor:
    present = present.clone()
    present[hidden, MODALITIES.index(modality)] = False
    return present


def _biochemistry(residue: np.ndarray, termini: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    return torch.cat([scales[residue.astype(np.int64)], termini], dim=1)


def _termini(length: int) -> torch.Tensor:
    """Proximity to the N- and C-terminus, float32 [length, 2 * len(TERMINUS_SCALES)]."""
    from_start = torch.arange(length, dtype=torch.float32)[:, None]
    decays = torch.exp(-from_start / torch.tensor(TERMINUS_SCALES))
    return torch.cat([decays, decays.flip(0)], dim=1)
