"""Several groups of labels: each is learned, decided and measured as if it were alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from halo.baselines.stage import run_baseline
from halo.cascade.stage import CascadeSettings, join_fold
from halo.errors import HaloError
from halo.evaluation.models import by_method, read_model
from halo.evaluation.stage import EvaluationSettings, evaluate, evaluate_models
from halo.files import read_json, write_json
from halo.fold_parts import FoldParts
from halo.label_groups import LabelGroup, all_groups, as_content, from_content
from halo.model_description import read_description
from halo.model_key import ModelKey
from halo.network.loss import focal_loss, grouped_loss, softmax_focal_loss
from halo.predict.bundle import read_bundle
from halo.predict.run import predict
from halo.proteins.datasets import DataFiles, read_datasets
from halo.proteins.ingest import ingest
from halo.proteins.settings import DatasetSettings, GroupLabels, Labels
from halo.proteins.table import read_proteins, write_proteins
from predict_bundle import (
    FOLDS,
    OFFLINE,
    ROOT,
    make_small_run,
    queries,
    read_small_run,
    write_fasta,
)
from simulated_run import MEMBRANE, SimulatedRun, make_run

TYPES = GroupLabels(label="type", task="singlelabel", unknown=("?",))
MEMBERS = ("homology", "halo")
COLUMNS = Labels(columns=("N", "C"))


# ------------------------------------------------------------------ ingest


def table(folder: Path, *rows: str, header: str = "id,sequence,N,C,type") -> Path:
    file = folder / "in.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def test_groups_are_read_with_tasks_of_their_own(tmp_path):
    """A blank group is unknown; two types are one too many; a protein needs one known label."""
    path = table(
        tmp_path, "a,MKV,1,1,TM", "b,MKL,0,1,", "c,MKI,,,lipid", "d,MKA,1,0,TM;lipid", "e,MKG,,,?"
    )
    settings = DatasetSettings(labels=COLUMNS, groups={"membrane": replace(TYPES, separator=";")})
    proteins, rejected = ingest(path, None, settings)
    assert proteins.ids.tolist() == ["a", "b", "c"]
    assert proteins.label_names == ("N", "C", "TM", "lipid")
    assert proteins.further == (LabelGroup("membrane", "singlelabel", ("TM", "lipid"), 2),)
    nan = np.nan
    np.testing.assert_array_equal(proteins.targets, [[1, 1, 1, 0], [0, 1, nan, nan],
                                                     [nan, nan, 0, 1]])  # fmt: skip
    assert {each.id: each.reason for each in rejected} == {"d": "not one label", "e": "no label"}
    assert "2 labels of the group membrane (TM, lipid)" in rejected[0].detail
    for long in (True, False):
        write_proteins(tmp_path / "out/proteins.csv", proteins, long)
        again = read_proteins(tmp_path / "out/proteins.csv")
        assert again.further == proteins.further
        np.testing.assert_array_equal(again.targets, proteins.targets)


def test_a_group_in_a_table_of_its_own_annotates_some_proteins(tmp_path):
    path = table(tmp_path, "a,MKV,1,0", "b,MKL,0,1", header="id,sequence,N,C")
    own = tmp_path / "membrane.tsv"
    own.write_text("id\tTM\tlipid\na\t1\t0\nother\t1\t1\n")
    groups = {"membrane": {"table": str(own)}}
    section = {"train": {"labels": {}, "groups": groups}}
    proteins, _ = read_datasets(DataFiles(path, groups={"membrane": own}), section)
    assert proteins.label_names == ("N", "C", "TM", "lipid")  # and the column type is no label
    assert proteins.known.tolist() == [[True] * 4, [True, True, False, False]]


def test_duplicates_that_have_different_types_are_rejected(tmp_path):
    path = table(tmp_path, "a,MKV,1,0,TM", "b,MKV,1,0,lipid", "c,MKL,0,1,TM", "d,MKL,0,1,?")
    proteins, rejected = ingest(path, None, DatasetSettings(labels=COLUMNS, groups={"m": TYPES}))
    assert proteins.ids.tolist() == ["c"]
    assert proteins.known.all()  # merged with d, whose type is unknown
    reasons = {each.id: each.reason for each in rejected}
    assert reasons == {"a": "not one label", "b": "duplicated sequence",
                       "d": "duplicated sequence"}  # fmt: skip


def test_a_test_set_that_lacks_a_group_is_unknown_there(tmp_path):
    path = table(tmp_path, "a,MKV,1,0,TM", "b,MKL,0,1,lipid")
    test = tmp_path / "test.csv"
    test.write_text("id,sequence,N,C\nx,MKI,1,0\n")
    labels = {"columns": ["N", "C"]}
    groups = {"m": {"label": "type", "task": "singlelabel"}}
    section = {"train": {"labels": labels, "groups": groups},
               "test": {"labels": labels, "groups": None}}  # fmt: skip
    proteins, _ = read_datasets(DataFiles(path, test=test), section)
    assert proteins.known.tolist() == [[True] * 4, [True] * 4, [True, True, False, False]]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (GroupLabels(columns=("N",)), "the label 'N' has the name of another column in use"),
        (
            GroupLabels(columns=("X",)),
            r"no column 'X'; change dataset\.groups\.m\.columns\[0\] .* type, same$",
        ),
        (GroupLabels(label="X"), r"no column 'X'; change dataset\.groups\.m\.label"),
        (GroupLabels(columns=("type",)), r"set dataset\.groups\.m\.label: type"),
        (GroupLabels(label="sequence"), r"dataset\.groups\.m\.label: the column 'sequence'"),
        (GroupLabels(label="same"), "two groups of labels have the label 'N'"),
    ],
)
def test_a_wrong_group_is_named(tmp_path, group, message):
    header = "id,sequence,N,C,type,same"
    path = table(tmp_path, "a,MKV,1,0,TM,N", "b,MKL,0,1,TM,N", header=header)
    with pytest.raises(HaloError, match=message):
        ingest(path, None, DatasetSettings(labels=COLUMNS, groups={"m": group}))


def test_groups_of_files():
    labels = ("A", "B", "X", "Y", "Z")
    further = (
        LabelGroup("m", "singlelabel", ("X", "Y"), 2),
        LabelGroup("o", "multilabel", ("Z",), 4),
    )
    assert from_content(labels, as_content(further)) == further
    assert from_content(labels, None) == ()
    assert [group.labels for group in all_groups(labels, "multilabel", further)] == [
        ("A", "B"), ("X", "Y"), ("Z",)
    ]  # fmt: skip
    for wrong in ({"m": ["Y", "X"]}, {"m": ["A", "B"]}, {"m": [*labels]}, {"m": []}):
        content = {name: {"task": "multilabel", "labels": each} for name, each in wrong.items()}
        with pytest.raises(ValueError, match=r"main group|not in their place"):
            from_content(labels, content)


# ------------------------------------------------------------------ training


def test_the_loss_is_that_of_each_group_over_what_is_known_of_it():
    torch.manual_seed(0)
    groups = all_groups("ABXYZ", "multilabel", (LabelGroup("m", "singlelabel", tuple("XYZ"), 2),))
    logits = torch.randn(6, 5, requires_grad=True)
    targets = torch.zeros(6, 5)
    targets[:, 0], targets[torch.arange(6), torch.tensor([2, 3, 4, 2, 3, 4])] = 1, 1
    targets[4:, 2:], targets[0, :2] = torch.nan, torch.nan
    weights = torch.tensor([1.0, 2.0, 1.5, 1.0, 3.0])
    loss = grouped_loss(logits, targets, 1.0, weights, groups, 0.25)
    main = focal_loss(logits[1:, :2], targets[1:, :2], 1.0, weights[:2])
    own = softmax_focal_loss(logits[:4, 2:], targets[:4, 2:], 1.0, weights[2:])
    torch.testing.assert_close(loss, main + 0.25 * own)
    loss.backward()
    slope = logits.grad
    assert slope is not None
    assert torch.isfinite(slope).all()
    assert not slope[4:, 2:].any()
    assert not slope[0, :2].any()
    assert slope[:4, 2:].all()
    none = targets.clone()
    none[:, 2:] = torch.nan
    alone = grouped_loss(logits, none, 1.0, weights, groups)
    torch.testing.assert_close(alone, focal_loss(logits[:, :2], none[:, :2], 1.0, weights[:2]))


# ------------------------------------------------------------------ evaluation


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> SimulatedRun:
    """A simulated run with two further groups of labels, and a cascade of its methods."""
    made = make_run(tmp_path_factory.mktemp("run"), n=160, n_folds=2, seeds=(1,), grouped=True)
    assignments = made.assignments.set_index("id")
    for fold in ("0", "1"):
        members = [made.folder / f"kfold/{fold}/1/{m}/predictions.csv" for m in MEMBERS]
        place = made.folder / f"kfold/{fold}/1/cascade"
        place.mkdir()
        key = ModelKey("kfold", fold, 1, "cascade")
        join_fold(made.proteins, assignments, members, "cascade", key, CascadeSettings(0.5), place)
        made.models.append(place / "predictions.csv")
    return made


def apart(run: SimulatedRun, group: LabelGroup, folder: Path) -> SimulatedRun:
    """The same run with one group of labels only: its columns, and its part of ``model.json``."""
    models = []
    for path in run.models:
        place = folder / path.parent.relative_to(run.folder)
        place.mkdir(parents=True)
        given = pd.read_csv(path, dtype=str, keep_default_na=False)
        names = [group.column("decided_by")] if "decided_by" in given else []
        kept = given[["id", "part", *names, *(f"p:{name}" for name in group.labels)]]
        kept.columns = ["id", "part", *["decided_by"] * len(names), *kept.columns[2 + len(names) :]]
        kept.to_csv(place / "predictions.csv", index=False)
        content = read_json(path.with_name("model.json"))
        further = content.pop("groups")
        content = {**content, "format": 3, "labels": list(group.labels)}
        if group.name != "labels":
            content |= further[group.name]
        write_json(place / "model.json", content)
        models.append(place / "predictions.csv")
    return replace(run, folder=folder, proteins=run.proteins.of_group(group), models=models)


def context(run: SimulatedRun) -> tuple[Any, ...]:
    """Strata and settings of the evaluation."""
    strata = {"kingdom": {"Fungi": (run.proteins.table["kingdom"] == "Fungi").to_numpy()}}
    return strata, EvaluationSettings(resamples=100)


@pytest.fixture(scope="module")
def evaluated(run) -> tuple[dict[str, Any], pd.DataFrame]:
    assignments = run.assignments.set_index("id")
    return evaluate(run.proteins, assignments, run.models, *context(run))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_group_is_measured_as_in_a_run_of_its_own(run, evaluated, tmp_path, number):
    """All metrics are equal to those of a run whose only proteins are the annotated ones."""
    assignments = run.assignments.set_index("id")
    metrics, table = evaluated
    group = run.proteins.groups[number]
    own = apart(run, group, tmp_path)
    models = by_method(read_model(path, own.proteins, assignments) for path in own.models)
    expected, _ = evaluate_models(own.proteins, assignments, models, *context(run))
    found = metrics["label_groups"][group.name] if number else metrics
    assert {key: found[key] for key in expected} == expected
    annotated = own.proteins.known.any(axis=1)
    assert found["proteins"] == annotated.sum()
    assert annotated.all() == (number == 0)
    assert found["methods"]["cascade"]["joining"]["first"] == "homology"
    rows = table[table["method"] == "halo"].set_index("id").loc[run.proteins.ids]
    decided = rows[group.column("decisions")]
    columns = [f"p:{name}" for name in group.labels]
    if group.task == "singlelabel":
        np.testing.assert_allclose(rows[columns].sum(axis=1), 1, atol=1e-5)
        assert (decided == rows[columns].idxmax(axis=1).str.removeprefix("p:")).all()
        assert (rows["labels:membrane"] == "").sum() == (~annotated).sum()
        truth = np.array(MEMBRANE)[own.proteins.labels.argmax(axis=1)]
        right = (decided == truth)[annotated].mean()
        assert found["methods"]["halo"]["overall"]["exact_match"]["value"] == pytest.approx(right)
    given = np.array([[name in text.split(";") for name in group.labels] for text in decided])
    f1 = f1_score(own.proteins.labels[annotated], given[annotated], average="macro")
    assert found["methods"]["halo"]["overall"]["macro_f1"]["value"] == pytest.approx(f1, abs=1e-6)


def test_a_group_is_joined_as_in_a_run_of_its_own(run, tmp_path):
    """A cascade and its calibration are those of the group's labels alone."""
    assignments = run.assignments.set_index("id")
    group = run.proteins.groups[1]
    own = apart(run, group, tmp_path)
    members = [tmp_path / f"kfold/0/1/{m}/predictions.csv" for m in MEMBERS]
    key = ModelKey("kfold", "0", 1, "cascade")
    join_fold(own.proteins, assignments, members, "cascade", key, CascadeSettings(0.5), tmp_path)
    alone = read_description(tmp_path)
    whole = read_description(run.folder / "kfold/0/1/cascade")
    assert whole.of_group(group).members == alone.members
    assert whole.of_group(group).band == alone.band
    assert whole.of_group(group).conformal == alone.conformal != whole.conformal
    table = pd.read_csv(run.folder / "kfold/0/1/cascade/predictions.csv")
    expected = pd.read_csv(tmp_path / "predictions.csv")
    columns = [f"p:{name}" for name in MEMBRANE]
    pd.testing.assert_frame_equal(table[columns], expected[columns])
    assert table["decided_by:membrane"].tolist() == expected["decided_by"].tolist()


