"""Compare training with graphs from the store to graphs that are rebuilt each time.

The proteins are real AlphaFold models with random embeddings and labels. Three ways to feed the
network, each an epoch of the same steps (forward, focal loss, backward, AdamW):

- ours: graphs and embeddings from their stores, batches of as many residues as the default says
- k-d tree: each graph built from its file when its protein comes up, by HALO's own fast code, and
  batches of 8 proteins
- published: the same by Bio.PDB and the double loop of the published algorithm, batches of 8

Without any reading, with the batches in memory, the network's own arithmetic is left; its share of
ours is the bound. On a CPU it is measured a second time with the operations of PyTorch, one after
the other, as the network computed before (by steps): without `halo.network.fused_attention` and
`halo.network.dropout`, a product for each projection, and the modalities stacked. The two
alternate. The last line is one JSON object.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from Bio.Data.PDBData import protein_letters_3to1
from Bio.PDB import PDBParser
from torch import Tensor

from halo.network.batch import Batch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from halo.embeddings.layout import LAYOUT as EMBEDDINGS  # noqa: E402
from halo.files import sha256_of_text  # noqa: E402
from halo.graphs.build import GraphSettings, build_graph  # noqa: E402
from halo.graphs.layout import LAYOUT as GRAPHS  # noqa: E402
from halo.malloc import keep_freed_memory  # noqa: E402
from halo.network.dropout import Dropout  # noqa: E402
from halo.network.features import MODALITIES, protein_data  # noqa: E402
from halo.network.graph_attention import Edges, GraphAttention, segment  # noqa: E402
from halo.network.loss import focal_loss  # noqa: E402
from halo.network.modalities import ABSENT, PACE, ModalityFusion  # noqa: E402
from halo.network.model import HaloNetwork, NetworkSettings  # noqa: E402
from halo.store import Store  # noqa: E402
from halo.structures.layout import Fragment, pack  # noqa: E402
from halo.structures.match import best_placed, fragment_of  # noqa: E402
from halo.structures.parse import parse_structure  # noqa: E402
from halo.training.data import ProteinDataset, ResidueBudget, loader  # noqa: E402
from halo.training.settings import TrainingSettings  # noqa: E402

MODELS = ROOT.parent / "shared/data/afdb"
GOALS = {"cpu": 8.0, "cuda": 100.0}
EMBEDDING_DIM, N_LABELS = 320, 10
BATCH_OF_THE_PEER = 8
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Protein:
    """A model's file, its sequence and an embedding of it."""

    file: Path
    sequence: str
    embedding: np.ndarray

    @property
    def seq_hash(self) -> str:
        """Key in the stores."""
        return sha256_of_text(self.sequence)


def read_proteins(folder: Path, number: int, seed: int) -> list[Protein]:
    """`number` random models of `folder`."""
    rng = np.random.default_rng(seed)
    files = sorted(folder.glob("AF-*-F1-model_v*.pdb.gz"))
    proteins = []
    for file in rng.permutation(np.array(files, dtype=object))[:number]:
        sequence = parse_structure(file.read_bytes(), file.name)[0].letters
        embedding = rng.standard_normal((len(sequence), EMBEDDING_DIM)).astype(np.float16)
        proteins.append(Protein(file, sequence, embedding))
    return proteins


def graph_by_tree(protein: Protein) -> Arrays:
    """HALO's graph of a protein, from its file."""
    chains = parse_structure(protein.file.read_bytes(), protein.file.name)
    fragment = fragment_of(best_placed(chains, protein.sequence), "plddt")
    return build_graph(protein.sequence, pack([fragment]), GraphSettings())


def graph_by_loop(protein: Protein) -> Arrays:
    """The same, read by Bio.PDB, and all distances measured by a double loop."""
    with gzip.open(protein.file, "rt") as text:
        structure = PDBParser(QUIET=True).get_structure("model", text)
    residues = list(structure.get_residues())
    atoms = np.array([[r[name].coord for name in ("N", "CA", "C")] for r in residues], np.float32)
    centres = [residue["CA"].get_coord() for residue in residues]
    edges, distances = [], []
    for i in range(len(centres)):
        for j in range(len(centres)):
            if i != j:
                distance = np.linalg.norm(centres[i] - centres[j])
                if distance <= GraphSettings().radius:
                    edges.append([i, j])
                    distances.append(distance)
    letters = "".join(protein_letters_3to1[residue.get_resname()] for residue in residues)
    fragment = Fragment(
        atoms,
        np.array([residue["CA"].bfactor for residue in residues], np.float16),
        np.frombuffer(letters.encode(), np.uint8),
        np.arange(len(letters), dtype=np.uint16),
    )
    # What the network reads must be the same: the rest of the features by our code.
    return build_graph(protein.sequence, pack([fragment]), GraphSettings())


def rebuilt(
    proteins: Sequence[Protein], labels: torch.Tensor, build: Callable[[Protein], Arrays]
) -> Iterator[Batch]:
    """Batches of eight proteins, whose graphs are built now."""
    for start in range(0, len(proteins), BATCH_OF_THE_PEER):
        chosen = range(start, min(start + BATCH_OF_THE_PEER, len(proteins)))
        batch = [protein_data(build(proteins[k]), proteins[k].embedding) for k in chosen]
        for k, data in zip(chosen, batch, strict=True):
            data.y = labels[k : k + 1]
        yield Batch.from_data_list(batch)


