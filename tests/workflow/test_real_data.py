"""The whole pipeline on 240 real proteins of DeepLoc 2.0, with real AlphaFold models."""

import json

import pandas as pd
import pytest

from halo.config import merged
from pipeline import SMALL, snakemake
from serve import AlphaFoldServer

PROTEINS = 240
LONGEST = 600  # residues
SEED = 1


@pytest.fixture(scope="module")
def sample(shared) -> pd.DataFrame:
    """240 proteins of at most `LONGEST` residues by a seed, among them all that have a model."""
    table = pd.read_csv(shared / "deeploc2/Swissprot_Train_Validation_dataset.csv.gz", dtype=str)
    table = table[table["Sequence"].str.len() <= LONGEST]
    models = {path.name.split("-")[1] for path in (shared / "afdb").glob("*.pdb.gz")}
    with_model = table[table["ACC"].isin(models)]
    others = table.drop(with_model.index)
    others = others.sample(PROTEINS - len(with_model), random_state=SEED)
    return pd.concat([with_model, others]).fillna("")


def test_deeploc2_sample(shared, sample, tmp_path):
    sample.to_csv(tmp_path / "deeploc2.csv", index=False)
    config = merged(
        SMALL,
        {
            "run": "real",
            "dataset": {"registry": "deeploc2", "proteins": "deeploc2.csv"},
            "network": {"hidden": 32},
            "training": {"epochs": 8, "patience": 4, "learning_rate": 0.002},
        },
    )
    with AlphaFoldServer(shared / "afdb", port=0) as server:
        transport = {"base_url": server.url, "requests_per_second": 500}
        config["structures"] = {"transport": transport}
        outcome = snakemake(tmp_path, config)
    assert outcome.status == 0, outcome.output
    results = tmp_path / "results/real"

    # Every protein is accounted for: used or rejected; its structure ok or not, and why.
    used = pd.read_csv(results / "proteins.csv", dtype=str, keep_default_na=False)
    rejected = pd.read_csv(results / "rejected.csv", dtype=str, keep_default_na=False)
    assert sorted([*used["id"], *rejected["id"]]) == sorted(sample["ACC"])
    assert (rejected["reason"] != "").all()
    manifest = pd.read_csv(results / "structures/manifest.csv", dtype=str).set_index("id")
    assert sorted(manifest.index) == sorted(used["id"])
    models = {path.name.split("-")[1] for path in (shared / "afdb").glob("*.pdb.gz")}
    expected = used["id"].isin(models).to_numpy()
    assert ((manifest.loc[used["id"], "status"] == "ok") == expected).all()

    # The split keeps similar proteins together and loses none.
    assignments = pd.read_csv(results / "split/assignments.csv", dtype=str)
    assert sorted(assignments["id"]) == sorted(used["id"])
    leakage = json.loads((results / "split/leakage.json").read_text())
    assert leakage["pairs_above_threshold"] == 0

    # The numbers are those of a sample: the network has learned something at all.
    metrics = json.loads((results / "evaluation/metrics.json").read_text())
    scores = {
        name: method["overall"]["macro_f1"]["value"] for name, method in metrics["methods"].items()
    }
    print(json.dumps(scores), manifest["status"].value_counts().to_dict(), len(rejected))
    assert scores["halo"] > scores["majority"]
    tested = pd.read_csv(results / "evaluation/predictions.csv", dtype=str)
    in_test = set(assignments.loc[assignments["part_0"] == "test", "id"])
    assert set(tested.loc[tested["method"] == "halo", "id"]) == in_test
    assert (results / "report.html").stat().st_size > 50_000