@pytest.mark.parametrize("method", ["majority", "homology"])
def test_a_baseline_predicts_a_group_from_what_is_known_of_it(run, tmp_path, method):
    group, proteins = run.proteins.groups[1], run.proteins
    hits = pd.read_csv(run.path("split/hits.csv.gz"), compression=None)
    parts = FoldParts.of_fold(run.assignments.set_index("id"), "0", proteins.ids)
    run_baseline(proteins, parts, hits, method, ModelKey("s", "0", 1, method), tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    train = (parts.part == "train") & proteins.known[:, group.first]
    frequencies = proteins.labels[train][:, group.columns].mean(axis=0)
    assert frequencies.sum() == pytest.approx(1)
    found = table[[f"p:{name}" for name in group.labels]].to_numpy()
    as_frequencies = np.isclose(found, frequencies).all(axis=1)
    assert as_frequencies.all() if method == "majority" else 0 < as_frequencies.mean() < 1
    np.testing.assert_allclose(found.sum(axis=1), 1)
    thresholds = read_description(tmp_path).thresholds
    for each in proteins.groups:  # the most frequent label of each group is predicted
        own = (parts.part == "train") & proteins.known[:, each.first]
        frequencies = proteins.labels[own][:, each.columns].mean(axis=0)
        top = each.labels[frequencies.argmax()]
        expected = dict.fromkeys(each.labels, 0.5) | {top: min(0.5, frequencies.max())}
        assert {name: thresholds[name] for name in each.labels} == pytest.approx(expected)


def test_other_groups_than_those_of_the_data_are_an_error(run, tmp_path):
    place = tmp_path / "kfold/0/1/halo"
    shutil.copytree(run.folder / "kfold/0/1/halo", place)
    content = read_json(place / "model.json")
    assert content["format"] == 4  # which older versions refuse with a message
    other = replace(run.proteins, further=())
    with pytest.raises(HaloError, match="its labels are not"):
        read_model(place / "predictions.csv", other, run.assignments.set_index("id"))
    content["groups"]["membrane"]["labels"] = ["Nucleus", "Soluble", "Peripheral"]
    write_json(place / "model.json", content)
    with pytest.raises(HaloError, match=r"model.json: damaged .*membrane are not in their place"):
        read_description(place)


# ------------------------------------------------------------------ networks and bundles


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Networks and cascades trained on the demo's labels and a group with unknown types."""
    folder = tmp_path_factory.mktemp("small")
    make_small_run(
        folder, count=40, groups={"membrane": GroupLabels(label="membrane", task="singlelabel")}
    )
    return read_small_run(folder)


@pytest.mark.slow
def test_one_network_learns_all_groups(small):
    proteins = small.proteins
    assert [group.name for group in proteins.groups] == ["labels", "membrane"]
    for method in ("plain", "halo", "cascade"):
        table = pd.read_csv(small.folder / f"kfold/0/1/{method}/predictions.csv")
        types = table[["p:Soluble", "p:Transmembrane"]]
        np.testing.assert_allclose(types.sum(axis=1), 1, atol=1e-5)
        main = table[[f"p:{name}" for name in proteins.groups[0].labels]]
        assert not np.allclose(main.sum(axis=1), 1, atol=0.05)
    metrics = read_json(small.folder / "metrics.json")
    tested = metrics["label_groups"]["membrane"]["proteins"]
    assert tested == proteins.known[:, -1].sum() == 30
    assert metrics["proteins"] == len(proteins) == 40


@pytest.mark.slow
def test_a_bundle_predicts_all_groups(small, tmp_path, monkeypatch):
    """The labels of a similar training protein count in the groups in which they are known."""
    monkeypatch.setattr("halo.homologues.rule.FEWEST", 2)
    ids = small.proteins.ids
    pairs = {"query": ids[:-1], "target": ids[1:], "identity": 0.9, "similar": 1}
    folder = small.bundle(tmp_path / "bundle", hits=pd.DataFrame({**pairs, "bits": 100.0}))
    bundle = read_bundle(folder)
    assert bundle.description.format == 3
    assert bundle.groups == small.proteins.groups
    assert "### Group membrane" in (folder / "README.md").read_text()
    known = small.proteins.table.set_index("id")["sequence"][:6].to_dict()
    fasta = write_fasta(tmp_path / "in.fasta", known | queries(2))
    predict(fasta, folder, tmp_path / "out", replace(OFFLINE, page=1))
    table = pd.read_csv(tmp_path / "out/predictions.csv", keep_default_na=False)
    types = table[["p:Soluble", "p:Transmembrane"]].astype(float)
    assert (table["labels:membrane"] == types.idxmax(axis=1).str.removeprefix("p:")).all()
    np.testing.assert_allclose(types.sum(axis=1), 1, atol=1e-5)
    for name in ("labels", "set", "uncertainty", "decided_by"):
        assert f"{name}:membrane" in table
        assert name in table
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    schema = json.loads((ROOT / "workflow/schemas/predictions.schema.json").read_text())
    jsonschema.validate(content, schema)
    assert content["format"] == 5
    assert list(content["groups"]) == ["membrane"]
    main = set(small.proteins.groups[0].labels)
    for record, row in zip(content["proteins"], table.to_dict("records"), strict=True):
        assert set(record["labels"]) <= main
        assert record["groups"]["membrane"]["labels"] == [row["labels:membrane"]]
        given = [n for n in main if row[f"p:{n}"] >= row[f"threshold:{n}"]]
        assert set(record["labels"]) == set(given)
    similar = table["decided_by"].str.endswith("homology")
    known = ids[small.proteins.known[:, -1]]
    annotated, homologue = table["nearest_training"].isin(known), table["homologue:membrane"]
    of_group = table["decided_by:membrane"].str.endswith("homology")
    assert (of_group == (homologue != "")).all()
    assert homologue[of_group].isin(known).all()
    assert (homologue == table["nearest_training"])[similar & annotated].all()
    assert (similar & annotated).any()
    assert (similar & ~annotated).any()
    assert not of_group[~similar].any()
    page = (tmp_path / "out/predictions.html").read_text()
    assert '"exclusive": ["Soluble", "Transmembrane"]' in page.replace('":[', '": [')


@pytest.mark.slow
def test_the_models_of_a_bundle_are_those_of_the_run(small, tmp_path):
    """A bundle of one fold gives the test proteins of that fold the run's own decisions."""
    folder = small.bundle(tmp_path / "bundle", sequences=False)
    for model in read_json(folder / "bundle.json")["models"]:
        place = small.folder / f"kfold/{model['fold']}/1/cascade"
        described = read_description(place)
        assert described.groups is not None
        assert described.groups["membrane"].band is not None
        own = described.groups["membrane"].band.model_dump()
        assert model["groups"]["membrane"]["band"] == own
        member = described.groups["membrane"].members[0]  # type: ignore[index]
        assert model["members"][0]["temperatures"] == {"membrane": member.temperature}
        assert model["members"][0]["shifts"]["Soluble"] == member.shifts["Soluble"]
    assert {model["fold"] for model in read_json(folder / "bundle.json")["models"]} == set(FOLDS)
