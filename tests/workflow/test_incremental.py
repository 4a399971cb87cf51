"""One call after a change of the input is sufficient; the next one does nothing."""

import json

import pandas as pd
import pytest

from halo.config import merged
from pipeline import ROOT, SMALL, snakemake
from serve import AlphaFoldServer

FOLDER = ROOT / "resources/demo/afdb"


def stored(folder, kind: str) -> dict[str, str]:
    """Hash of each protein in a store, and the segment that has it."""
    indices = (folder / "store" / kind).glob("*/*/index.json")
    return {
        name: f"{file.parent}/{segment}"
        for file in indices
        for segment, names in json.loads(file.read_text()).items()
        for name in names
    }


@pytest.fixture(scope="module")
def server():
    with AlphaFoldServer(FOLDER, port=0) as running:
        yield running


def test_changes_of_the_input(tmp_path, server):
    demo = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str, keep_default_na=False)
    table = demo.head(90)
    data = tmp_path / "proteins.csv"
    table.iloc[:-2].to_csv(data, index=False)
    config = merged(
        SMALL,
        {
            "run": "small",
            "dataset": {
                "proteins": "proteins.csv",
                "accession": "accession",
                "annotations": ["kingdom"],
            },
            "structures": {"transport": {"base_url": server.url}},
        },
    )
    first = snakemake(tmp_path, config)
    assert first.status == 0, first.output
    assert (tmp_path / "results/small/report.html").stat().st_size > 10_000
    assert snakemake(tmp_path, config).nothing_to_do

    kinds = ("structures", "embeddings", "graphs")
    before = {kind: stored(tmp_path, kind) for kind in kinds}
    asked = len(server.requests)

    # Two proteins are added, one is changed and one is removed: three are computed.
    changed = table.iloc[1:].copy()
    changed.loc[changed.index[5], "sequence"] += "G"
    changed.to_csv(data, index=False)
    second = snakemake(tmp_path, config)
    assert second.status == 0, second.output
    for kind in kinds:
        after = stored(tmp_path, kind)
        new = set(after) - set(before[kind])
        assert len(new) == 3, kind
        assert {name: after[name] for name in before[kind]} == before[kind], kind
    assert len(server.requests) - asked <= 3 * 3
    third = snakemake(tmp_path, config)
    assert third.nothing_to_do, third.output

    # Another order, other line ends, a newer time: the proteins are the same ones, so no
    # stage that works protein by protein runs, nor the training.
    changed.sample(frac=1, random_state=1).to_csv(data, index=False, lineterminator="\r\n")
    fourth = snakemake(tmp_path, config)
    assert fourth.status == 0, fourth.output
    assert set(fourth.rules) <= {"ingest", "all"}, fourth.rules

    # Where structures come from is no reason to do anything again.
    moved = merged(config, {"structures": {"transport": {"concurrency": 2}}})
    assert snakemake(tmp_path, moved).nothing_to_do
