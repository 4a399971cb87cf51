"""The language model of a fold: trained on that fold only, frozen, and checked for leaks."""

import json
import shutil

import pandas as pd

from halo.config import merged
from halo.config.files import LARGEST
from pipeline import ROOT, SMALL, snakemake

FOLDS = ("0", "1")
CONFIG = merged(
    SMALL,
    {
        "run": "small",
        "shards": 1,
        "folds": list(FOLDS),
        "dataset": {
            "proteins": "proteins.csv",
            "accession": "accession",
            "annotations": ["kingdom"],
        },
        "structures": {"sources": []},
        "finetune": {"model": "finetuned", "epochs": 2, "rank": 2, "hidden": 16},
        "methods": {
            "halo": {"class": "network"},
            "esm": {"class": "esm"},
            "cascade": {"class": "cascade", "of": ["esm", "halo"]},
            "average": {"class": "average", "of": ["esm", "halo"]},
            "majority": {"class": "majority"},
            "homology": {"class": "homology"},
            "published": {"class": "mean_embedding", "embeddings": "pretrained"},
            "nearest_neighbour": {"class": "nearest_neighbour"},
            "halo_and_homology": {"class": "average", "of": ["halo", "homology"]},
        },
        "training": {"epochs": 2},
    },
)


def text_table(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def require_no_training_id_in_the_evaluation(results, folds=FOLDS) -> None:
    """By id and by sequence, for every checkpoint and everything that was predicted with it."""
    proteins = text_table(results / "proteins.csv").set_index("id")
    for fold in folds:
        folder = results / "kfold" / fold
        seen = text_table(folder / "finetune/training.csv")
        trained = seen[seen["part"] == "train"]
        assert len(trained) > 10
        tables = list(folder.glob("*/*/predictions.csv"))
        assert {table.parent.name for table in tables} == set(CONFIG["methods"])
        for table in tables:
            predicted = text_table(table)
            assert set(predicted["part"]) == {"val", "cal", "test"}
            assert not set(predicted["id"]) & set(trained["id"])
            hashes = proteins.loc[predicted["id"], "seq_hash"]
            assert not set(hashes) & set(trained["seq_hash"])
            later = predicted[predicted["part"] != "val"]  # what the best epoch was not chosen by
            assert not set(proteins.loc[later["id"], "seq_hash"]) & set(seen["seq_hash"])


def stores(results) -> dict[str, str]:
    """By fold, the store of its embeddings; each is that of the fold's own adapter."""
    found = {}
    for fold in FOLDS:
        folder = results / "kfold" / fold
        store = json.loads((folder / "embeddings/000.json").read_text())["store"]
        note = json.loads((results.parents[1] / "store" / store / "fingerprint.json").read_text())
        model = json.loads((folder / "finetune/language_model.json").read_text())
        assert note["adapter"] == model["adapter_sha256"]
        beside = json.loads((folder / "1/published/model.json").read_text())
        assert beside["embeddings"] not in store  # read the published model's
        found[fold] = store
    return found


def test_the_language_model_of_a_fold(tmp_path):
    demo = text_table(ROOT / "resources/demo/proteins.csv").head(91)
    demo.head(90).to_csv(tmp_path / "proteins.csv", index=False)
    results = tmp_path / "results/small"
    first = snakemake(tmp_path, CONFIG)
    assert first.status == 0, first.output
    assert first.rules.count("finetune") == len(FOLDS)
    for fold in FOLDS:
        log = (results / f"logs/finetune/kfold-{fold}.log").read_text()
        assert "epoch 2/2" in log
    require_no_training_id_in_the_evaluation(results)
    before = stores(results)
    assert len(set(before.values())) == len(FOLDS)
    metrics = json.loads((results / "evaluation/metrics.json").read_text())
    assert metrics["methods"]["esm"]["class"] == "esm"
    assert 0 <= metrics["methods"]["cascade"]["asked"] <= 1
    assert "fine-tuning" in (results / "report.html").read_text()

    # Nothing is left to do. How the job runs is no reason to fine-tune again.
    other = merged(CONFIG, {"finetune": {"gpus": 2, "save_minutes": 1, "rank": 2}})
    assert snakemake(tmp_path, other).nothing_to_do

    shutil.copy(results / "split/assignments.csv", tmp_path / "base.csv")

    # A table that the ingest refuses, too large to be read before it: Snakemake deletes what the
    # ingest wrote, and the models stay.
    row = f"P1,{'MKV' * 1000}\n"
    (tmp_path / "proteins.csv").write_text("id,sequence\n" + row * (LARGEST // len(row) + 1))
    refused = snakemake(tmp_path, CONFIG)
    assert refused.status != 0
    assert "ingest" in refused.rules
    assert "no column 'accession'" in refused.output
    assert not (results / "proteins.csv").exists()

    # A new protein, the others in their folds: the models stay, and it alone is embedded.
    demo.to_csv(tmp_path / "proteins.csv", index=False)
    grown = merged(CONFIG, {"split": {"base": "base.csv"}})
    second = snakemake(tmp_path, grown)
    assert second.status == 0, second.output
    assert "finetune" not in second.rules
    assert {"embeddings", "esm", "train"} <= set(second.rules)
    assert second.output.count(" 1 proteins to embed") == len(FOLDS) + 1
    assert stores(results) == before
    require_no_training_id_in_the_evaluation(results)
    assert snakemake(tmp_path, grown).nothing_to_do

    # Another split would test proteins that the models were fitted to.
    moved = merged(CONFIG, {"split": {"seed": 2}})
    third = snakemake(tmp_path, moved)
    assert third.status != 0
    assert "finetune" not in third.rules
    assert "Raise finetune.refresh by one" in third.output

    # A new split and a new model in one call.
    change = {"split": {"seed": 3}, "finetune": {"refresh": 1}, "folds": ["0"]}
    fourth = snakemake(
        tmp_path, merged(CONFIG, change), "--", "results/small/evaluation/metrics.json"
    )
    assert fourth.status == 0, fourth.output
    assert fourth.rules.count("finetune") == 1
    require_no_training_id_in_the_evaluation(results, ["0"])


def test_embeddings_of_a_finished_fold_need_not_stay(tmp_path):
    demo = text_table(ROOT / "resources/demo/proteins.csv").head(90)
    demo.to_csv(tmp_path / "proteins.csv", index=False)
    methods = {name: CONFIG["methods"][name] for name in ("halo", "esm", "published")}
    change = {"finetune": {"keep_embeddings": False, "epochs": 1}}
    config = merged({**CONFIG, "methods": methods}, change)
    first = snakemake(tmp_path, config)
    assert first.status == 0, first.output
    results = tmp_path / "results/small"
    for fold in FOLDS:
        note = json.loads((results / "kfold" / fold / "dropped_embeddings.json").read_text())
        assert note["bytes"] > 0
        assert not (tmp_path / note["store"]).exists()
    [published] = (tmp_path / "store/embeddings").glob("*")
    assert snakemake(tmp_path, config).nothing_to_do

    # Another training embeds again, and leaves no embeddings of a fold either.
    second = snakemake(tmp_path, merged(config, {"training": {"gamma": 2.0}}))
    assert second.status == 0, second.output
    assert second.rules.count("embeddings") == len(FOLDS) + 1
    assert "finetune" not in second.rules
    assert list((tmp_path / "store/embeddings").glob("*")) == [published]
