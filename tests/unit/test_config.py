"""The configuration: all faults are reported at once, with key and fix."""

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.config import (
    checked_config,
    completed_config,
    folds,
    key_lines,
    load_yaml,
    merged,
    methods_of,
)
from halo.config.command_line import check_options, command_line_keys, with_command_line
from halo.config.downloads import download_name
from halo.config.registry import with_registry
from halo.errors import HaloError
from halo.methods import CLASSES, NETWORKS
from halo.network.classes import NETWORKS as NETWORK_CLASSES

MINIMAL = {"run": "mine", "dataset": {"proteins": "x.csv"}}
FINETUNED = {"finetune": {"model": "finetuned"}}
FROM_FILE = {"embeddings": {"source": "file", "path": "a/{id}.npy", "made_by": "m"}}
TEST_SET = {"dataset": {"test": {"proteins": "t.csv"}}}
GIVEN = {"dataset": {"split": "part"}}


def method(**keys) -> dict:
    return {"methods": {"halo": {"class": "network", **keys}}}


def split(**keys) -> dict:
    return {"split": keys}


def group(name: str = "m", **keys) -> dict:
    return {"dataset": {"groups": {name: keys}}}


M = group(label="M")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with the data that the configurations name."""
    monkeypatch.chdir(tmp_path)
    for name in ("x.csv", "t.csv", "labels.csv"):
        (tmp_path / name).write_text("id,sequence,A\np,MKV,1\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


def test_defaults_are_filled_in_and_the_input_is_left_alone():
    given = {**MINIMAL, "network": {"layers": 5}}
    before = copy.deepcopy(given)
    filled = checked_config(given)
    assert filled["network"] == {
        "hidden": 128, "layers": 5, "heads": 4, "pooling_heads": 4, "dropout": 0.2,
        "modalities": ["embedding", "structure", "biochemistry"],
        "weights": "learned", "edges": "contacts",
    }  # fmt: skip
    assert filled["structures"]["sources"][0]["kind"] == "afdb"
    assert list(filled["methods"]) == ["halo", "esm", "cascade", "average", "majority", "homology"]
    assert given == before
    assert checked_config(filled) == filled


# A change of a good configuration, and what the message says of it.
FAULTS = [
    # Keys that are not known, at every depth.
    ({"splitt": {}}, "splitt: unknown key, did you mean 'split'"),
    ({"split": {"fold": 3}}, "split.fold: unknown key, did you mean 'folds'"),
    ({"split": {"audit": {"round": 3}}}, "split.audit.round: unknown key, did you mean 'rounds'"),
    ({"dataset": {"labels": {"column": []}}}, "dataset.labels.column: unknown key"),
    ({"dataset": {"test": {"task": "multilabel"}}}, "dataset.test.task: unknown key"),
    ({"structures": {"sources": [{"kind": "afdb", "paht": "x"}]}}, "structures.sources[0].paht"),
    (method(network={"hiden": 64}), "methods.halo.network.hiden: unknown key, did you mean 'hid"),
    (method(training={"epcohs": 3}), "methods.halo.training.epcohs: unknown key, did you mean 'ep"),
    (method(netwrok={}), "methods.halo.netwrok: unknown key, did you mean 'network'"),
    # Types.
    ({"network": {"hidden": "64"}}, "network.hidden: '64' is text, but a whole number is expected"),
    ({"network": {"hidden": 64.5}}, "network.hidden: 64.5 is a number with a fraction, but a whol"),
    ({"shards": True}, "shards: true is true or false, but a whole number is expected"),
    ({"network": 3}, "network: 3 is a whole number, but a section of keys is expected"),
    ({"network": [{"hidden": 8}]}, "network: [{'hidden': 8}] is a list, but a section"),
    ({"seeds": 1}, "seeds: 1 is a whole number, but a list is expected; write it in brackets, [1]"),
    ({"network": {"hidden": "2024-13-45"}}, "network.hidden: '2024-13-45' is text, but a whole"),
    ({"seeds": ["a"]}, "seeds[0]: 'a' is text, but a whole number is expected"),
    ({"folds": 0}, "folds: 0 is a whole number, but a list is expected; write it in brackets, [0]"),
    ({"run": 2024}, "run: 2024 is a whole number to YAML, but text is expected; put it in quotes"),
    ({"dataset": {"id": True}}, "dataset.id: true is true or false to YAML, but text is expected"),
    ({"dataset": {"annotations": [1]}}, "dataset.annotations[0]: 1 is a whole number to YAML"),
    ({"dataset": {"annotations": "kingdom"}}, "dataset.annotations: 'kingdom' is text, but a list"),
    ({"dataset": {"simulated": "yes"}}, "dataset.simulated: 'yes' is text, but true or false"),
    ({"structures": {"sources": "afdb"}}, "structures.sources: 'afdb' is text, but a list of sec"),
    ({"dataset": {"registry": 5}}, "dataset.registry: 5 is a whole number to YAML, but text is"),
    ({"dataset": {"registry": ["hpa"]}}, "dataset.registry: ['hpa'] is a list, but text is exp"),
    ({"dataset": {"test": {"registry": {"a": 1}}}}, "dataset.test.registry: {'a': 1} is a section"),
    ({"dataset": {"test": "t.csv"}}, "dataset.test: 't.csv' is text, but a section of keys"),
    ({"dataset": "x.csv"}, "dataset: 'x.csv' is text, but a section of keys is expected"),
    ({"training": {"epochs": None}}, "training.epochs: null stands for no value"),
    (method(training={"epochs": "many"}), "methods.halo.training.epochs: 'many' is text, but a wh"),
    (method(network={"heads": 1.5}), "methods.halo.network.heads: 1.5 is a number with a fraction"),
    (method(network=[1]), "methods.halo.network: [1] is a list, but a section of keys is expected"),
    ({"methods": ["halo"]}, "methods: ['halo'] is a list, but a section of keys is expected"),
    ({"methods": {"halo": "network"}}, "methods.halo: 'network' is text, but a section of keys"),
    ({"methods": {"halo": {}}}, "methods.halo.class: missing"),
    # Limits and names.
    ({"training": {"epochs": 0}}, "training.epochs: 0 is not at least 1"),
    ({"split": {"val_fraction": 0}}, "split.val_fraction: 0 is not more than 0"),
    ({"graphs": {"radius": 100}}, "graphs.radius: 100 is not at most 30"),
    ({"structures": {"max_length": 65536}}, "structures.max_length: 65536 is not at most 65535"),
    ({"network": {"dropout": 1}}, "network.dropout: 1 is not less than 1"),
    ({"network": {"heads": 3}}, "network.heads: 3 is not a multiple of 2"),
    ({"seeds": []}, "seeds: [] has 0 of at least 1 entries"),
    ({"seeds": [-1]}, "seeds[0]: -1 is not at least 0"),
    ({"evaluation": {"seed": -1}}, "evaluation.seed: -1 is not at least 0"),
    ({"methods": {}}, "methods: {} has 0 of at least 1 entries"),
    ({"run": "a/b"}, "run: 'a/b' is text that does not begin with"),
    ({"methods": {"Halo": {"class": "network"}}}, "methods.Halo: 'Halo' is a name that does not"),
    ({"store": ""}, "store: '' is empty text"),
    ({"dataset": {"id": ""}}, "dataset.id: '' is empty text"),
    ({"dataset": {"task": "multi"}}, "'multi' is not one of 'multilabel', 'singlelabel'"),
    ({"structures": {"sources": [{"kind": "pdb"}]}}, "structures.sources[0].kind: 'pdb' is not"),
    ({"dataset": {"sha256": "ABC"}}, "dataset.sha256: 'ABC' is text that is not 64 hex"),
    ({"dataset": {"url": "ftp://x/y.csv"}}, "dataset.url: 'ftp://x/y.csv' is text that does not"),
    ({"structures": {"transport": {"base_url": "alphafold"}}}, "structures.transport.base_url"),
    ({"seeds": [2**32]}, "seeds[0]: 4294967296 is not at most 4294967295"),
    ({"split": {"seed": 10**30}}, "split.seed: "),
    ({"run": "my run"}, "run: 'my run' is text that does not begin with a letter or digit, or has"),
    (split(mode="Kfold"), "'predefined', did you mean 'kfold'?"),
    (
        {"structures": {"sources": [{"kind": "folder", "path": "x", "pattern": "{acc}.pdb"}]}},
        "structures.sources[0].pattern: '{acc}.pdb' has the unknown field {acc}",
    ),
    (
        {"structures": {"sources": [{"kind": "archive", "path": "x", "pattern": "*.pdb"}]}},
        "structures.sources[0].pattern: '*.pdb' must have {accession} once",
    ),
    (
        {"structures": {"sources": []}, "network": {"modalities": ["structure"]}},
        "network.modalities: the structure alone, but structures.sources is empty",
    ),
    (
        merged({"structures": {"sources": []}}, method(network={"modalities": ["structure"]})),
        "methods.halo.network.modalities: the structure alone, but structures.sources is empty",
    ),
    # Numbers that are none.
    ({"training": {"learning_rate": float("nan")}}, "training.learning_rate: nan is not a finite"),
    ({"training": {"cache_gb": float("inf")}}, "training.cache_gb: inf is not a finite number"),
    ({"split": {"identity": float("-inf")}}, "split.identity: -inf is not a finite number"),
    (method(training={"gamma": float("nan")}), "methods.halo.training.gamma: nan is not a finite"),
    ({"training": {"epochs": float("inf")}}, "training.epochs: inf is "),
    # Values that are in a list twice.
    ({"seeds": [1, 2, 1]}, "seeds[2]: 1 is in the list twice"),
    ({"folds": ["0", "0"]}, "folds[1]: '0' is in the list twice"),
    ({"dataset": {"labels": {"columns": ["A", "A"]}}}, "dataset.labels.columns[1]: 'A' is in"),
    ({"network": {"modalities": ["structure", "structure"]}}, "network.modalities[1]: 'structure'"),
    ({"finetune": {"projections": ["key", "key"]}}, "finetune.projections[1]: 'key' is in"),
    # Within a section.
    ({"network": {"hidden": 30}}, "network.hidden: 30 is not a multiple of heads, 4; set hidden"),
    (method(network={"hidden": 30}), "methods.halo.network.hidden: 30 is not a multiple of heads"),
    (method(network={"heads": 6}), "methods.halo.network.hidden: 128 is not a multiple of heads, "),
    ({"embeddings": {"window": 40, "overlap": 40}}, "embeddings.overlap: 40 residues leave nothin"),
    ({"embeddings": {"window": 40, "overlap": 41}}, "embeddings.overlap: 41 residues leave nothin"),
    ({"embeddings": {"window": 200}}, "embeddings.overlap: 256 residues leave nothing new"),
    ({"dataset": {"min_length": 9, "max_length": 5}}, "dataset.min_length: 9 is more than max_len"),
    (
        {"dataset": {"proteins": None, "uniprot": {"reviewed": None}}},
        "dataset.uniprot.query: all of UniProt is too",
    ),
    ({"dataset": {"uniprot": {"query": "kinase"}}}, "dataset.uniprot.query: selects entries of a"),
    (
        {"dataset": {"uniprot": {"taxonomy": 9606}}},
        "dataset.uniprot.taxonomy: selects entries of a download, and dataset.proteins is a file",
    ),
    ({"dataset": {"uniprot": {"taxonomy": "9606"}}}, "dataset.uniprot.taxonomy: '9606' is text"),
    ({"dataset": {"labels": {"columns": ["part"]}}}, "dataset.labels.columns[0]: the label 'part'"),
    ({"dataset": {"labels": {"separator": ";"}}}, "dataset.labels.separator: applies to names"),
    ({"dataset": {"labels": {"evidence": "E"}}}, "dataset.labels.evidence: applies to names"),
    ({"dataset": {"labels": {"label": "id"}}}, "dataset.labels.label: the column 'id' is datase"),
    ({"structures": {"sources": [{"kind": "folder"}]}}, "structures.sources[0].path: missing; the"),
    ({"structures": {"sources": [{"kind": "afdb", "path": "x"}]}}, "structures.sources[0].path: A"),
    (split(mode="fractions", fractions={"train": 0.9}), "split.fractions: train, val, cal and tes"),
    (split(fractions={"train": 0.9}), "split.fractions: train, val, cal and test sum to 1.2; make"),
    (
        split(mode="fractions", fractions={"test": 0, "train": 0.85}),
        "split.fractions.test: 0 leaves no protein for it",
    ),
    (split(mode="kfold", folds=1), "split.folds: 1 fold has nothing to train on"),
    (split(val_fraction=0.5, cal_fraction=0.5), "split.val_fraction: with cal_fraction it leaves"),
    (split(repair=True), "split.repair: the mode kfold keeps similar proteins apart already"),
    (split(name="members"), "split.name: the results have a folder 'members' for something else"),
    ({"embeddings": {"source": "file", "made_by": "m"}}, "embeddings.path: needed with source: fi"),
    ({"embeddings": {"source": "file", "path": "a.h5"}}, "embeddings.made_by: needed with source:"),
    ({"embeddings": {"path": "a.h5"}}, "embeddings.path: belongs to embeddings of a file; set sou"),
    ({"embeddings": {"made_by": "m"}}, "embeddings.made_by: belongs to embeddings of a file; set "),
    # Between sections.
    (
        merged(FROM_FILE, {"release": {"language_model": True}}),
        "release.language_model: true, but embeddings.source: file has no language model",
    ),
    (
        merged(FROM_FILE, {"finetune": {"model": "finetuned"}}),
        "finetune.model: finetuned, but embeddings.source: file has no language model",
    ),
    ({"embeddings": {"layer": 40}}, "embeddings.layer: 40, but esm2_t33_650M_UR50D has 33 layers"),
    (
        {"finetune": {"model": "finetuned", "last_layers": 34}},
        "finetune.last_layers: 34, but esm2_t33_650M_UR50D has 33 layers",
    ),
    (
        merged(
            split(mode="external"),
            {"dataset": {"url": "http://x/y", "test": {"url": "http://x/y", "sha256": "0" * 64}}},
        ),
        "dataset.test.sha256: not that of dataset",
    ),
    (split(mode="external", test=["3"], val=["3"]), "split.val[0]: '3' is in test, too; remove"),
    (split(mode="predefined", test=["4"], val=["3"]), "split.folds: with val there is one divisi"),
    (
        merged(TEST_SET, split(mode="external", val=["3"])),
        "split.val: author partitions, which a run with dataset.test does not divide by",
    ),
    (TEST_SET, "split.mode: kfold, but there is a test set in dataset.test"),
    (merged(TEST_SET, split(mode="fractions")), "split.mode: fractions, but there is a test set"),
    (
        merged(merged(TEST_SET, GIVEN), split(mode="predefined", folds=1)),
        "split.mode: predefined, but there is a test set in dataset.test",
    ),
    (
        merged(TEST_SET, split(mode="external", test=["holdout"])),
        "split.test: holdout, but with dataset.test all of that set is the test",
    ),
    (split(mode="external"), "split.mode: external needs the partitions of the data's authors"),
    (split(mode="predefined"), "split.mode: predefined needs the partitions of the data's authors"),
    (
        merged(GIVEN, split(mode="predefined", base="x.csv")),
        "split.base: the mode predefined uses author partitions",
    ),
    ({"dataset": {"sequence": "id"}}, "dataset.sequence: the column 'id' is dataset.id already"),
    (
        {"dataset": {"annotations": ["k"], "labels": {"columns": ["k"]}}},
        "dataset.labels.columns[0]: the column 'k' is dataset.annotations[0] already",
    ),
    (
        {"dataset": {"split": "part", "labels": {"columns": ["part"]}}},
        "dataset.labels.columns[0]: ",
    ),
    (
        merged(split(mode="external"), {"dataset": {"test": {"proteins": "t", "id": "sequence"}}}),
        "dataset.test.sequence: the column 'sequence' is dataset.test.id already",
    ),
    ({"folds": ["7"]}, "folds[0]: there is no fold '7'; there are 0, 1, 2, 3, 4"),
    (merged(split(mode="fractions"), {"folds": ["1"]}), "folds[0]: there is no fold '1'; there ar"),
    ({"release": {"folds": ["9"]}}, "release.folds[0]: there is no fold '9'"),
    ({"folds": ["1"], "release": {"folds": ["2"]}}, "release.folds[0]: there is no fold '2'; ther"),
    ({"release": {"seeds": [2]}}, "release.seeds[0]: nothing is trained with the seed 2"),
    ({"evaluation": {"main": "hallo"}}, "evaluation.main: 'hallo' is not a method that can be ch"),
    ({"evaluation": {"main": "hallo"}}, "did you mean 'halo'?; there are halo, majority, homology"),
    ({"evaluation": {"main": "esm"}}, "evaluation.main: 'esm' cannot be chosen, or needs finetune"),
    ({"release": {"method": "majority"}}, "release.method: 'majority' cannot be chosen"),
    ({"methods": {"esm": {"class": "esm"}}}, "methods: none of them is made"),
    ({"methods": {"a": {"class": "cascade"}}}, "methods.a.of: two methods to join belong to the"),
    (method(of=["halo", "esm"]), "methods.halo.of: two methods to join belong to the classes"),
    (
        {"methods": {"halo": {"class": "network"}, "a": {"class": "cascade", "of": ["hal", "h"]}}},
        "methods.a.of: 'hal' is not a method without members of its own, did you mean 'halo'",
    ),
    (
        {"methods": {"h": {"class": "network"}, "a": {"class": "average", "of": ["h", "h"]}}},
        "methods.a.of[1]: 'h' is in the list twice",
    ),
    (
        {"methods": {"m": {"class": "majority", "embeddings": "pretrained"}}},
        "methods.m.embeddings: the class majority takes none, only a network or nearest",
    ),
    (
        {"methods": {"m": {"class": "homology", "network": {"layers": 2}}}},
        "methods.m.network: the class homology takes none, only a network does",
    ),
    (
        method(neighbours={"k": [1]}),
        "methods.halo.neighbours: the class network takes none, only nearest_neighbour does",
    ),
    (
        {"methods": {"n": {"class": "nearest_neighbour", "neighbours": {"k": [0]}}}},
        "methods.n.neighbours.k[0]: 0 is not at least 1",
    ),
    (
        {"methods": {"n": {"class": "nearest_neighbour", "neighbours": {"k": [3, 3]}}}},
        "methods.n.neighbours.k[1]: 3 is in the list twice",
    ),
    (
        {
            "methods": {
                **{name: {"class": name} for name in ("network", "homology")},
                "a": {"class": "average", "of": ["network", "homology"]},
            },
            "release": {"method": "a"},
        },
        "release.method: 'a' cannot be chosen",
    ),
    (method(embeddings="finetuned"), "methods.halo.embeddings: nothing is fine-tuned; set finetun"),
    (method(embeddings="frozen"), "methods.halo.embeddings: 'frozen' is not one of 'finetuned', '"),
    (split(mode="predefined", test=["x"]), "split.test: the mode predefined tests each partition,"),
    # Groups of labels.
    (group(name="Membrane", columns=["M"]), "dataset.groups.Membrane: the name needs lower-case"),
    (group(name="labels", columns=["M"]), "dataset.groups.labels: the name is that of the main gr"),
    (group(), "dataset.groups.m.columns: a further group needs columns, a label column, or a ta"),
    (group(column=["M"]), "dataset.groups.m.column: unknown key, did you mean 'columns'"),
    (group(columns=["id"]), "dataset.groups.m.columns[0]: the column 'id' is dataset.id already"),
    (group(label="M", columns=["id"], task="one"), "dataset.groups.m.task: 'one' is not one of 'm"),
    (
        merged(group(label="M"), {"dataset": {"labels": {"columns": ["M"]}}}),
        "dataset.groups.m.label: the column 'M' is dataset.labels.columns[0] already",
    ),
    (
        merged(split(mode="external"), {"dataset": {"test": {"proteins": "t", **M["dataset"]}}}),
        "dataset.test.groups.m: dataset.groups has no group 'm'",
    ),
    (
        merged(
            {"dataset": {"test": {"proteins": "t", **M["dataset"]}}},
            {**split(mode="external"), **group(label="M", task="singlelabel")},
        ),
        "dataset.test.groups.m.task: multilabel, but that of dataset.groups.m is singlelabel",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), FAULTS, ids=[words[:60] for _, words in FAULTS])
def test_faults_name_the_key_and_the_fix(change, words):
    given = merged(MINIMAL, change)
    if "methods" in change and isinstance(change["methods"], dict):
        given["methods"] = change["methods"]
    with pytest.raises(HaloError) as error:
        checked_config(given)
    assert f"  - {words}" in str(error.value) or words in str(error.value)


GOOD = [
    ({"dataset": {"uniprot": {"reviewed": None}}}, ("dataset", "uniprot", "reviewed"), None),
    ({"training": {"epochs": 20.0}}, ("training", "epochs"), 20),
    ({"training": {"learning_rate": "1e-3"}}, ("training", "learning_rate"), 0.001),
    ({"training": {"epochs": "1e2"}}, ("training", "epochs"), 100),
    ({"training": {"learning_rate": 1}}, ("training", "learning_rate"), 1.0),
    (method(training={"epochs": 3.0}), ("methods", "halo", "training", "epochs"), 3),
    (method(training={"gamma": "2e0"}), ("methods", "halo", "training", "gamma"), 2.0),
    ({"seeds": [1.0, 2]}, ("seeds",), [1, 2]),
    ({"folds": [0, "1"]}, ("folds",), ["0", "1"]),
    ({"release": {"folds": [0]}}, ("release", "folds"), ["0"]),
    ({"training": None}, ("training", "epochs"), 100),
    ({"split": {"audit": None}}, ("split", "audit", "rounds"), 10),
    (merged(TEST_SET, split(mode="external")), ("dataset", "test", "id"), "id"),
    (merged(GIVEN, split(mode="external", test=["a"])), ("split", "test"), ["a"]),
    (merged(GIVEN, split(mode="predefined", repair=True)), ("split", "repair"), True),
    (merged(FINETUNED, method(embeddings="pretrained")), ("methods", "halo", "embeddings"), "pretra"
     "ined"),
    (merged(FINETUNED, {"evaluation": {"main": "esm"}}), ("evaluation", "main"), "esm"),
    ({"structures": {"sources": []}}, ("structures", "sources"), []),
    (
        {"dataset": {"split": "part", "annotations": ["part"]}},
        ("dataset", "annotations"), ["part"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "path", "value"), GOOD)
def test_what_has_one_meaning_is_taken(change, path, value):
    found = checked_config(merged(MINIMAL, change))
    for key in path:
        found = found[key]
    assert (type(found), found) == (type(value), value)


def test_all_faults_are_reported_at_once():
    given = {
        "shards": 0,
        "graph": {},
        "dataset": {},
        "embeddings": {"overlap": 2000},
        "split": {"mode": "fractions", "sensitivity": "high"},
        "network": {"hidden": 30},
    }
    with pytest.raises(HaloError) as error:
        checked_config(given)
    for key in (
        "shards", "graph", "run", "embeddings.overlap", "split.sensitivity", "network.hidden"
    ):  # fmt: skip
        assert f"\n  - {key}: " in str(error.value)


FILES = [
    ({"dataset": {"proteins": "gone.csv"}}, "dataset.proteins: there is no file or folder 'gone.c"),
    ({"dataset": {"proteins": "folder"}}, "dataset.proteins: 'folder' is a folder, and a file is"),
    ({"dataset": {"proteins": "empty.csv"}}, "dataset.proteins: the file 'empty.csv' is empty"),
    ({"dataset": {"proteins": "https://x.org/a.csv"}}, "dataset.proteins: 'https://x.org/a.csv' is "
     "an address, and a path is expected; give it in url"),
    ({"dataset": {"proteins": "a\0b"}}, "dataset.proteins: there is no file or folder 'a\\x00b'"),
    ({"dataset": {"proteins": "n" * 999}}, "dataset.proteins: there is no file or folder 'nnn"),
    ({"dataset": {"proteins": None}}, "dataset: no data; give the path of a table or FASTA"),
    ({"dataset": {"labels": {"table": "no.csv"}}}, "dataset.labels.table: there is no file or"),
    (group(table="no.csv"), "dataset.groups.m.table: there is no file or folder 'no.csv'"),
    (
        merged(split(mode="external"), {"dataset": {"test": {"proteins": "no.csv"}}}),
        "dataset.test.proteins: there is no file or folder 'no.csv'",
    ),
    (
        merged(split(mode="external"), {"dataset": {"test": {"id": "ID"}}}),
        "dataset.test: no data; give the path of a table or FASTA in dataset.test.proteins",
    ),
    ({"embeddings": {"model": "none.pt"}}, "embeddings.model: there is no file or folder 'none.pt"),
    ({"embeddings": {"model": "esm2_t33_650M"}}, "or give a published name, one of esm2_t6_8M_UR5"),
    (FROM_FILE, "embeddings.path: there is no file or folder 'a/{id}.npy'"),
    ({"predict": {"embeddings": "no.h5"}}, "predict.embeddings: there is no file or folder"),
    (split(base="no.csv"), "split.base: there is no file or folder 'no.csv'"),
    ({"fasta": "no.fasta"}, "fasta: there is no file or folder 'no.fasta'"),
    ({"container": "no.sif"}, "container: there is no file or folder 'no.sif'"),
    ({"bundle": "x.csv"}, "bundle: 'x.csv' is a file, and a folder is expected"),
    ({"bundle": "folder"}, "bundle: 'folder' has no bundle.json; name the folder of a model"),
    ({"release": {"licence": "no"}}, "release.licence: there is no file or folder 'no'"),
    ({"release": {"notes": "no"}}, "release.notes: there is no file or folder 'no'"),
    (
        {"release": {"all_proteins": True, "folds": ["0"]}},
        "release.folds: models of folds, but with all_proteins: true",
    ),
    ({"predict": {"structures": "x.csv"}}, "predict.structures: 'x.csv' is a file, and a folder i"),
    ({"predict": {"language_model": "no.pt"}}, "predict.language_model: there is no file"),
    ({"structures": {"names": "no.tsv"}}, "structures.names: there is no file or folder 'no.tsv'"),
    ({"structures": {"sequences": "folder"}}, "structures.sequences: 'folder' is a folder, and a"),
    (
        {"structures": {"sources": [{"kind": "folder", "path": "no"}]}},
        "structures.sources[0].path: there is no file or folder 'no'",
    ),
    (
        {"structures": {"sources": [{"kind": "afdb"}, {"kind": "folder", "path": "x.csv"}]}},
        "structures.sources[1].path: 'x.csv' is a file, and a folder is expected",
    ),
    (
        {"structures": {"sources": [{"kind": "archive", "path": "no_*.tar"}]}},
        "structures.sources[0].path: there is no file or folder 'no_*.tar'",
    ),
    ({"store": "x.csv"}, "store: 'x.csv' is a file; name a folder"),
    ({"store": "~no_such_user/s"}, "store: '~no_such_user/s' is in the home directory of no user"),
    ({"fasta": "~no_such_user/s"}, "fasta: there is no file or folder '~no_such_user/s'"),
    ({"pathvars": {"logs": "~/l"}}, "pathvars.logs: '~/l' begins with ~, which Snakemake does not"),
    ({"dataset": {"registry": "deeploc"}}, "dataset.registry: there is no data set 'deeploc' in r"),
    ({"dataset": {"test": {"registry": "x"}}}, "dataset.test.registry: there is no data set 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), FILES, ids=[words[:60] for _, words in FILES])
def test_files_and_data_sets_that_are_not_there(folder, root, change, words):
    with pytest.raises(HaloError) as error:
        completed_config(merged(MINIMAL, change), root)
    assert words in str(error.value)


def test_a_base_that_the_run_writes_over(folder, root):
    def written(config):
        return Path(config["run"], "assignments.csv")

    own = folder / "mine/assignments.csv"
    own.parent.mkdir()
    own.write_text("id\n")
    config = merged(MINIMAL, split(base=str(own)))
    with pytest.raises(HaloError, match=r"split\.base: .* is what this run writes"):
        completed_config(config, root, written=written)
    assert completed_config(merged(config, {"run": "other"}), root, written=written)


def test_files_that_are_there(folder, root, monkeypatch):
    (folder / "a_1.tar").write_bytes(b"x")
    monkeypatch.setenv("HOME", str(folder))
    sources = [{"kind": "archive", "path": "a_*.tar"}, {"kind": "folder", "path": "folder"}]
    given = {
        "store": "~/shared",
        "dataset": {"proteins": "~/x.csv", "labels": {"table": "labels.csv", "label": "A"}},
        "structures": {"sources": sources},
        "embeddings": {"model": "resources/demo/esm2_demo.pt"},
    }
    found = completed_config(merged(MINIMAL, given), root)
    assert found["dataset"]["proteins"] == str(folder / "x.csv")
    assert found["store"] == str(folder / "shared")
    assert found["embeddings"]["model"] == str(root / "resources/demo/esm2_demo.pt")
    assert [source["path"] for source in found["structures"]["sources"]] == ["a_*.tar", "folder"]


KEYS = st.one_of(st.text(max_size=3), st.integers(), st.sampled_from(["class", "of", "kind"]))
ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(),
        st.sampled_from(["1e-3", "20.0", "x.csv", "network", "[0]", 20.0, 1e308, "kfold"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(data=st.data())
def test_every_configuration_is_read_or_refused(data):
    """One to three keys of a whole configuration, at any depth, have any value."""
    config = checked_config(merged(MINIMAL, merged(TEST_SET, split(mode="external"))))
    for _ in range(data.draw(st.integers(1, 3))):
        node, parent, key = config, None, None
        while isinstance(node, dict | list) and node and data.draw(st.integers(0, 3)):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            parent, key = node, data.draw(st.sampled_from(keys))
            node = parent[key]
        if parent is not None:
            parent[key] = data.draw(ANYTHING)
    try:
        found = checked_config(config)
    except HaloError:
        return
    assert checked_config(found) == found


def test_lines_of_the_faults(folder, root):
    file = folder / "mine.yaml"
    file.write_text(
        "run: mine\ndataset:\n  proteins: x.csv\n  labels: {evidence: A}\nsplit:\n  folds: 1\n"
        "structures:\n  sources:\n  - kind: afdb\n  - kind: pdb\n"
    )
    with pytest.raises(HaloError) as error:
        completed_config(load_yaml(file), root, key_lines([file]))
    for key, line in (
        ("dataset.labels.evidence", 4), ("split.folds", 6), ("structures.sources[1].kind", 10)
    ):  # fmt: skip
        said = next(text for text in str(error.value).splitlines() if f"- {key}: " in text)
        assert said.endswith(f"[{file}, line {line}]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run: a\nrun: b\n", "run: given twice, in line 1 and in line 2"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "a.b: given twice, in line 2 and in line 4"),
        ("a: [{b: 1, b: 2}]\n", "a[0].b: given twice, in line 1 and in line 1"),
        ('{"a": 1, "a": 2}', "a: given twice"),
        ('{\n\t"a": 1,\n\t"a": 2}', "a: given twice, in line 2 and in line 3"),
        ("1: a\n'1': b\n", "1: given twice"),
        ("a: [1\n", "not readable as YAML"),
        ("a: {b: 1\n", "line 2, column 1"),
        ("a:\n\tb: 1\n", "not readable as YAML"),
        ("a: *b\n", "undefined alias"),
        ("? [a, b]\n: c\n? {x: 1}\n: 2\n", "not readable as YAML"),
        ("a: !!python/object:os.system x\n", "not readable as YAML"),
        ("a: 2024-13-45\n", "not readable as YAML"),
        (
            "b: 1\na:\n  c: 0500\n",
            "  - a.c: 0500 in line 3 is 320 to YAML, which reads numbers "
            "that begin with 0 as octal; write 500, or '0500' in quotes if it is text",
        ),
        (
            "a: [1, -0_10]\n",
            "a[1]: -0_10 in line 1 is -8 to YAML, which reads numbers that begin "
            "with 0 as octal; write -10, or",
        ),
        (
            "a: 00\n",
            "a: 00 in line 1 is 0 to YAML, which reads numbers that begin with 0 as octal; "
            "write 0, or",
        ),
        (
            "a: 1:30\n",
            "a: 1:30 in line 1 is 90 to YAML, which reads numbers with colons in base 60",
        ),
        (
            "a: 1:05.5\nb: 010\n",
            "\n  - a: 1:05.5 in line 1 is 65.5 to YAML, which reads numbers "
            "with colons in base 60; write it without colons, or '1:05.5' in quotes if it is text\n"
            "  - b: 010 in line 2 is 8 to YAML",
        ),
        ("a: {010: x}\n", "a.010: 010 in line 1 is 8 to YAML"),
        ("a: &x 010\nb: *x\n", "a: 010 in line 1 is 8 to YAML"),
        ("a: !!int x:y\n", "not readable as YAML"),
    ],
)
def test_yaml_that_is_refused(tmp_path, text, words):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(HaloError) as error:
        load_yaml(file)
    assert words in str(error.value)
    assert str(file) in str(error.value)


def test_numbers_of_one_reading_and_text_are_read_as_they_are(tmp_path):
    text = (
        "[0, -0, 10, 1_000, 0x1F, 0b11, 007.5, 0.5, '0500', \"1:30\", 08, 0o17, a:30, 1:90, x0500]"
    )
    (tmp_path / "mine.yaml").write_text(text)
    assert load_yaml(tmp_path / "mine.yaml") == [
        0, 0, 10, 1000, 31, 3, 7.5, 0.5,
        "0500", "1:30", "08", "0o17", "a:30", "1:90", "x0500",
    ]  # fmt: skip


def test_yaml_that_is_read(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("\ufeffa: &x {b: 1}\nc: *x\nd: [*x, *x]\n")
    assert load_yaml(file) == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}
    for content in ("a: Golgi à\n".encode("latin-1"), b"\xef", b"\xef\xbb"):
        file.write_bytes(content)
        with pytest.raises(HaloError, match="not UTF-8"):
            load_yaml(file)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (['split={"folds": 4, "repair": false}'], {"split": {"folds": 4, "repair": False}}),
        (["dataset={accession: null, sample: 10}"], {"dataset": {"accession": None, "sample": 10}}),
        (["seeds=[1, 2]"], {"seeds": [1, 2]}),
        (["training={learning_rate: 1e-3}"], {"training": {"learning_rate": "1e-3"}}),
        (['release={"version": "1"}'], {"release": {"version": "1"}}),
        (["run=second", "shards=2"], {"run": "second", "shards": 2}),
        (['run="2024"'], {"run": "2024"}),
        (['run="0500"'], {"run": "0500"}),
        (["a=1_000", "b=true", "c=0.5"], {"a": 1000, "b": True, "c": 0.5}),
        (["run=2024-01-01"], {"run": "2024-01-01"}),
        (["fasta="], {"fasta": None}),
        (["fasta=null"], {"fasta": None}),
        (["fasta=my: file.fasta"], {"fasta": "my: file.fasta"}),
        (["fasta=@home/x.fasta"], {"fasta": "@home/x.fasta"}),
        (["split={folds: 4}", "split={seed: 2}"], {"split": {"folds": 4, "seed": 2}}),
    ],
)
def test_values_of_the_command_line_are_yaml(arguments, found):
    # What Snakemake makes of them is text, and is replaced.
    assert with_command_line({"split": {"folds": "4"}, "keep": 1}, arguments) == merged(
        {"split": {"folds": "4"}, "keep": 1}, found
    )


def test_a_fault_of_the_command_line_is_reported_as_one():
    arguments = ["split={folds: four}"]
    with pytest.raises(HaloError, match=r"split\.folds: 'four' is text.*\[--config\]"):
        checked_config(with_command_line(MINIMAL, arguments), command_line_keys(arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["split={folds: 4"], "--config split: not readable as YAML"),
        (["split={folds: 4, folds: 5}"], "folds: given twice"),
        (["run=a", "run=b"], "run is given twice"),
        (["shards=010"], "--config shards: .*\n  - 010 in line 1 is 8 to YAML"),
        (["dataset={sample: 1:30}"], "--config dataset: .*\n  - sample: 1:30 in line 1 is 90"),
    ],
)
def test_a_command_line_that_is_refused(arguments, words):
    with pytest.raises(HaloError, match=words):
        with_command_line({}, arguments)


def test_the_registry_completes_what_is_not_given():
    entries = {"set": {"title": "T", "url": "http://x", "id": "ACC", "split": "Partition"}}
    given = {"dataset": {"registry": "set", "proteins": "here.csv", "test": {"registry": "set"}}}
    config, faults = with_registry(given, entries)
    assert not faults
    assert config["dataset"]["id"] == "ACC"
    assert config["dataset"]["proteins"] == "here.csv"
    assert config["dataset"]["split"] == "Partition"
    assert config["dataset"]["test"] == {"registry": "set", "url": "http://x", "id": "ACC"}
    assert "title" not in config["dataset"]
    assert (
        "did you mean 'set'" in with_registry({"dataset": {"registry": "sets"}}, entries)[1][0].text
    )


def test_folds():
    config = checked_config(merged(MINIMAL, {"split": {"mode": "kfold", "folds": 3}}))
    assert folds(config) == ["0", "1", "2"]
    assert folds({**config, "folds": ["2"]}) == ["2"]
    config["split"]["mode"] = "fractions"
    assert folds(config) == ["0"]


def test_methods_of_a_run():
    methods = checked_config(MINIMAL)["methods"]
    assert methods_of(methods, finetuned=False).all == ["halo", "majority", "homology"]
    finetuned = methods_of(methods, finetuned=True)
    assert finetuned.all == ["halo", "cascade", "average", "esm", "majority", "homology"]
    assert finetuned.trained == ["halo", "esm"]


def test_every_class_of_networks_can_be_configured():
    assert set(NETWORKS) == set(NETWORK_CLASSES) <= set(CLASSES)


def test_downloads_of_different_addresses_are_different_files():
    one, other = (download_name(f"https://x.org/{part}/data.csv.gz?v=1") for part in "ab")
    assert one != other
    assert one.endswith("-data.csv.gz")
    assert download_name("https://x.org/") != download_name("https://y.org/")
    assert "/" not in download_name("https://x.org/a%2Fb/c d&e?format=tsv&query=(a:b)")


@pytest.mark.parametrize("section", [{"split": {"mode": "\ud800"}}, {"\udc00": 1}])
def test_half_of_a_character_is_refused(section):
    with pytest.raises(HaloError, match="half of a character"):
        checked_config({"run": "a", **section})


@pytest.mark.parametrize("program", ["/bin/snakemake", "/lib/snakemake/__main__.py"])
@pytest.mark.parametrize(
    "words",
    [
        ("--config", "run=a", "--config", "seeds=[5]"),
        ("--config=run=a", "--cores", "1", "-C", "seeds=[5]"),
        ("-Crun=a", "-Cseeds=[5]"),
        ("--configfile", "a.yaml", "--configfile", "b.yaml"),
        ("--configfile=a.yaml", "--cores", "1", "--configfiles", "b.yaml", "--config", "run=a"),
    ],
)
def test_a_second_option_of_keys_or_files_is_refused(program, words):
    """Snakemake would read the last one alone."""
    with pytest.raises(HaloError, match=r"write one with all (keys|files)"):
        check_options([program, *words])


@pytest.mark.parametrize(
    "words",
    [
        ("snakemake", "--config", "run=a", "seeds=[5]", "--configfile", "a.yaml"),
        ("snakemake", "--configfile", "a.yaml", "b.yaml", "-c", "4"),
        ("snakemake", "--config", "run=a", "--", "--config"),
        ("other.py", "--config", "a", "--config", "b"),
        (),
    ],
)
def test_other_options_are_those_of_snakemake(words):
    check_options(words)
