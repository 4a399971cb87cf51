"""Layout and fingerprint of the store of graphs."""

from dataclasses import asdict
from typing import Any

from halo.code_digest import code_digest
from halo.graphs.build import GraphSettings
from halo.graphs.geometry import FEATURES
from halo.layout import Array, Layout

LAYOUT = Layout(
    arrays={
        "residue": Array("uint8"),  # [length], index in halo.residues.ALPHABET
        "structure": Array("float16", (len(FEATURES),)),  # [length, ...], 0 where unknown
        "coordinates": Array("float32", (3,)),  # [length, 3], Å, of the Cα atoms, 0 where unknown
        "known": Array("uint8"),  # [length], what is known of the structure (graphs.build)
        "edges": Array("int32", (2,)),  # [n_edges, 2], i < j, each edge once
        "distance": Array("float16"),  # [n_edges], Å between Cα atoms, NaN where unknown
        "kind": Array("uint8"),  # [n_edges], bits CONTACT and NEIGHBOUR
    },
    attributes=("structure_sha256",),
)


def description(structures: str, settings: GraphSettings) -> dict[str, Any]:
    """Everything that the content depends on; `structures` is that store's fingerprint."""
    return {
        "kind": "graphs",
        "structures": structures,
        **asdict(settings),
        "code": code_digest("halo.graphs.build"),
    }
