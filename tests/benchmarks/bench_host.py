"""Throughput of the host in embedding: how fast it can process results of a GPU.

Nothing is computed. A stand-in for the language model answers at once with states of the width of
t33_650M, as they come from the GPU, and the stage does the rest: batches, windows, checks and
segments on the disk. The last line is one JSON object; its ratio is that of the rate and what an
H100 computes.
"""

import argparse
import json
import logging
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
from halo.embeddings.layout import EmbeddingSettings  # noqa: E402
from halo.embeddings.weights import Weights  # noqa: E402
from halo.files import sha256_of_text  # noqa: E402
from halo.malloc import keep_freed_memory  # noqa: E402
from halo.proteins.members import Member  # noqa: E402
from halo.store import bucket_of  # noqa: E402

GOAL = 300_000  # residues per second that an H100 makes of t33_650M in bfloat16
DIMENSION = 1280
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


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
            }
        )
    )


if __name__ == "__main__":
    main()
