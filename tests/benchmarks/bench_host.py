"""Throughput of the host: how fast it can process results of a GPU, and feed a training.

Nothing is computed. A stand-in for the language model answers at once with states of the width of
t33_650M, as they come from the GPU, and the stage does the rest: batches, windows, checks and
segments on the disk. Then the batches of a training are read from stores of such embeddings and of
graphs: cold, from files that are not in the memory of the operating system, and warm. The last line
is one JSON object; its ratio is that of the rate in embedding and what an H100 computes.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from halo.embeddings.embed import embed_buckets  # noqa: E402
from halo.embeddings.layout import LAYOUT as EMBEDDINGS  # noqa: E402
from halo.embeddings.layout import EmbeddingSettings  # noqa: E402
from halo.embeddings.weights import Weights  # noqa: E402
from halo.files import sha256_of_text  # noqa: E402
from halo.graphs.build import GraphSettings, build_graph  # noqa: E402
from halo.graphs.layout import LAYOUT as GRAPHS  # noqa: E402
from halo.malloc import keep_freed_memory  # noqa: E402
from halo.proteins.members import Member  # noqa: E402
from halo.store import Store, bucket_of  # noqa: E402
from halo.structures.layout import Fragment, pack  # noqa: E402
from halo.training.data import ProteinDataset, ResidueBudget, loader  # noqa: E402
from halo.training.settings import TrainingSettings  # noqa: E402

GOAL = 300_000  # residues per second that an H100 makes of t33_650M in bfloat16
DIMENSION = 1280
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
VOLUME = 135.0  # of a residue in a protein, cubic angstrom


class Answer:
    """An encoder that computes nothing: the same states for all, in float16 or float32."""

    ahead = 1
    dtype = torch.bfloat16

    def __init__(self, tokens: int, dtype: torch.dtype) -> None:
        self.states = torch.randn(tokens, DIMENSION).to(dtype)
        self.seconds = 0.0

    def start(self, sequences: Sequence[str]) -> Callable[[], list[Tensor]]:
        """What a GPU's transfer leaves in the memory: a new array for every batch."""

        def states() -> list[Tensor]:
            start = time.perf_counter()
            lengths = [len(text) for text in sequences]
            rows = self.states[: sum(lengths)].clone()
            self.seconds += time.perf_counter() - start
            return list(rows.split(lengths))

        return states


def proteins(count: int) -> dict[str, list[Member]]:
    """Random sequences of lengths as in Swiss-Prot, by their buckets."""
    rng = np.random.default_rng(0)
    buckets: dict[str, list[Member]] = {}
    for length in rng.gamma(2.0, 180.0, count).astype(int) + 40:
        sequence = "".join(rng.choice(LETTERS, length))
        name = sha256_of_text(sequence)
        buckets.setdefault(bucket_of(name), []).append(Member(name, (), sequence))
    return buckets


def embedding_rate(members: dict[str, list[Member]], half: bool) -> dict[str, float]:
    """Residues a second through the stage, and its share that waits for the stand-in."""
    settings = EmbeddingSettings(tokens_per_batch=32768)
    answer = Answer(40_000, torch.float16 if half else torch.float32)
    total = sum(len(member.sequence) for found in members.values() for member in found)
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        embed_buckets(
            members,
            Path(folder),
            Weights("none", "", "0" * 64),
            settings,
            "cpu",
            lambda *_: answer,
        )
        seconds = time.perf_counter() - start
    return {"residues_per_second": round(total / seconds), "stand_in": answer.seconds / seconds}


def graph_of(sequence: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A graph with as many contacts as that of a globular protein."""
    n = len(sequence)
    points = rng.standard_normal((n, 3))
    radius = (VOLUME * n * 3 / 4 / np.pi) ** (1 / 3)
    shell = radius * rng.random((n, 1)) ** (1 / 3)
    centres = shell * points / np.linalg.norm(points, axis=1, keepdims=True)
    atoms = centres[:, None] + np.array([[-1.46, 0, 0], [0, 0, 0], [0, 1.53, 0]])
    residue = np.frombuffer(sequence.encode(), np.uint8)
    plddt = np.full(n, 90, np.float16)
    fragment = Fragment(atoms.astype(np.float32), plddt, residue, np.arange(n, dtype=np.uint16))
    return build_graph(sequence, pack([fragment]), GraphSettings())


def write_stores(members: Sequence[Member], root: Path) -> tuple[Store, Store]:
    """Stores of graphs and of random embeddings."""
    rng = np.random.default_rng(1)
    graphs, embeddings = Store(root / "graphs", GRAPHS), Store(root / "embeddings", EMBEDDINGS)
    with graphs.writer() as to_graphs, embeddings.writer() as to_embeddings:
        for member in members:
            rows = rng.standard_normal((len(member.sequence), DIMENSION), np.float32)
            to_embeddings.add(member.seq_hash, {"residues": rows.astype(np.float16)})
            graph = graph_of(member.sequence, rng)
            to_graphs.add(member.seq_hash, graph, {"structure_sha256": ""})
    return graphs, embeddings


def forget(root: Path) -> None:
    """Take the files below a folder out of the memory of the operating system."""
    for path in root.rglob("*.h5"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def loading_rates(members: dict[str, list[Member]]) -> dict[str, dict[str, int]]:
    """Residues of an epoch's batches a second, and a second of CPU time, cold and warm."""
    chosen = [member for bucket in members.values() for member in bucket]
    lengths = np.array([len(member.sequence) for member in chosen])
    hashes = np.array([member.seq_hash for member in chosen], dtype=object)
    labels = np.zeros((len(chosen), 10), np.uint8)
    budget = TrainingSettings().residues_per_batch
    found = {}
    with TemporaryDirectory() as folder:
        stores = write_stores(chosen, Path(folder))
        forget(Path(folder))
        for name in ("cold", "warm"):
            dataset = ProteinDataset(hashes, labels, *stores)
            sampler = ResidueBudget(lengths, range(len(chosen)), budget, seed=1, shuffle=True)
            start, cpu = time.perf_counter(), time.process_time()
            residues = sum(len(batch.embedding) for batch in loader(dataset, sampler, 0))
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            found[name] = {
                "residues_per_second": round(residues / seconds),
                "residues_per_cpu_second": round(residues / cpu),
            }
    return found


def main() -> None:
    """Measure, and print the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proteins", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--float32", action="store_true", help="states as they were once fetched")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    keep_freed_memory()
    members = proteins(arguments.proteins)
    found = [embedding_rate(members, not arguments.float32) for _ in range(arguments.rounds)]
    for one in found:
        print(one, flush=True)
    loaded = loading_rates(members)
    print(f"loading: {loaded}", flush=True)
    rate = max(one["residues_per_second"] for one in found)
    print(
        json.dumps(
            {
                "name": "host",
                "ratio": round(rate / GOAL, 2),
                "goal": 1.0,
                "ok": rate >= GOAL,
                "proteins": arguments.proteins,
                "residues_per_second": rate,
                "loading": loaded,
            }
        )
    )


if __name__ == "__main__":
    main()
