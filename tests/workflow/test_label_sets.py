"""Other labels than those of DeepLoc 2.0, by configuration only."""

import json

import numpy as np
import pandas as pd

from halo.config import merged
from pipeline import SMALL, snakemake

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")
WITHOUT_STRUCTURES = {"structures": {"sources": []}, "split": {"mode": "fractions"}}


def test_deeploc_1_one_label_a_protein(shared, tmp_path):
    """160 real proteins; the labels stand in a column of the same table."""
    table = pd.read_csv(shared / "deeploc1/deeploc1_val_test.csv.gz").drop_duplicates("ACC")
    table.sample(160, random_state=1).to_csv(tmp_path / "deeploc1.csv", index=False)
    config = {
        "run": "deeploc1",
        "dataset": {
            "proteins": "deeploc1.csv",
            "id": "ACC",
            "sequence": "Sequence",
            "labels": {"label": "label"},
            "task": "singlelabel",
        },
        "methods": {"halo": {"class": "network"}, "majority": {"class": "majority"}},
    }
    outcome = snakemake(tmp_path, merged(merged(SMALL, WITHOUT_STRUCTURES), config))
    assert outcome.status == 0, outcome.output
    results = tmp_path / "results/deeploc1"
    metrics = json.loads((results / "evaluation/metrics.json").read_text())
    assert set(metrics["methods"]) == {"halo", "majority"}
    predictions = pd.read_csv(results / "fractions/0/1/halo/predictions.csv")
    probabilities = predictions.drop(columns=["id", "part"]).to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert {name.removeprefix("p:") for name in predictions.columns[2:]} <= set(table["label"])


def test_five_hundred_labels_from_a_long_table(tmp_path):
    """Labels as they come from an annotation of function: many, rare, several a protein."""
    rng = np.random.default_rng(0)
    names = [f"p{number:03d}" for number in range(150)]
    sequences = ["".join(rng.choice(LETTERS, rng.integers(30, 80))) for _ in names]
    (tmp_path / "in.fasta").write_text(
        "".join(f">{name}\n{text}\n" for name, text in zip(names, sequences, strict=True))
    )
    rows = [f"{names[label % 150]}\tGO:{label:07d}\tIDA\n" for label in range(500)]
    rows += [
        f"{name}\tGO:{label:07d}\t{code}\n"
        for name in names
        for label, code in zip(
            rng.choice(500, 20, replace=False), ["IDA"] * 12 + ["IEA"] * 8, strict=True
        )
    ]
    (tmp_path / "labels.tsv").write_text("id\tterm\tevidence\n" + "".join(dict.fromkeys(rows)))
    config = {
        "run": "terms",
        "dataset": {
            "proteins": "in.fasta",
            "labels": {
                "table": "labels.tsv",
                "label": "term",
                "evidence": "evidence",
                "positive": ["IDA"],
                "unknown": ["IEA"],
            },
        },
        "methods": {"halo": {"class": "network"}, "homology": {"class": "homology"}},
    }
    outcome = snakemake(tmp_path, merged(merged(SMALL, WITHOUT_STRUCTURES), config))
    assert outcome.status == 0, outcome.output
    results = tmp_path / "results/terms"
    description = json.loads((results / "fractions/0/1/halo/model.json").read_text())
    assert len(description["labels"]) == len(description["thresholds"]) == 500
    metrics = json.loads((results / "evaluation/metrics.json").read_text())
    assert 0 < sum(metrics["unknown"].values()) <= 8 * metrics["proteins"]
    assert np.isfinite(pd.read_csv(results / "fractions/0/1/halo/history.csv")["train_loss"]).all()
    assert (results / "report.html").is_file()
