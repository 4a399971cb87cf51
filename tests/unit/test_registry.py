"""The registry of data sets fits the configuration's schema and the real files."""

import csv
import gzip
import hashlib
from pathlib import Path

import pytest
import yaml

from halo.config import checked_config
from halo.config.registry import with_registry

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = yaml.safe_load((ROOT / "resources" / "datasets.yaml").read_text())
FILES = {
    "deeploc2": "deeploc2/Swissprot_Train_Validation_dataset.csv.gz",
    "hpa": "hpa/hpa_testset.csv.gz",
    "protgps": "protgps/protgps_dataset.csv.gz",
}
KEYS = {"title", "citation", "licence", "url", "sha256", "id", "accession", "sequence"}
KEYS |= {"split", "annotations", "labels", "task", "duplicates", "records", "residues"}


@pytest.mark.parametrize("name", REGISTRY)
def test_entry_completes_a_configuration(name):
    entry = REGISTRY[name]
    assert entry.keys() == KEYS
    config, faults = with_registry({"run": name, "dataset": {"registry": name}}, REGISTRY)
    assert not faults
    config = checked_config(config)
    assert config["dataset"]["labels"]["columns"] == entry["labels"]["columns"]
    assert config["dataset"]["url"] == entry["url"]


@pytest.mark.parametrize("name", REGISTRY)
def test_columns_are_those_of_the_real_file(name, shared):
    entry = REGISTRY[name]
    content = gzip.decompress((shared / FILES[name]).read_bytes())
    rows = list(csv.DictReader(content.decode().splitlines()))
    labels = entry["labels"]["columns"]
    others = {entry["id"], entry["sequence"], entry["split"], *entry["annotations"]} - {None}
    assert rows[0].keys() == {*labels, *others}
    assert {row[label] for row in rows for label in labels} <= {"0", "1", "0.0", "1.0"}
    assert len({row[entry["id"]] for row in rows}) == len(rows)
    assert f"{len(rows):,}" in entry["title"]
    assert len(rows) == entry["records"]
    assert sum(len(row[entry["sequence"]]) for row in rows) == entry["residues"]
    if entry["sha256"]:
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_published_results_are_complete():
    with (ROOT / "resources" / "published_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["dataset", "method", "metric", "value", "sd", "labels", "split", "source"]
    assert list(rows[0]) == names
    for row in rows:
        assert None not in row.values()
        assert all(row[name] for name in ("dataset", "method", "metric", "split", "source"))
        assert 0 < float(row["value"]) < 1
        assert not row["sd"] or 0 < float(row["sd"]) < 0.1
    results = [tuple(row[name] for name in names if name not in ("value", "sd")) for row in rows]
    assert len(set(results)) == len(results)
