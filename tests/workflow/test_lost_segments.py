"""A store that has lost segments, to a purge or by hand, is filled again by a plain call."""

import json
from pathlib import Path

import pandas as pd
import pytest

from halo.config import merged
from halo.graphs.layout import LAYOUT
from halo.store import Store
from pipeline import ROOT, SMALL, Outcome, snakemake
from serve import AlphaFoldServer

SHARDS = [f"results/lost/graphs/{shard}.json" for shard in ("000", "001")]


@pytest.fixture
def config(tmp_path):
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str, keep_default_na=False)
    table.head(20).to_csv(tmp_path / "proteins.csv", index=False)
    dataset = {"proteins": "proteins.csv", "accession": "accession", "annotations": ["kingdom"]}
    with AlphaFoldServer(ROOT / "resources/demo/afdb") as server:
        structures = {"transport": {"base_url": server.url}}
        yield merged(SMALL, {"run": "lost", "dataset": dataset, "structures": structures})


def test_segments_that_were_removed_are_made_again(tmp_path, config):
    def call(*arguments: str) -> Outcome:
        done = snakemake(tmp_path, config, "--nolock", *SHARDS, *arguments)
        assert done.status == 0, done.output
        return done

    call()
    content = [(tmp_path / shard).read_bytes() for shard in SHARDS]
    store = Store(tmp_path / "store" / json.loads(content[0])["store"], LAYOUT)
    buckets = [f"{number:02x}" for number in range(256)]
    held = [name for bucket in buckets for name in store.hashes(bucket)]
    graphs = {name: store.read(name)["edges"].tolist() for name in held}
    assert len(graphs) == 20
    segments = {path: path.stat().st_mtime_ns for path in store.path.glob("*/*.h5")}
    lost = min(segments)
    lost.unlink()

    planned = call("--dry-run")
    assert planned.rules == ["graphs"], planned.output  # one of the two shards
    assert not lost.exists()
    call()
    again = Store(store.path, LAYOUT)
    assert {name: again.read(name)["edges"].tolist() for name in held} == graphs
    for path in segments.keys() - {lost}:  # what was not lost is as it was
        assert path.stat().st_mtime_ns == segments[path]
    assert [(tmp_path / shard).read_bytes() for shard in SHARDS] == content
    assert call("--dry-run").nothing_to_do

    # The whole store is purged, with all who are registered in it.
    for path in sorted(Path(tmp_path / "store").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert sorted(set(call("--dry-run").rules)) == ["graphs", "structures"]
