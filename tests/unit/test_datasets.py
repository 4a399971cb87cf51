"""Data sets of a run are read as one, and checked before the first job."""

import os
from pathlib import Path

import pytest

from halo.config import checked_config, merged
from halo.config.files import LARGEST, worth_reading
from halo.errors import HaloError
from halo.preflight import check_data
from halo.proteins.datasets import DataFiles, read_datasets

TABLE = (
    "id,sequence,part,A,B\n"
    "P1,MKVLAAGIVG,train,1,0\n"
    "P2,MSTNPKPQRK,train,0,1\n"
    "P3,MAHHHHHHVG,test,1,1\n"
)
EXTERNAL = {"split": {"mode": "external"}, "dataset": {"test": {"proteins": "test.csv"}}}


def settings(change: dict) -> dict:
    """The section of the ingest, and that of the split."""
    given = {"run": "x", "dataset": {"proteins": "x.csv", "annotations": ["part"]}}
    config = checked_config(merged(given, change))
    section = {"train": dict(config["dataset"])}
    for key in ("registry", "proteins", "url", "sha256", "simulated", "regions"):
        section["train"].pop(key)
    test = section["train"].pop("test")
    if test is not None:
        names = ("id", "accession", "sequence", "annotations", "labels", "sample")
        section["test"] = {key: test[key] for key in names}
    return {"section": section, "split": config["split"]}


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "proteins.csv"
    file.write_text(TABLE)
    return file


@pytest.fixture
def external(tmp_path):
    file = tmp_path / "test.csv"
    file.write_text("id,sequence,A,B\nT1,MTTTTPKPQR,1,0\n")
    return file


def test_training_and_test_set_become_one(table, external):
    section = settings(EXTERNAL)["section"]
    proteins, rejected = read_datasets(DataFiles(table, test=external), section)
    assert not rejected
    assert dict(zip(proteins.ids, proteins.table["split"], strict=True)) == {
        "P1": "train", "P2": "train", "P3": "train", "T1": "test"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ({"id": "ID"}, "dataset.test.id"),
        ({"accession": "acc"}, "dataset.test.accession"),
        ({"annotations": ["kingdom"]}, r"dataset\.test\.annotations\[0\]"),
        ({"labels": {"columns": ["C"]}}, r"dataset\.test\.labels\.columns\[0\]"),
    ],
)
def test_a_fault_of_the_test_set_names_its_key(table, external, own, key):
    section = settings(merged(EXTERNAL, {"dataset": {"test": own}}))["section"]
    with pytest.raises(HaloError, match=key) as error:
        read_datasets(DataFiles(table, test=external), section)
    assert "test.csv" in str(error.value)


GIVEN = {"dataset": {"split": "part", "annotations": []}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset": {"id": "ID"}}, "change dataset.id"),
        (merged(GIVEN, {"split": {"mode": "predefined", "folds": 3}}), "set it to 1"),
        (merged(GIVEN, {"split": {"mode": "external", "test": ["hold"]}}), "no protein is in hold"),
        ({"split": {"base": "base.csv"}}, "has none of the 3 proteins"),
    ],
)
def test_errors_of_the_first_jobs_are_reported_before_them(table, monkeypatch, change, words):
    monkeypatch.chdir(table.parent)
    parts = "".join(f",part_{fold}" for fold in range(5))
    Path("base.csv").write_text(f"id,group,fold{parts}\nq,q,0,test,train,train,train,train\n")
    with pytest.raises(HaloError, match=words):
        check_data(DataFiles(table), **settings(change))


def test_good_data_pass(table):
    check_data(DataFiles(table), **settings({}))
    check_data(DataFiles(table), **settings(merged(GIVEN, {"split": {"mode": "predefined",
               "folds": 1}})))  # fmt: skip


def test_data_are_read_where_something_is_new(table, tmp_path):
    made = tmp_path / "made.csv"
    assert worth_reading([table], made)
    made.touch()
    os.utime(table, (1, 1))
    assert not worth_reading([table], made)
    assert worth_reading([table], None)
    assert not worth_reading([table, tmp_path / "to_come.csv"], None)
    os.truncate(table, LARGEST + 1)
    assert not worth_reading([table], None)
