"""Build the residue graph of a protein from its sequence and, if available, its structure."""

from collections.abc import Mapping

import numpy as np

from halo.graphs.geometry import (
    BACKBONE_FEATURES,
    CA,
    CONTACT_SCALE,
    FEATURES,
    backbone_features,
    contact_features,
    contacts,
)
from halo.graphs.settings import GraphSettings
from halo.residues import residue_indices

CONTACT, NEIGHBOUR = 1, 2  # bits of an edge's kind
# Available structure information of a residue: coordinates with or without confidence (pLDDT).
SEQUENCE_ONLY, CONTACTS_ONLY, COORDINATES, COORDINATES_ONLY = 0, 1, 2, 3


def build_graph(
    sequence: str, structure: Mapping[str, np.ndarray] | None, settings: GraphSettings
) -> dict[str, np.ndarray]:
    """The arrays of `halo.graphs.layout.LAYOUT` for one protein.

    `structure` has the arrays of the structure store, or is None. Contacts are computed within
    fragments only, because the relative position of AlphaFold's fragments is not known. Where
    fragments overlap, the pLDDT is averaged, a contact of any fragment is used (with the smallest
    distance), and geometry and coordinates are those of the fragment in which the residue is
    farthest from an end.

    Examples
    --------
    Without a structure, the graph has edges between sequence neighbours only.

    >>> graph = build_graph("MKVL", None, GraphSettings(sequence_neighbours=1))
    >>> graph["edges"].tolist()
    [[0, 1], [1, 2], [2, 3]]
    >>> graph["structure"].shape  # residues, features
    (4, 18)
    """
    length = len(sequence)
    features = np.zeros((length, len(FEATURES)), dtype=np.float32)
    known = np.full(length, SEQUENCE_ONLY, dtype=np.uint8)
    places = np.zeros((length, 3), dtype=np.float32)
    pairs = np.empty((0, 2), dtype=np.int64)
    distances = np.empty(0, dtype=np.float32)
    if structure is not None and len(structure["coordinates"]):
        pairs, distances = _from_fragments(structure, settings, features, places, known)
    elif structure is not None and len(structure["contacts"]):
        pairs = structure["contacts"].astype(np.int64)
        distances = np.full(len(pairs), np.nan, dtype=np.float32)
        known[:] = CONTACTS_ONLY
        counts = np.bincount(pairs.ravel(), minlength=length)
        features[:, FEATURES.index("contact_number")] = counts / CONTACT_SCALE
    features[:, len(BACKBONE_FEATURES) :] = contact_features(pairs, length)
    pairs, distances = _capped(pairs, distances, length, settings.max_contacts)
    edges, distances, kind = _with_neighbours(
        pairs, distances, length, settings.sequence_neighbours
    )
    return {
        "residue": residue_indices(sequence),
        "structure": features,
        "coordinates": places,
        "known": known,
        "edges": edges,
        "distance": distances,
        "kind": kind,
    }


def _from_fragments(
    structure: Mapping[str, np.ndarray],
    settings: GraphSettings,
    features: np.ndarray,
    places: np.ndarray,
    known: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill `features`, `places` and `known` in place; returns contacts as sequence positions."""
    position = structure["position"].astype(np.int64)
    plddt = structure["plddt"].astype(np.float64)
    best = np.zeros(len(known), dtype=np.int64)
    found = []
    for start, stop in structure["fragment"].astype(np.int64):
        at = position[start:stop]
        coordinates = structure["coordinates"][start:stop]
        rows, distances = contacts(coordinates[:, CA], settings.radius)
        values = backbone_features(coordinates, plddt[start:stop], rows, at)
        inside = np.minimum(np.arange(1, stop - start + 1), np.arange(stop - start, 0, -1))
        better = inside > best[at]
        features[at[better], : len(BACKBONE_FEATURES)] = values[better]
        places[at[better]] = coordinates[better, CA]
        best[at[better]] = inside[better]
        found.append((at.take(rows), distances))
    places[np.isnan(places)] = 0.0
    known[position] = COORDINATES_ONLY
    told = ~np.isnan(plddt)
    total = np.bincount(position[told], plddt[told], len(known))
    count = np.bincount(position[told], minlength=len(known))
    confident = count > 0
    features[:, FEATURES.index("plddt")] = total / np.maximum(count, 1) / 100.0
    known[confident] = COORDINATES
    if len(found) == 1:
        return found[0]
    return _nearest(
        np.concatenate([pairs for pairs, _ in found]),
        np.concatenate([distances for _, distances in found]),
    )


def _nearest(pairs: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct sorted pairs with their smallest distance."""
    order = np.lexsort((distances, pairs[:, 1], pairs[:, 0]))
    pairs, distances = pairs[order], distances[order]
    first = np.ones(len(pairs), dtype=bool)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[first], distances[first]


def _capped(
    pairs: np.ndarray, distances: np.ndarray, length: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """The contacts that are among the `most` nearest of one of their two residues."""
    if not len(pairs) or np.bincount(pairs.ravel(), minlength=length).max() <= most:
        return pairs, distances
    # Without distances the nearest in the sequence are the least telling: keep the far ones.
    rank_by = np.where(np.isnan(distances), -np.abs(pairs[:, 1] - pairs[:, 0]), distances)
    ends = np.concatenate([pairs[:, 0], pairs[:, 1]])
    order = np.lexsort((np.tile(rank_by, 2), ends))
    starts = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=length))[:-1]])
    rank = np.empty(len(ends), dtype=np.int64)
    rank[order] = np.arange(len(ends)) - starts[ends[order]]
    keep = (rank.reshape(2, -1) < most).any(axis=0)
    return pairs[keep], distances[keep]


def _with_neighbours(
    pairs: np.ndarray, distances: np.ndarray, length: int, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct edges of contacts and sequence neighbours at most `reach` residues apart.

    Contacts must be sorted. Returns sorted edges int64 [n, 2] with i < j, distances [n] (NaN if
    unknown), and bits of the edge type, uint8 [n].
    """
    steps = range(1, min(reach, length - 1) + 1)
    neighbours = [np.arange(length - step) * (length + 1) + step for step in steps]
    # Encode an edge as one number with its type in the lowest bits, for fast sorting.
    keys = np.concatenate(
        [(pairs[:, 0] * length + pairs[:, 1]) * 4 + CONTACT]
        + [4 * numbers + NEIGHBOUR for numbers in neighbours]
    )
    keys.sort(kind="stable")  # merges the parts, each of which is in order
    edge, kind = keys >> 2, (keys & 3).astype(np.uint8)
    # Where a contact is a neighbour, too, it comes right before it.
    first = np.ones(len(edge), dtype=bool)
    first[1:] = edge[1:] != edge[:-1]
    kind[:-1][~first[1:]] |= NEIGHBOUR
    edge, kind = edge[first], kind[first]
    distance = np.full(len(edge), np.nan, dtype=np.float32)
    distance[(kind & CONTACT) > 0] = distances
    return np.stack(np.divmod(edge, length), axis=1), distance, kind
