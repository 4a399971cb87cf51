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

    def start(self, python: str, *before: str) -> subprocess.Popen:
        folder = self.folder
        arguments = ["--members", folder / "members", "--buckets", *self.buckets]
        arguments += ["--language-model", folder / "language_model.json", "--store", folder]
        arguments += ["--shard", folder / "shard.json", "--settings"]
        arguments.append('{"precision": "float32"}')
        return subprocess.Popen(
            [python, *before, str(self.root / "scripts/embeddings.py"), *map(str, arguments)],
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


# Runs the script with a segment for every few proteins; in a real job it is one for many.
SMALL_FLUSHES = """
import functools, runpy, sys
from halo.store import Store
Store.writer = functools.partialmethod(Store.writer, flush_bytes=50_000)
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_killed_after_some_segments_it_resumes(root, tmp_path):
    """Every segment opens, what it has is kept, and the rest is computed again and no more."""
    rng = np.random.default_rng(3)
    sequences = random_sequences(rng.integers(50, 400, 80), seed=1)
    quiet = Job(root, tmp_path / "quiet", sequences).finish()
    job = Job(root, tmp_path / "killed", sequences)
    kept: dict[Path, int] = {}
    for _ in range(2):
        process = job.start(forks().python, "-c", SMALL_FLUSHES)
        while len(list(job.folder.glob("embeddings/*/*/*.h5"))) <= len(kept) + 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        segments = {}
        for segment in job.folder.glob("embeddings/*/*/*.h5"):
            with h5py.File(segment) as file:
                assert file["offset"][-1, 0] == len(file["residues"])
                segments[segment] = len(file["hash"])
        assert kept.keys() < segments.keys()  # something more was kept
        kept = segments
    assert sum(kept.values()) < len(job.names)  # and something was lost
    store = job.finish()
    assert kept.keys() < set(store.path.glob("*/*.h5"))
    rows = [len(store.hashes(bucket)) for bucket in job.buckets]
    assert sum(rows) == len(job.names)
    for name, text in job.names.items():
        found = store.read(name)["residues"]
        assert len(found) == len(text)
        np.testing.assert_array_equal(found, quiet.read(name)["residues"])


# Runs the script, and writes the most memory that it held, in bytes, next to its shard file. Not
# `ru_maxrss`: a process begins with that of the one that started it, here a worker of pytest.
MEASURED = """
import runpy, sys
from pathlib import Path
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
Path(sys.argv[sys.argv.index("--shard") + 1]).with_name("memory").write_text(str(int(peak) * 1024))
"""


@pytest.mark.slow
def test_memory_stays_bounded_with_a_giant(root, tmp_path):
    """Titin among 100 others: attention over all of its residues would need 5 GB."""
    lengths = np.random.default_rng(0).gamma(2.0, 200.0, 100).astype(int) + 40
    job = Job(root, tmp_path, random_sequences([34_350, *lengths], seed=2))
    process = job.start(sys.executable, "-c", MEASURED)  # in a process of its own
    _, messages = process.communicate()
    assert process.returncode == 0, messages
    store = open_store([tmp_path / "shard.json"], LAYOUT, tmp_path)
    giant = max(job.names, key=lambda name: len(job.names[name]))
    assert len(store.read(giant)["residues"]) == 34_350
    assert int((tmp_path / "memory").read_text()) < 2000 * MEGABYTE


class Proteins(Dataset):
    """Sums over the residues of each protein of a store."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self.store, self.names = store, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> torch.Tensor:
        rows = self.store.read(self.names[index])["residues"]
        return torch.from_numpy(rows.astype(np.float32).sum(axis=0))


@pytest.mark.slow
def test_workers_of_a_loader_read_what_one_process_reads(root, tmp_path):
    job = Job(root, tmp_path, random_sequences(range(10, 70), seed=4))
    names = sorted(job.names)
    proteins = Proteins(job.finish(), names)
    expected = torch.stack([proteins[index] for index in range(len(names))])  # opens segments
    loader = DataLoader(proteins, batch_size=7, num_workers=2, multiprocessing_context="fork")
    assert torch.equal(torch.cat(list(loader)), expected)
