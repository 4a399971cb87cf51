"""The embeddings stage: killed at any time, with a very long protein, and read concurrently."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from halo.embeddings.find import find_weights
from halo.embeddings.layout import LAYOUT
from halo.embeddings.weights import write_weights
from halo.files import sha256_of_text
from halo.proteins.members import HEADER
from halo.shards import open_store
from halo.store import Store, bucket_of
from pipeline import forks

CHECKPOINT = "resources/demo/esm2_demo.pt"
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
MEGABYTE = 1 << 20


def random_sequences(lengths: Sequence[int], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(LETTERS, length)) for length in lengths]


class Job:
    """The arguments of ``scripts/embeddings.py`` for some sequences."""

    def __init__(self, root: Path, folder: Path, sequences: Sequence[str]) -> None:
        self.root, self.folder = root, folder
        self.names = {sha256_of_text(text): text for text in sequences}
        members = folder / "members"
        members.mkdir(parents=True)
        lines: dict[str, list[str]] = {}
        for name, text in sorted(self.names.items()):
            lines.setdefault(bucket_of(name), ["\t".join(HEADER)]).append(f"{name}\t\t{text}")
        for bucket, rows in lines.items():
            (members / f"{bucket}.tsv").write_text("\n".join((*rows, "")))
        self.buckets = sorted(lines)
        weights = find_weights(str(root / CHECKPOINT), folder, None)
        write_weights(folder / "language_model.json", weights)

    def start(self, python: str) -> subprocess.Popen:
        folder = self.folder
        arguments = ["--members", folder / "members", "--buckets", *self.buckets]
        arguments += ["--language-model", folder / "language_model.json", "--store", folder]
        arguments += ["--shard", folder / "shard.json", "--settings", "{}"]
        return subprocess.Popen(
            [python, str(self.root / "scripts/embeddings.py"), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(self.root / "workflow"), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> Store:
        """Run to the end."""
        process = self.start(forks().python)
        _, messages = process.communicate()
        assert process.returncode == 0, messages
        return open_store([self.folder / "shard.json"], LAYOUT, self.folder)


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on(root, tmp_path):
    """Every segment opens, finished proteins are kept, and the end is that of a quiet run."""
    rng = np.random.default_rng(3)
    sequences = random_sequences(rng.integers(50, 800, 120), seed=1)
    quiet = Job(root, tmp_path / "quiet", sequences).finish()
    job = Job(root, tmp_path / "killed", sequences)
    kept: set[Path] = set()
    for _ in range(3):
        process = job.start(forks().python)
        for line in process.stderr:
            if "to embed" in line:
                break
        time.sleep(rng.uniform(0.1, 1.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        segments = set((tmp_path / "killed").glob("embeddings/*/*/*.h5"))
        assert kept <= segments
        for segment in segments:
            with h5py.File(segment) as file:
                assert file["offset"][-1, 0] == len(file["residues"])
        kept = segments
    store = job.finish()
    assert kept <= set(store.path.glob("*/*.h5"))
    for name, text in job.names.items():
        rows = store.read(name)["residues"]
        assert len(rows) == len(text)
        np.testing.assert_array_equal(rows, quiet.read(name)["residues"])


@pytest.mark.slow
def test_memory_stays_bounded_with_a_giant(root, tmp_path):
    """Titin among 100 others: attention over all of its residues would need 5 GB."""
    lengths = np.random.default_rng(0).gamma(2.0, 200.0, 100).astype(int) + 40
    job = Job(root, tmp_path, random_sequences([34_350, *lengths], seed=2))
    process = job.start(sys.executable)  # the memory is that of a process of its own
    messages = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, messages
    store = open_store([tmp_path / "shard.json"], LAYOUT, tmp_path)
    giant = max(job.names, key=lambda name: len(job.names[name]))
    assert len(store.read(giant)["residues"]) == 34_350
    assert usage.ru_maxrss * 1024 < 2000 * MEGABYTE


class Proteins(Dataset):
    """Sums over the residues of each protein of a store."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self.store, self.names = store, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> torch.Tensor:
        rows = self.store.read(self.names[index])["residues"]
        return torch.from_numpy(rows.astype(np.float32).sum(axis=0))


def test_workers_of_a_loader_read_what_one_process_reads(root, tmp_path):
    job = Job(root, tmp_path, random_sequences(range(10, 70), seed=4))
    names = sorted(job.names)
    proteins = Proteins(job.finish(), names)
    expected = torch.stack([proteins[index] for index in range(len(names))])  # opens segments
    loader = DataLoader(proteins, batch_size=7, num_workers=2, multiprocessing_context="fork")
    assert torch.equal(torch.cat(list(loader)), expected)
