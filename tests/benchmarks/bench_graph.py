"""Compare graph building of real AlphaFold models with the published algorithm.

The published algorithm is written here from its description: Bio.PDB reads the file, a double
loop over the residues measures the distance of every residue to every other with numpy, and lists
collect the directed edges, their weights, and a row of biochemistry and coordinates a residue. It
is run at true Å, so that the edges must be the same; a loop that measures each pair once is beside
it. HALO reads the same gzipped file, and makes the edges, their distances and kinds, and all
features of the residues. The sides take turns, model by model, in one thread; HALO's seconds are
the least of several runs. The last line is one JSON object.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from Bio.Data.PDBData import protein_letters_3to1
from Bio.PDB import PDBParser

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from halo.biochemistry import scales  # noqa: E402
from halo.graphs.build import CONTACT, GraphSettings, build_graph  # noqa: E402
from halo.residues import residue_indices  # noqa: E402
from halo.structures.layout import pack  # noqa: E402
from halo.structures.match import best_placed, fragment_of  # noqa: E402
from halo.structures.parse import parse_structure  # noqa: E402

MODELS = ROOT.parent / "shared/data/afdb"
GOAL = 200.0
RADIUS = 10.0  # Å
SETTINGS = GraphSettings(radius=RADIUS, max_contacts=10_000)  # the peer has no cap
BINS = (0, 200, 400, 600, 1000, 2701)  # residues


def published_graph(file: Path, once: bool = False) -> set[tuple[int, int]]:
    """Edges i < j, by the published algorithm; with `once` each pair is measured once."""
    with gzip.open(file, "rt") as text:
        structure = PDBParser(QUIET=True).get_structure("model", text)
    coordinates, letters = [], []
    for residue in structure.get_residues():
        coordinates.append(residue["CA"].get_coord())
        letters.append(protein_letters_3to1[residue.get_resname()])
    edges, weights = [], []
    for i in range(len(coordinates)):
        for j in range(i + 1 if once else 0, len(coordinates)):
            if i != j:
                distance = np.linalg.norm(coordinates[i] - coordinates[j])
                if distance <= RADIUS:
                    edges.append([i, j])
                    weights.append(1.0 / (distance + 1e-6))
    biochemistry = scales().to_numpy()[residue_indices("".join(letters))]
    features = [[*row, *xyz] for row, xyz in zip(biochemistry, coordinates, strict=True)]
    np.array(edges), np.array(weights), np.array(features, np.float32)
    return {(i, j) for i, j in edges if i < j}


def parsed(file: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The sequence of a model, and its arrays as the structure store has them."""
    chains = parse_structure(file.read_bytes(), file.name)
    sequence = chains[0].letters
    return sequence, pack([fragment_of(best_placed(chains, sequence), "plddt")])


def timed(job: Callable[[], object], runs: int = 1) -> tuple[object, float]:
    """What `job` returns, and the least seconds that it took."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        result = job()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def compare(file: Path, runs: int) -> dict[str, float]:
    """Residues of a model, and seconds of either side; SystemExit where the edges differ."""
    (sequence, structure), parsing = timed(lambda: parsed(file), runs)
    graph, building = timed(lambda: build_graph(sequence, structure, SETTINGS), runs)
    theirs, published = timed(lambda: published_graph(file))
    _, once = timed(lambda: published_graph(file, once=True))
    contacts = graph["edges"][(graph["kind"] & CONTACT) > 0]
    if set(map(tuple, contacts.tolist())) != theirs:
        raise SystemExit(f"{file.name}: the edges differ")
    return {
        "residues": len(sequence),
        "edges": len(theirs),
        "parsing": parsing,
        "building": building,
        "published": published,
        "ratio": published / (parsing + building),
        "ratio_once": once / (parsing + building),
    }


def report(rows: Sequence[dict[str, float]]) -> None:
    """A table by length."""
    print("residues      models  published   parsing  building     ratio (median)")
    for low, high in pairwise(BINS):
        chosen = [row for row in rows if low <= row["residues"] < high]
        if chosen:
            middle = {key: float(np.median([row[key] for row in chosen])) for key in chosen[0]}
            print(
                f"{low:5d} to {high - 1:5d}  {len(chosen):4d}  {1e3 * middle['published']:7.0f} ms"
                f"  {1e3 * middle['parsing']:5.2f} ms  {1e3 * middle['building']:5.2f} ms"
                f"  {middle['ratio']:7.0f} x"
            )


def main() -> None:
    """Compare model by model, print a table by length and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of AF-*.pdb.gz")
    parser.add_argument("--number", type=int, help="of models; all by default")
    parser.add_argument("--runs", type=int, default=3, help="of HALO's side")
    arguments = parser.parse_args()
    files = sorted(arguments.models.glob("AF-*-F1-model_v*.pdb.gz"))
    step = max(1, len(files) // (arguments.number or len(files)))
    compare(files[0], 1)  # imports and caches
    rows = [compare(file, arguments.runs) for file in files[::step]]
    report(rows)
    long = [row for row in rows if row["residues"] >= 400]
    ratio = float(np.median([row["ratio"] for row in long]))
    once = float(np.median([row["ratio_once"] for row in long]))
    share = float(np.median([row["parsing"] / (row["parsing"] + row["building"]) for row in long]))
    result = {"name": "graph", "ratio": round(ratio, 1), "goal": GOAL, "ok": ratio >= GOAL}
    result |= {"ratio_each_pair_once": round(once, 1), "parsing_share": round(share, 3)}
    result |= {"models": len(rows), "of_400_or_more": len(long)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
