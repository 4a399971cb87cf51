"""The configuration: every fault is named by its key, with the mend, and all at once."""

import dataclasses
import json

import pytest

from halo.config import (
    checked_config,
    checked_methods,
    folds,
    load_yaml,
    merged,
    with_found_files,
    with_registry_entry,
)
from halo.embeddings.layout import EmbeddingSettings
from halo.errors import HaloError
from halo.evaluation.stage import EvaluationSettings
from halo.finetuning.settings import FinetuneSettings
from halo.graphs.build import GraphSettings
from halo.methods import NETWORKS
from halo.network.classes import NETWORKS as NETWORK_CLASSES
from halo.network.model import NetworkSettings
from halo.proteins.ingest import DatasetSettings
from halo.split.settings import SplitSettings
from halo.structures.settings import SourceSettings, StructureSettings, TransportSettings
from halo.training.settings import TrainingSettings

MINIMAL = {"run": "mine", "dataset": {"proteins": "x.csv"}}


@pytest.fixture(scope="module")
def schema(root):
    return load_yaml(root / "workflow/schemas/config.schema.yaml")


def test_defaults_are_filled_in_and_the_input_is_left_alone(schema):
    given = {**MINIMAL, "network": {"layers": 5}}
    filled = checked_config(given, schema)
    assert filled["network"] == {
        "hidden": 128, "layers": 5, "heads": 4, "pooling_heads": 4, "dropout": 0.2,
        "modalities": ["embedding", "structure", "biochemistry"],
        "weights": "learned", "edges": "contacts",
    }  # fmt: skip
    assert filled["structures"]["sources"][0]["kind"] == "afdb"
    assert given["network"] == {"layers": 5}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"splitt": {}}, "splitt: unknown key, did you mean 'split'"),
        ({"split": {"fold": 3}}, "split.fold: unknown key, did you mean 'folds'"),
        ({"dataset": {"labels": {"column": []}}}, "dataset.labels.column: unknown key"),
        ({"network": {"hidden": "64"}}, "network.hidden: '64' is a str, but integer is wanted"),
        ({"training": {"epochs": 0}}, "training.epochs: 0 is less than the minimum of 1"),
        ({"dataset": {"task": "multi"}}, "'multi' is not one of 'multilabel', 'singlelabel'"),
        ({"methods": {"halo": {}}}, "methods.halo.class: missing"),
        ({"run": "a/b"}, "run: 'a/b' does not match"),
        ({"structures": {"sources": [{"kind": "pdb"}]}}, "structures.sources.0.kind"),
    ],
)
def test_faults_name_the_key_and_the_mend(schema, change, words):
    with pytest.raises(HaloError) as error:
        checked_config(merged(MINIMAL, change), schema)
    assert words in str(error.value)


def test_all_faults_are_told_at_once(schema):
    with pytest.raises(HaloError) as error:
        checked_config({"shards": 0, "graph": {}, "dataset": {}}, schema)
    assert all(word in str(error.value) for word in ("shards", "graph:", "run: missing"))


def test_missing_files_are_named(schema, tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    config = merged(MINIMAL, {"embeddings": {"model": "none.pt"}})
    with pytest.raises(HaloError) as error:
        with_found_files(checked_config(config, schema), root)
    assert "dataset.proteins: there is no file 'x.csv'" in str(error.value)
    assert "embeddings.model: there is no file 'none.pt'" in str(error.value)
    (tmp_path / "x.csv").touch()
    assert with_found_files(checked_config(MINIMAL, schema), root)
    with pytest.raises(HaloError, match="dataset: no data"):
        with_found_files(checked_config({"run": "a", "dataset": {}}, schema), root)


def test_files_of_the_workflow_are_found_from_elsewhere(schema, tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    config = merged(MINIMAL, {"dataset": {"proteins": "resources/amino_acids.csv"}})
    found = with_found_files(checked_config(config, schema), root)
    assert found["dataset"]["proteins"] == str(root / "resources/amino_acids.csv")


def test_folds(schema):
    config = checked_config(merged(MINIMAL, {"split": {"mode": "kfold", "folds": 3}}), schema)
    assert folds(config) == ["0", "1", "2"]
    assert folds({**config, "folds": ["2"]}) == ["2"]
    with pytest.raises(HaloError, match="no fold 7"):
        folds({**config, "folds": ["7"]})
    config["split"]["mode"] = "fractions"
    assert folds(config) == ["0"]


def test_registry_completes_what_is_not_given():
    entries = {"set": {"title": "T", "url": "http://x", "id": "ACC"}}
    found = with_registry_entry({"registry": "set", "proteins": "here.csv"}, entries)
    assert found["id"] == "ACC"
    assert found["proteins"] == "here.csv"
    assert "title" not in found
    with pytest.raises(HaloError, match="did you mean 'set'"):
        with_registry_entry({"registry": "sets"}, entries)


def test_the_schema_and_the_data_classes_have_the_same_keys_and_defaults(schema):
    filled = checked_config(MINIMAL, schema)
    sections = {
        "graphs": GraphSettings,
        "network": NetworkSettings,
        "training": TrainingSettings,
    }
    for name, kind in sections.items():
        expected = json.loads(json.dumps(dataclasses.asdict(kind())))  # tuples as lists
        assert filled[name] == expected, name
    split = dataclasses.asdict(SplitSettings())
    assert filled["split"] == {**split, "test": list(split["test"])}
    # Which method is the main one is decided by the order of the files.
    evaluation = {"main": None, **dataclasses.asdict(EvaluationSettings())}
    assert filled["evaluation"] == evaluation
    structures = dict(filled["structures"])
    assert structures.pop("transport") == dataclasses.asdict(TransportSettings())
    assert structures.pop("sources") == [dataclasses.asdict(SourceSettings("afdb"))]
    expected = dataclasses.asdict(StructureSettings())
    expected.pop("sources")
    assert structures == expected
    embeddings = dataclasses.asdict(EmbeddingSettings())
    assert {key: filled["embeddings"][key] for key in embeddings} == embeddings
    finetune = dataclasses.asdict(FinetuneSettings())
    finetune["projections"] = list(finetune["projections"])
    assert {key: filled["finetune"][key] for key in finetune} == finetune
    dataset = dataclasses.asdict(DatasetSettings())
    found = {key: filled["dataset"][key] for key in dataset if key != "annotations"}
    assert found == {key: value for key, value in dataset.items() if key != "annotations"}


def test_every_class_of_networks_can_be_configured(schema):
    kinds = schema["properties"]["methods"]["additionalProperties"]["properties"]["class"]["enum"]
    assert set(NETWORKS) == set(NETWORK_CLASSES) <= set(kinds)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"class": "majority", "embeddings": "pretrained"}, "only a network reads embeddings"),
        ({"class": "network", "embeddings": "finetuned"}, "set finetune.model: finetuned"),
        ({"class": "network", "embeddings": "frozen"}, "is not one of"),
    ],
)
def test_embeddings_of_a_method_that_cannot_be(schema, method, message):
    config = {**MINIMAL, "methods": {"halo": method}}
    with pytest.raises(HaloError, match=message):
        checked_methods(checked_config(config, schema))


def test_a_network_beside_the_fine_tuned_ones(schema):
    methods = {"halo": {"class": "network", "embeddings": "pretrained"}}
    config = {**MINIMAL, "methods": methods, "finetune": {"model": "finetuned"}}
    assert checked_methods(checked_config(config, schema))["methods"]["halo"] == methods["halo"]
