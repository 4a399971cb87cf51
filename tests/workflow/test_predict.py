"""Bundle and predictions of a run: the same by rule, command line and Python."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from halo.config import merged
from halo.predict.run import predict_sequences
from halo.predict.settings import PredictSettings
from pipeline import ROOT, SMALL, forks, snakemake
from predict_bundle import CHECKPOINT, DEMO, OTHER_SIGNALS, queries, write_fasta

QUERIES = queries(20)  # some of the training and some new, half with a structure
SETTINGS = PredictSettings(structures=DEMO / "afdb", download=False, language_model=CHECKPOINT)
CONFIG = merged(
    SMALL,
    {
        "run": "small",
        "shards": 1,
        "folds": ["0", "1"],
        "dataset": {
            "proteins": "proteins.csv",
            "accession": "accession",
            "annotations": ["kingdom"],
            "simulated": True,
            "regions": {
                "table": "signals.csv",
                "kind": "signal",
                "kinds": ["signal peptide", "presequence"],
                "unknown": [*OTHER_SIGNALS],
            },
        },
        "structures": {"sources": [{"kind": "folder", "path": str(DEMO / "afdb")}]},
        "finetune": {"model": "finetuned", "epochs": 2, "rank": 2, "hidden": 16},
        "training": {"epochs": 2},
        "predict": {"structures": str(DEMO / "afdb"), "download": False, "page": 5},
    },
)


def table(path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype={"far": str, "similar": str})


def require_same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    numbers = [name for name in one if name.startswith(("p:", "threshold:", "weight_", "unc"))]
    np.testing.assert_allclose(one[numbers], two[numbers], rtol=0, atol=1e-5)
    texts = [name for name in one if name not in numbers]
    assert one[texts].astype(str).to_dict("list") == two[texts].astype(str).to_dict("list")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder in which the pipeline was run up to the predictions of a FASTA."""
    folder = tmp_path_factory.mktemp("run")
    demo = pd.read_csv(DEMO / "proteins.csv", dtype=str, keep_default_na=False)
    demo.head(90).to_csv(folder / "proteins.csv", index=False)
    shutil.copy(DEMO / "signals.csv", folder)
    write_fasta(folder / "new.fasta", QUERIES)
    outcome = snakemake(folder, CONFIG, "--config", "fasta=new.fasta", "--", "predict")
    assert outcome.status == 0, outcome.output
    return folder


def test_the_rule_makes_the_bundle_and_predicts(run):
    found = table(run / "results/small/predict/new/predictions.csv")
    assert list(found["id"]) == list(QUERIES)
    assert set(found["decided_by"].str.split(";").explode()) <= {"esm", "halo"}
    assert set(found["structure"]) == {"ok", "missing"}
    page = (run / "results/small/predict/new/predictions.html").read_text()
    assert page.count("<tr data-row=") == 5  # predict.page
    structures = run / "results/small/predict/new/structures"
    assert 1 <= len(list(structures.glob("*.cif"))) <= 5
    bundle = run / "results/small/bundle"
    description = json.loads((bundle / "bundle.json").read_text())
    assert description["method"] == "cascade"
    assert [model["fold"] for model in description["models"]] == ["0", "1"]
    assert (bundle / "models/1/finetune/adapter.safetensors").is_file()
    card = (bundle / "README.md").read_text()
    assert "but its adapters are" in card
    kinds = CONFIG["dataset"]["regions"]["kinds"]
    measured = json.loads((run / "results/small/evaluation/metrics.json").read_text())["regions"]
    assert set(measured["methods"]) == {"halo"}
    assert set(measured["methods"]["halo"]["kinds"]) == set(kinds)
    predicted = json.loads((run / "results/small/predict/new/predictions.json").read_text())
    assert predicted["region_kinds"] == kinds
    again = snakemake(run, CONFIG, "--config", "fasta=new.fasta", "--", "predict")
    assert again.nothing_to_do


def test_a_bundle_of_all_proteins(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder, symlinks=True)
    (folder / "notes.md").write_text("## Another data set\n\nMacro-F1 0.5.\n")
    config = merged(CONFIG, {"release": {"all_proteins": True, "notes": "notes.md"}})
    evaluated = (folder / "results/small/evaluation/metrics.json").read_bytes()
    outcome = snakemake(folder, config, "--config", "fasta=new.fasta", "--", "predict")
    assert outcome.status == 0, outcome.output
    # What is evaluated stays as it is; one more language model, and the members of the cascade.
    made = "all_proteins finetune embeddings join_embeddings esm train join_methods bundle"
    assert sorted(outcome.rules) == sorted(f"{made} predict_fetch predict".split())
    assert (folder / "results/small/evaluation/metrics.json").read_bytes() == evaluated
    parts = pd.read_csv(folder / "results/small/split/all.csv")["part_all"]
    assert set(parts) == {"train", "val", "cal"}
    bundle = folder / "results/small/bundle"
    description = json.loads((bundle / "bundle.json").read_text())
    assert [model["fold"] for model in description["models"]] == ["all"]
    assert description["training"]["proteins"] == (parts == "train").sum()
    seen = pd.read_csv(folder / "results/small/kfold/all/finetune/training.csv")["id"]
    assert len(seen) == (parts != "cal").sum()  # validation proteins choose the epoch
    card = (bundle / "README.md").read_text()
    assert "trained on proteins of all parts of the split, those of the test as well" in card
    assert "models are of fold 0, 1 and trained with the same settings" in card
    assert "\n\n## Another data set\n\nMacro-F1 0.5.\n\n## Data\n" in card
    found = table(folder / "results/small/predict/new/predictions.csv")
    assert list(found["id"]) == list(QUERIES)
    again = snakemake(folder, config, "--config", "fasta=new.fasta", "--", "predict")
    assert again.nothing_to_do
    back = snakemake(folder, CONFIG, "-n", "--", "report")
    assert set(back.rules) == {"provenance", "report"}  # which the first run did not make


