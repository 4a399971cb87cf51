"""Content that a store has lost is computed again by a normal call."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from halo.config import merged
from halo.graphs.layout import LAYOUT
from halo.store import BUCKETS, Store
from pipeline import ROOT, SMALL, Outcome, snakemake
from serve import AlphaFoldServer

SHARDS = tuple(f"results/lost/graphs/{shard}.json" for shard in ("000", "001"))
MODEL = "results/lost/kfold/0/1/halo/model.json"
PROTEINS = 60


@dataclass(frozen=True)
class Run:
    """A run whose graphs are made."""

    folder: Path
    config: dict

    def call(self, *arguments: str) -> Outcome:
        return snakemake(self.folder, self.config, "--nolock", "--", *arguments)

    def plan(self, *targets: str) -> Outcome:
        return snakemake(self.folder, self.config, "--nolock", "--dry-run", "--", *targets)

    @property
    def store(self) -> Store:
        """The graphs, as they are now."""
        named = json.loads((self.folder / SHARDS[0]).read_text())["store"]
        return Store(self.folder / "store" / named, LAYOUT)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lost")
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str, keep_default_na=False)
    table.head(PROTEINS).to_csv(folder / "proteins.csv", index=False)
    dataset = {"proteins": "proteins.csv", "accession": "accession", "annotations": ["kingdom"]}
    with AlphaFoldServer(ROOT / "resources/demo/afdb") as server:
        structures = {"transport": {"base_url": server.url}}
        config = merged(SMALL, {"run": "lost", "dataset": dataset, "structures": structures})
        made = Run(folder, merged(config, {"training": {"epochs": 1}}))
        done = made.call(*SHARDS)
        assert done.status == 0, done.output
        yield made


def edges(store: Store) -> dict[str, list]:
    held = [name for bucket in BUCKETS for name in store.hashes(bucket)]
    return {name: store.read(name)["edges"].tolist() for name in held}


def test_segments_that_were_removed_are_made_again(run):
    content = [(run.folder / shard).read_bytes() for shard in SHARDS]
    graphs = edges(run.store)
    assert len(graphs) == PROTEINS
    segments = {path: path.stat().st_mtime_ns for path in run.store.path.glob("*/*.h5")}
    lost = min(segments)
    lost.unlink()

    planned = run.plan(*SHARDS)
    assert planned.rules == ["graphs"], planned.output  # one of the two shards
    assert not lost.exists()
    done = run.call(*SHARDS)
    assert done.status == 0, done.output
    assert edges(run.store) == graphs
    for path in segments.keys() - {lost}:  # what was not lost is as it was
        assert path.stat().st_mtime_ns == segments[path]
    assert [(run.folder / shard).read_bytes() for shard in SHARDS] == content
    assert run.plan(*SHARDS).nothing_to_do


def test_a_damaged_segment_is_made_again_after_the_command_that_the_message_gives(run):
    store = run.store
    segment = min(store.path.glob("*/*.h5"))
    [name] = store.hashes(segment.parent.name)
    before = store.read(name)
    with h5py.File(segment, "r+") as file:
        file["edges"][0] += 1

    failed = run.call(MODEL)
    assert failed.status != 0
    [command] = set(re.findall(r": (rm \S+\.h5)$", failed.output, re.MULTILINE))
    subprocess.run(command, shell=True, check=True, cwd=run.folder)
    assert not segment.exists()

    again = run.call(MODEL)
    assert again.status == 0, again.output
    assert again.rules.count("graphs") == 1  # of the two shards
    assert "train" in again.rules
    for key, values in run.store.read(name).items():
        np.testing.assert_array_equal(values, before[key])


def test_a_whole_store_that_was_removed_is_made_again(run):
    """With all who are registered in it."""
    shutil.rmtree(run.folder / "store")
    assert sorted(set(run.plan(*SHARDS).rules)) == ["graphs", "structures"]
