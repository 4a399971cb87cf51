"""Other labels than those of DeepLoc 2.0, and other embeddings, by configuration only."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

from halo.config import merged
from halo.errors import HaloError
from halo.predict.bundle import read_bundle
from halo.predict.run import predict
from halo.predict.settings import PredictSettings
from pipeline import SMALL, snakemake

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")
WITHOUT_STRUCTURES = {"structures": {"sources": []}, "split": {"mode": "fractions"}}


def test_deeploc_1_one_label_a_protein_and_membrane_types(shared, tmp_path):
    """160 real proteins of at most 500 residues; the labels are in columns of the same table.

    Whether a protein is in a membrane (M) or soluble (S) is a group of its own, which is unknown
    (U) for many of them.
    """
    table = pd.read_csv(shared / "deeploc1/deeploc1_val_test.csv.gz").drop_duplicates("ACC")
    table = table[table["Sequence"].str.len() <= 500]
    table.sample(160, random_state=1).to_csv(tmp_path / "deeploc1.csv", index=False)
    config = {
        "run": "deeploc1",
        "dataset": {
            "proteins": "deeploc1.csv",
            "id": "ACC",
            "sequence": "Sequence",
            "labels": {"label": "label"},
            "task": "singlelabel",
            "groups": {"membrane": {"label": "membrane", "unknown": ["U"], "task": "singlelabel"}},
        },
        "methods": {"halo": {"class": "network"}, "majority": {"class": "majority"}},
    }
    outcome = snakemake(
        tmp_path, merged(merged(SMALL, WITHOUT_STRUCTURES), config), "--", "all", "bundle"
    )
    assert outcome.status == 0, outcome.output
    results = tmp_path / "results/deeploc1"
    metrics = json.loads((results / "evaluation/metrics.json").read_text())
    assert set(metrics["methods"]) == {"halo", "majority"}
    predictions = pd.read_csv(results / "fractions/0/1/halo/predictions.csv")
    probabilities = predictions.drop(columns=["id", "part"])
    assert list(probabilities)[-2:] == ["p:M", "p:S"]
    for part in (probabilities.iloc[:, :-2], probabilities.iloc[:, -2:]):
        np.testing.assert_allclose(part.sum(axis=1), 1, atol=1e-4)
    assert {name.removeprefix("p:") for name in probabilities} <= {*table["label"], "M", "S"}
    types = table.set_index("ACC")["membrane"].loc[predictions.query("part == 'test'")["id"]]
    own = metrics["label_groups"]["membrane"]
    assert own["support"] == {name: int((types == name).sum()) for name in ("M", "S")}
    assert own["proteins"] == (types != "U").sum() < metrics["proteins"] == len(types)
    assert 'id="group-membrane"' in (results / "report.html").read_text()
    bundle = read_bundle(results / "bundle")
    assert [group.task for group in bundle.groups] == ["singlelabel", "singlelabel"]


def test_five_hundred_labels_and_embeddings_of_files(tmp_path):
    """Labels of an annotation of function: many, rare, several a protein; no language model.

    The embeddings are like those of ProtT5, with a row for the end of each sequence.
    """
    rng = np.random.default_rng(0)
    names = [f"p{number:03d}" for number in range(150)]
    sequences = ["".join(rng.choice(LETTERS, rng.integers(30, 80))) for _ in names]
    (tmp_path / "in.fasta").write_text(
        "".join(f">{name}\n{text}\n" for name, text in zip(names, sequences, strict=True))
    )
    with h5py.File(tmp_path / "prott5.h5", "w") as file:
        for name, text in zip(names[1:], sequences[1:], strict=True):
            file[name] = embedding(text, rng)
        del file["p002"]
        file["p002"] = embedding(sequences[2], rng)[2:]  # too short
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
        "embeddings": {"source": "file", "path": "prott5.h5", "made_by": "prot_t5_xl_u50"},
    }
    config = merged(merged(SMALL, WITHOUT_STRUCTURES), config)
    outcome = snakemake(tmp_path, config, "--", "all", "bundle")
    assert outcome.status == 0, outcome.output
    assert "language_model" not in outcome.rules
    results = tmp_path / "results/terms"
    rejected = pd.read_csv(results / "rejected.csv").set_index("id")
    assert rejected["reason"].to_dict() == {"p000": "no embedding", "p002": "unusable embedding"}
    assert "residues and 1 special tokens" in rejected.loc["p002", "detail"]
    description = json.loads((results / "fractions/0/1/halo/model.json").read_text())
    assert len(description["labels"]) == len(description["thresholds"]) == 500
    metrics = json.loads((results / "evaluation/metrics.json").read_text())
    assert 0 < sum(metrics["unknown"].values()) <= 8 * metrics["proteins"]
    assert np.isfinite(pd.read_csv(results / "fractions/0/1/halo/history.csv")["train_loss"]).all()
    assert (results / "report.html").is_file()

    settings = PredictSettings(download=False, embeddings=str(tmp_path / "prott5.h5"), page=0)
    table = predict(tmp_path / "in.fasta", results / "bundle", tmp_path / "out", settings)
    assert pd.read_csv(table)["id"].tolist() == [n for n in names if n not in rejected.index]
    without = replace(settings, embeddings=None)
    with pytest.raises(HaloError, match=r"embeddings by prot_t5_xl_u50.*--embeddings"):
        predict(tmp_path / "in.fasta", results / "bundle", tmp_path / "no", without)


def embedding(sequence: str, rng: np.random.Generator) -> np.ndarray:
    """Simulated: channels of different means, a vector for each amino acid, and noise."""
    letters = np.random.default_rng(1).normal(size=(26, 24)) + 5 * np.linspace(-1, 1, 24)
    rows = letters[[ord(letter) - 65 for letter in [*sequence, "Z"]]]
    return (rows + 0.1 * rng.normal(size=rows.shape)).astype(np.float16)