def test_command_line_and_python_agree_with_the_rule(run, tmp_path):
    expected = table(run / "results/small/predict/new/predictions.csv")
    bundle = run / "results/small/bundle"
    options = ["--structures", DEMO / "afdb", "--no-download", "--language-model", CHECKPOINT]
    words = ["-m", "halo", "predict", run / "new.fasta", "--bundle", bundle, "-o", tmp_path]
    done = subprocess.run(
        list(map(str, [forks().python, *words, *options])),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    require_same(table(tmp_path / "predictions.csv"), expected)
    require_same(predict_sequences(QUERIES, bundle, SETTINGS), expected)
    name, text = list(QUERIES.items())[7]
    alone = predict_sequences({name: text}, bundle, replace(SETTINGS, threads=2))
    require_same(alone, expected[expected["id"] == name].reset_index(drop=True))


def test_a_bundle_of_elsewhere(run, tmp_path):
    """Another working folder, and no labelled data."""
    config = {
        "run": "elsewhere",
        "dataset": CONFIG["dataset"] | {"proteins": str(run / "proteins.csv"), "regions": None},
        "embeddings": {"model": str(CHECKPOINT)},
        "predict": CONFIG["predict"],
    }
    arguments = (f"fasta={run / 'new.fasta'}", f"bundle={run / 'results/small/bundle'}")
    outcome = snakemake(tmp_path, config, "--config", *arguments, "--", "predict")
    assert outcome.status == 0, outcome.output
    assert set(outcome.rules) == {"predict_fetch", "predict"}
    expected = table(run / "results/small/predict/new/predictions.csv")
    require_same(table(tmp_path / "results/elsewhere/predict/new/predictions.csv"), expected)


def test_without_proteins_the_rule_says_what_is_missing(run):
    outcome = snakemake(run, CONFIG, "-n", "predict")
    assert outcome.status != 0
    assert "snakemake predict --config fasta=proteins.fasta" in outcome.output


def test_a_method_that_there_is_not(run):
    config = merged(CONFIG, {"release": {"method": "homology"}})
    outcome = snakemake(run, config, "-n", "bundle")
    assert outcome.status != 0
    assert re.search(r"release\.method: 'homology' is not a method", outcome.output), outcome.output


def test_one_language_model_a_bundle(run):
    methods = {
        "halo": {"class": "network", "embeddings": "pretrained"},
        "esm": {"class": "esm"},
        "average": {"class": "average", "of": ["esm", "halo"]},
    }
    outcome = snakemake(run, merged(CONFIG, {"methods": methods}), "-n", "bundle")
    assert outcome.status != 0
    assert "'average' combines methods on fine-tuned and on pretrained" in outcome.output


# The last tests make the run's bundle anew.


def test_a_language_model_alone_has_reasons_too(run):
    """Those of its head; graphs and structures have no part in them."""
    config = merged(CONFIG, {"release": {"method": "esm"}})
    outcome = snakemake(run, config, "--config", "fasta=new.fasta", "--", "predict")
    assert outcome.status == 0, outcome.output
    content = json.loads((run / "results/small/predict/new/predictions.json").read_text())
    assert all(entry["regions"] is not None for entry in content["proteins"][:5])
    assert {entry["structure"]["status"] for entry in content["proteins"]} == {"not used"}
    page = (run / "results/small/predict/new/predictions.html").read_text()
    assert "mean embedding of the protein (integrated gradients)" in page
    assert not list((run / "results/small/predict/new/structures").glob("*.cif"))


def test_a_network_on_the_language_model_as_published(run):
    """Beside a fine-tuned one: the bundle has no adapter, and predicts without."""
    methods = {"halo": {"class": "network", "embeddings": "pretrained"}}
    config = merged(CONFIG, {"methods": methods, "folds": ["0"]})
    outcome = snakemake(run, config, "--config", "fasta=new.fasta", "--", "predict")
    assert outcome.status == 0, outcome.output
    bundle = json.loads((run / "results/small/bundle/bundle.json").read_text())
    assert [model["adapter"] for model in bundle["models"]] == [None]
    assert "finetune" not in outcome.rules
    assert len(table(run / "results/small/predict/new/predictions.csv")) > 3
