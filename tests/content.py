"""Numbers that networks read, for tests/unit/test_content_versions.py.

PYTHONPATH=workflow:tests python tests/content.py        writes tests/content.json
"""

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.content_versions import CONTENT_VERSIONS
from halo.graphs.build import GraphSettings, build_graph
from halo.network.features import protein_data
from halo.structures.layout import pack
from halo.structures.match import best_placed, fragment_of
from halo.structures.parse import parse_structure

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "tests/content.json"
DEMO = ROOT / "resources/demo"


def summary(array: np.ndarray) -> list[Any]:
    """Shape, type and a projection of an array, to 7 digits; unknown values count as -7."""
    values = np.nan_to_num(array.astype(np.float64), nan=-7.0).ravel()
    weights = np.cos(0.7 * np.arange(len(values)) + 1)
    scale = np.sqrt((values**2).sum()) or 1.0
    return [list(array.shape), str(array.dtype), round(float(values @ weights / scale), 7)]


def of_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """The summary of each array."""
    return {name: summary(array) for name, array in arrays.items()}


@cache
def demo_structure() -> tuple[str, Mapping[str, np.ndarray]]:
    """Sequence and stored arrays of the first demo protein, whose model lacks some of it."""
    table = pd.read_csv(DEMO / "proteins.csv")
    protein = table.set_index("accession").loc["Z9DEM0X001"]
    path = DEMO / "afdb/AF-Z9DEM0X001-F1-model_v6.cif.gz"
    chains = parse_structure(gzip.decompress(path.read_bytes()), path.name)
    sequence = "MA" + protein["sequence"]  # numbers in the file and in the sequence differ
    return sequence, pack([fragment_of(best_placed(chains, sequence), "plddt")])


def structures() -> dict[str, Any]:
    """What is stored of a structure."""
    return of_arrays(demo_structure()[1])


def graphs() -> dict[str, Any]:
    """Graphs with a structure, with contacts only, and without both."""
    sequence, structure = demo_structure()
    contacts = pack(contacts=np.array([[0, 5], [2, 30], [7, 12]], dtype=np.uint16))
    settings = GraphSettings(max_contacts=12)
    cases = {"structure": structure, "contacts": contacts, "sequence": None}
    return {
        name: of_arrays(build_graph(sequence, arrays, settings)) for name, arrays in cases.items()
    }


def features() -> dict[str, Any]:
    """Inputs of the network, with and without a structure."""
    sequence, structure = demo_structure()
    made = {}
    for name, arrays in (("structure", structure), ("sequence", None)):
        graph = build_graph(sequence, arrays, GraphSettings(max_contacts=12))
        data = protein_data(graph, np.zeros((len(sequence), 2), np.float16))
        made[name] = of_arrays({key: value.numpy() for key, value in data})
    return made


KINDS = {
    "structures": structures,
    "graphs": graphs,
    "features": features,
}

if __name__ == "__main__":
    content = {
        kind: {"version": CONTENT_VERSIONS[kind], "numbers": make()} for kind, make in KINDS.items()
    }
    STORED.write_text(json.dumps(content, indent=1) + "\n")