def stored(proteins: Sequence[Protein], root: Path) -> tuple[Store, Store]:
    """The stores of the graphs and of the embeddings."""
    graphs, embeddings = Store(root / "graphs", GRAPHS), Store(root / "embeddings", EMBEDDINGS)
    with graphs.writer() as to_graphs, embeddings.writer() as to_embeddings:
        for protein in proteins:
            graph = graph_by_tree(protein)
            to_graphs.add(protein.seq_hash, graph, {"structure_sha256": ""})
            to_embeddings.add(protein.seq_hash, {"residues": protein.embedding})
    return graphs, embeddings


def train_epoch(batches: Iterable[Batch], device: str) -> float:
    """Seconds of an epoch with a new network."""
    torch.manual_seed(0)
    network = HaloNetwork(EMBEDDING_DIM, N_LABELS, NetworkSettings()).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    weights = torch.ones(N_LABELS, device=device)
    start = time.perf_counter()
    for batch in batches:
        batch = batch.to(device)
        loss = focal_loss(network(batch).logits, batch.y, 1.0, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def attend_by_steps(layer: GraphAttention, x: Tensor, edges: Edges) -> Tensor:
    """`GraphAttention.forward` with a product for each projection."""
    nodes = torch.stack([layer.lin_l(x), layer.lin_r(x)], dim=1)
    return layer._by_steps(nodes, layer.lin_edge(edges.features), edges) + layer.bias


def fuse_by_steps(
    layer: ModalityFusion, features: Mapping[str, Tensor], present: Tensor, protein: Tensor
) -> tuple[Tensor, Tensor]:
    """`ModalityFusion.forward` with an array of all modalities."""
    projected = torch.stack(
        [layer.norm(layer.projections[name](features[name])) for name in MODALITIES], dim=1
    )
    means = segment(projected, protein, len(present), "mean")
    own = torch.einsum("gmh,mh->gm", means, layer.protein_part) / projected.shape[-1] ** 0.5
    logits = (PACE * (layer.global_part + own)).masked_fill(~present, ABSENT)
    weights = torch.softmax(logits, dim=1) * present
    return torch.einsum("nmh,nm->nh", projected, weights[protein]), weights


@contextmanager
def operations_of_pytorch() -> Iterator[None]:
    """The network with PyTorch's operations alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphAttention, "forward", attend_by_steps)
        patch.setattr(ModalityFusion, "forward", fuse_by_steps)
        patch.setattr(Dropout, "forward", torch.nn.Dropout.forward)
        yield


def main() -> None:
    """Time the three ways, print a table and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of AF-*.pdb.gz")
    parser.add_argument("--number", type=int, default=96, help="of models")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of ours; the best counts")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # all three gain by it
    device = "cuda" if torch.cuda.is_available() else "cpu"
    proteins = read_proteins(arguments.models, arguments.number, seed=1)
    residues = sum(len(protein.sequence) for protein in proteins)
    rng = np.random.default_rng(1)
    labels = (rng.random((len(proteins), N_LABELS)) < 0.15).astype(np.uint8)
    hashes = np.array([protein.seq_hash for protein in proteins], dtype=object)
    lengths = np.array([len(protein.sequence) for protein in proteins])
    with TemporaryDirectory() as name:
        stores = stored(proteins, Path(name))
        settings = TrainingSettings()
        budget = ResidueBudget(
            lengths, range(len(proteins)), settings.residues_per_batch, seed=1, shuffle=True
        )

        def from_stores() -> Iterable[Batch]:
            return loader(ProteinDataset(hashes, labels, *stores), budget, settings.workers)

        in_memory = list(from_stores())
        train_epoch(in_memory[:1], device)  # what is compiled or allocated once
        targets = torch.from_numpy(labels.astype(np.float32))
        best: dict[str, float] = {}
        for _ in range(arguments.rounds):
            ways = {"ours": from_stores(), "arithmetic": in_memory}
            ways |= {"k-d tree": rebuilt(proteins, targets, graph_by_tree)}
            if not best:
                ways |= {"published": rebuilt(proteins, targets, graph_by_loop)}
            for way, batches in ways.items():
                best[way] = min(train_epoch(batches, device), best.get(way, np.inf))
            if device == "cpu":
                with operations_of_pytorch():
                    seconds = train_epoch(in_memory, device)
                best["by steps"] = min(seconds, best.get("by steps", np.inf))
    for way, seconds in best.items():
        print(f"{way:10s} {seconds:8.2f} s {residues / seconds:9.0f} residues/s")
    ratio, goal = best["published"] / best["ours"], GOALS[device]
    result = {"name": "train", "ratio": round(ratio, 2), "goal": goal, "ok": ratio >= goal}
    result |= {"ratio_to_tree": round(best["k-d tree"] / best["ours"], 2)}
    result |= {"share_of_arithmetic": round(best["arithmetic"] / best["ours"], 3)}
    if device == "cpu":
        result |= {"ratio_to_steps": round(best["by steps"] / best["arithmetic"], 2)}
    result |= {"device": device, "threads": arguments.threads, "residues": residues}
    result |= {"residues_per_second": {way: round(residues / s) for way, s in best.items()}}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
