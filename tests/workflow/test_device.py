"""A run that requires a GPU fails with the reason if none can be used."""

import pandas as pd
import pytest
import torch

from halo.config import merged
from pipeline import ROOT, SMALL, snakemake

CONFIG = merged(
    SMALL,
    {
        "run": "small",
        "shards": 1,
        "dataset": {
            "proteins": "proteins.csv",
            "accession": "accession",
            "annotations": ["kingdom"],
        },
        "structures": {"sources": []},
    },
)


@pytest.mark.skipif(torch.version.cuda is not None, reason="this PyTorch is a build for GPUs")
def test_a_gpu_that_is_asked_for_must_be_there(tmp_path):
    demo = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str, keep_default_na=False)
    demo.head(60).to_csv(tmp_path / "proteins.csv", index=False)

    # As the Slurm profile asks for it, and as the configuration requires it.
    only = ("--rerun-incomplete", "results/small/embeddings/000.json")
    asked = ("--set-resources", "embeddings:gpu=1")
    profile = snakemake(tmp_path, CONFIG, *only, *asked)
    config = snakemake(tmp_path, merged(CONFIG, {"device": "cuda"}), *only)
    for found in (profile, config):
        assert found.status != 0
        assert "a GPU is required (device: cuda), but PyTorch" in found.output
        assert "is a build for CPUs" in found.output
        assert "Traceback" not in found.output

    # A machine without GPUs may be made to do.
    cpu = merged(CONFIG, {"device": "cpu"})
    assert snakemake(tmp_path, cpu, *only, *asked).status == 0
