"""The evaluate stage on a simulated run: only test proteins are used, and nothing leaks."""

import shutil
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from halo.errors import HaloError
from halo.evaluation.models import read_model
from halo.evaluation.stage import EvaluationSettings, evaluate
from halo.evaluation.strata import make_strata
from halo.files import read_json, write_json
from halo.predictions import probability_columns
from halo.proteins.table import Proteins
from simulated_run import SimulatedRun, make_run

SETTINGS = EvaluationSettings(resamples=100, seed=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> SimulatedRun:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def evaluated(run):
    return evaluate_run(run)


def evaluate_run(run: SimulatedRun, proteins: Proteins | None = None, paths=None, strata=None):
    assignments = run.assignments.set_index("id")
    return evaluate(
        proteins or run.proteins, assignments, paths or run.models, strata or {}, SETTINGS
    )


def change_predictions(run: SimulatedRun, folder, change) -> list:
    """Copies of all models with `change` applied to every table of predictions."""
    paths = []
    for path in run.models:
        copy = folder / path.relative_to(run.folder)
        copy.parent.mkdir(parents=True)
        shutil.copy(path.with_name("model.json"), copy.with_name("model.json"))
        table = pd.read_csv(path)
        change(table)
        table.to_csv(copy, index=False)
        paths.append(copy)
    return paths


def test_the_values_are_those_of_the_test_parts(run, evaluated):
    metrics, table = evaluated
    assert metrics["main"] == "halo"
    assert list(metrics["methods"]) == ["halo", "majority", "homology"]
    assert metrics["proteins"] == len(run.proteins)
    assert sum(metrics["folds"].values()) == len(run.proteins)
    halo = metrics["methods"]["halo"]
    assert (halo["n_seeds"], halo["n_models"]) == (2, 6)
    by_hand = []
    for seed in (1, 2):
        decided = np.zeros(run.proteins.labels.shape, dtype=bool)
        for path in run.models:
            if path.parts[-2:] == ("halo", "predictions.csv") and path.parts[-3] == str(seed):
                rows = pd.read_csv(path).query("part == 'test'").set_index("id")
                index = pd.Index(run.proteins.ids).get_indexer(rows.index)
                decided[index] = (
                    rows[probability_columns(run.proteins.label_names)].to_numpy() >= 0.45
                )
        by_hand.append(f1_score(run.proteins.labels, decided, average="macro"))
    assert halo["overall"]["macro_f1"]["value"] == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert len(table) == 3 * len(run.proteins)


def test_homology_groups_are_resampled_and_not_proteins(run, evaluated):
    """Where all of a fold are one group, there is nothing to resample."""
    assignments = run.assignments.set_index("id")
    one_each = assignments.assign(group=assignments["fold"])
    metrics, _ = evaluate(run.proteins, one_each, run.models, {}, SETTINGS)
    assert metrics["groups"] == len(metrics["folds"]) == 3
    for found in metrics["methods"]["halo"]["folds"].values():
        macro_f1 = found["macro_f1"]
        assert macro_f1["value"] > 0
        assert macro_f1["low"] is macro_f1["high"] is None
    usual = evaluated[0]
    assert usual["groups"] == assignments["group"].nunique()
    usual_f1 = usual["methods"]["halo"]["folds"]["0"]["macro_f1"]
    assert usual_f1["low"] < usual_f1["value"] < usual_f1["high"]


def test_a_label_of_one_homology_group_has_no_interval(run, evaluated):
    """Its proteins are drawn together: most of its metrics are the same in each resample."""
    assignments = run.assignments.set_index("id")
    having = run.proteins.ids[run.proteins.labels[:, 0].astype(bool)]
    assignments.loc[having, "group"] = assignments.loc[having[0], "group"]
    metrics, _ = evaluate(run.proteins, assignments, run.models, {}, SETTINGS)
    rare, other = run.proteins.label_names[:2]
    tables = [metrics["methods"]["halo"]["labels"], metrics["differences"]["majority"]["labels"]]
    for table, usual in zip(
        tables,
        [
            evaluated[0]["methods"]["halo"]["labels"],
            evaluated[0]["differences"]["majority"]["labels"],
        ],
        strict=True,
    ):
        for metric, found in table[rare].items():
            assert found == {"value": usual[rare][metric]["value"], "low": None, "high": None}
        for found in table[other].values():
            assert found["low"] < found["high"]
    assert metrics["methods"]["halo"]["overall"]["macro_f1"]["low"] is not None


def test_val_and_cal_rows_do_not_enter(run, evaluated, tmp_path):
    """Other probabilities of val leave everything as it is, of cal all but what is tuned on it."""

    def spoil(part):
        def change(table):
            rows = table["part"] == part
            columns = probability_columns(run.proteins.label_names)
            table.loc[rows, columns] = 1 - table.loc[rows, columns]

        return evaluate_run(run, paths=change_predictions(run, tmp_path / part, change))

    metrics, table = deepcopy(evaluated)
    without_val, table_without_val = spoil("val")
    assert without_val == metrics
    assert table_without_val.equals(table)
    without_cal, table_without_cal = spoil("cal")
    assert table_without_cal.equals(table)
    tuned = [m["thresholds"]["halo"]["values"][0].pop("tuned") for m in (without_cal, metrics)]
    assert tuned[0] != tuned[1]
    for found in (without_cal, metrics):
        ways = found["thresholds"]["halo"]
        del ways["overall"]["tuned"], ways["differences"]["tuned"], ways["values"]
        del found["threshold_sweep"]["halo"]["chosen"]
    assert without_cal == metrics
    assert spoil("test")[0] != metrics


def test_learned_thresholds_are_compared_with_the_others_in_pairs(run):
    ways = evaluate_run(run)[0]["thresholds"]["halo"]
    assert ways["differences"].keys() == {"fixed", "tuned"}
    for way, differences in ways["differences"].items():
        for name, found in differences.items():
            learned, other = (ways["overall"][which][name] for which in ("learned", way))
            assert found["value"] == pytest.approx(learned["value"] - other["value"], abs=2e-6)
            assert found["low"] <= found["value"] <= found["high"]


def test_one_threshold_for_all_labels(run, evaluated):
    """The curves are those of the test, by hand; the choice is that of cal."""
    sweep = evaluated[0]["threshold_sweep"]
    assert list(sweep) == ["halo"]
    found = sweep["halo"]
    place = found["thresholds"].index(0.7)
    by_hand, of_cal = {name: [] for name in ("macro", "micro")}, []
    for path in run.models:
        if path.parts[-2] == "halo":
            rows = pd.read_csv(path).query("part == 'cal'").set_index("id")
            index = pd.Index(run.proteins.ids).get_indexer(rows.index)
            scores = rows[probability_columns(run.proteins.label_names)].to_numpy()
            truth = run.proteins.labels[index]
            kept = truth.any(axis=0)
            of_cal.append(
                [
                    f1_score(truth[:, kept], scores[:, kept] >= t, average="macro", zero_division=0)
                    for t in found["thresholds"]
                ]
            )
    for seed in ("1", "2"):
        decided = np.zeros(run.proteins.labels.shape, dtype=bool)
        for path in run.models:
            if path.parts[-2] == "halo" and path.parts[-3] == seed:
                rows = pd.read_csv(path).query("part == 'test'").set_index("id")
                index = pd.Index(run.proteins.ids).get_indexer(rows.index)
                scores = rows[probability_columns(run.proteins.label_names)].to_numpy()
                decided[index] = scores >= 0.7
        for name, values in by_hand.items():
            values.append(f1_score(run.proteins.labels, decided, average=name))
    for name, values in by_hand.items():
        assert found[f"{name}_f1"][place] == pytest.approx(np.mean(values), abs=1e-6)
    best = int(np.argmax(np.mean(of_cal, axis=0)))
    assert found["chosen"]["threshold"] == found["thresholds"][best]
    chosen = found["chosen"]["micro_mcc"]
    assert chosen["value"] == found["micro_mcc"][best]
    assert chosen["low"] < chosen["value"] < chosen["high"]


def test_tuned_thresholds_know_the_labels_of_cal_alone(run):
    labels = run.proteins.labels.copy()
    cal = (run.assignments["part_0"] == "cal").to_numpy()
    labels[~cal] = 1 - labels[~cal]
    changed = Proteins(run.proteins.table, run.proteins.label_names, labels, run.proteins.task)
    paths = [path for path in run.models if path.parts[-4] == "0"]
    before, after = (
        evaluate_run(run, proteins, paths)[0]["thresholds"]["halo"]["values"]
        for proteins in (run.proteins, changed)
    )
    assert [v["tuned"] for v in before] == [v["tuned"] for v in after]


def test_shuffled_labels_fall_to_chance(run):
    """A method that has seen test labels would not."""
    order = np.random.default_rng(5).permutation(len(run.proteins))
    shuffled = Proteins(
        run.proteins.table, run.proteins.label_names, run.proteins.labels[order], run.proteins.task
    )
    metrics, _ = evaluate_run(run, shuffled)
    for method, found in metrics["methods"].items():
        assert abs(found["overall"]["macro_mcc"]["value"]) < 0.1, method
        assert abs(found["overall"]["macro_auroc"]["value"] - 0.5) < 0.1, method


def test_differences_are_paired(run, evaluated):
    """The interval of a difference is narrower than those of its two sides allow."""
    metrics, _ = evaluated
    difference = metrics["differences"]["homology"]["overall"]["macro_f1"]
    ours, theirs = (metrics["methods"][m]["overall"]["macro_f1"] for m in ("halo", "homology"))
    assert difference["value"] == pytest.approx(ours["value"] - theirs["value"], abs=2e-6)
    assert difference["low"] > 0
    halo = [path for path in run.models if path.parts[-2] == "halo"]
    twin = [path.parent.with_name("twin") / path.name for path in halo]
    for path, copy in zip(halo, twin, strict=True):
        shutil.copytree(path.parent, copy.parent, dirs_exist_ok=True)
    same = evaluate_run(run, paths=halo + twin)[0]["differences"]["twin"]["overall"]["macro_f1"]
    assert same == {"value": 0, "low": 0, "high": 0}


def test_a_row_a_protein_and_method(run, evaluated):
    _, table = evaluated
    names = run.proteins.label_names
    assert list(table.columns) == [
        "id", "method", "fold", "part", "labels", "unknown", "decisions", "uncertainty",
        "decided_by",
        *(f"p:{name}" for name in names),
    ]  # fmt: skip
    assert set(table["part"]) == {"test"}
    assert table["uncertainty"].between(0, 1).all()
    row = table[(table["method"] == "halo") & (table["id"] == run.proteins.ids[0])].iloc[0]
    truth = [n for n, y in zip(names, run.proteins.labels[0], strict=True) if y]
    assert row["labels"] == ";".join(truth)
    probabilities = []
    for path in run.models:
        found = pd.read_csv(path).query("part == 'test'").set_index("id")
        if path.parts[-2] == "halo" and row["id"] in found.index:
            probabilities.append(found.loc[row["id"], f"p:{names[0]}"])
    assert len(probabilities) == 2
    assert row[f"p:{names[0]}"] == pytest.approx(np.mean(probabilities), abs=1e-6)
    decided = [name for name in names if row[f"p:{name}"] >= 0.45]
    assert row["decisions"] == ";".join(decided)
    majority = table[table["method"] == "majority"]
    assert (majority["decisions"] != "").all()


def test_single_labels_are_counted_as_accuracy(tmp_path):
    run = make_run(tmp_path, task="singlelabel", seeds=(1,))
    metrics, table = evaluate_run(run)
    rows = table[table["method"] == "halo"]
    overall = metrics["methods"]["halo"]["overall"]
    assert not rows["decisions"].str.contains(";").any()
    accuracy = accuracy_score(rows["labels"], rows["decisions"])
    assert overall["exact_match"]["value"] == pytest.approx(accuracy, abs=1e-6)
    assert overall["micro_f1"]["value"] == pytest.approx(accuracy, abs=1e-6)
    assert overall["labels_predicted"]["value"] == 1
    assert metrics["thresholds"] == {}


def test_strata_divide_the_proteins(run):
    structures, identity = (
        pd.read_csv(run.folder / name, dtype=str, keep_default_na=False)
        for name in ("structures/manifest.csv", "split/identity.csv")
    )
    strata = make_strata(run.proteins, structures, identity)
    assert list(strata) == [
        "kingdom", "length", "structure", "mean pLDDT", "identity to other folds",
    ]  # fmt: skip
    for name, masks in strata.items():
        count = np.sum(list(masks.values()), axis=0)
        assert (count <= 1).all()
        assert name == "mean pLDDT" or (count == 1).all()
    metrics, _ = evaluate_run(run, strata=strata)
    kingdoms = metrics["strata"]["kingdom"]
    assert set(kingdoms) == {"Fungi", "Metazoa"}
    assert sum(part["proteins"] for part in kingdoms.values()) == len(run.proteins)
    for method, found in metrics["methods"].items():
        parts = [
            (p["proteins"], p["methods"][method]["exact_match"]["value"]) for p in kingdoms.values()
        ]
        mean = sum(n * value for n, value in parts) / len(run.proteins)
        assert mean == pytest.approx(found["overall"]["exact_match"]["value"], abs=1e-5)
    assert make_strata(run.proteins, None, None).keys() == {"kingdom", "length"}


def test_the_same_inputs_give_the_same_numbers(run, evaluated):
    assert evaluate_run(run)[1].equals(evaluated[1])
    assert evaluate_run(run)[0]["methods"] == evaluated[0]["methods"]


class TestFilesThatDoNotFit:
    """Predictions of an earlier run, or damaged ones."""

    def read(self, run, path):
        return read_model(path, run.proteins, run.assignments.set_index("id"))

    @pytest.fixture
    def path(self, run, tmp_path):
        place = tmp_path / "kfold/0/1/halo"
        shutil.copytree(run.models[0].parent, place)
        return place / "predictions.csv"

    def spoil(self, path, change):
        table = pd.read_csv(path)
        change(table).to_csv(path, index=False)

    def test_another_label(self, run, path):
        self.spoil(path, lambda table: table.rename(columns={"p:Nucleus": "p:Core"}))
        with pytest.raises(HaloError, match=r"its labels are not Cytoplasm, .*run again"):
            self.read(run, path)

    def test_another_split(self, run, path):
        self.spoil(path, lambda table: table.assign(part="test"))
        with pytest.raises(HaloError, match=r"protein 'P\d+' is in part 'test' of fold 0, but"):
            self.read(run, path)

    def test_an_unknown_protein(self, run, path):
        self.spoil(path, lambda table: table.replace({"id": {table["id"][0]: "stranger"}}))
        with pytest.raises(HaloError, match="protein 'stranger'"):
            self.read(run, path)

    def test_a_missing_row(self, run, path):
        self.spoil(path, lambda table: table.drop(table.index[table["part"] == "test"][0]))
        with pytest.raises(HaloError, match="not one row for each of the"):
            self.read(run, path)

    def test_no_probability(self, run, path):
        self.spoil(path, lambda table: table.assign(**{"p:Nucleus": np.nan}))
        with pytest.raises(HaloError, match="not a probability between 0 and 1"):
            self.read(run, path)

    def test_other_folds_of_one_method(self, run):
        paths = [path for path in run.models if path.parts[-2] == "halo" or path.parts[-4] == "0"]
        with pytest.raises(HaloError, match="'majority' was not tested on the same proteins"):
            evaluate_run(run, paths=paths)

    def test_a_label_of_another_order(self, run, path):
        description = read_json(path.with_name("model.json"))
        write_json(path.with_name("model.json"), description | {"labels": ["Nucleus"]})
        with pytest.raises(HaloError, match="its labels are not"):
            self.read(run, path)
