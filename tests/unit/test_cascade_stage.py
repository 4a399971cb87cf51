"""A cascade of two methods of a simulated run, evaluated like other methods."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from halo.cascade.stage import CascadeSettings, join_fold
from halo.errors import HaloError
from halo.evaluation.conformal import label_coverage, label_sets
from halo.evaluation.models import read_model
from halo.evaluation.stage import EvaluationSettings, evaluate
from halo.files import read_json
from halo.model_key import ModelKey
from simulated_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


def join(run, kind="cascade", members=("halo", "homology"), fold="0", proteins=None, seed=1):
    """Join two methods; the folder of the result."""
    own = f"{kind}_of_{'_'.join(members)}"
    paths = [next(p for p in run.models if p.parts[-4:-1] == (fold, "1", name)) for name in members]
    folder = paths[0].parents[1] / own
    folder.mkdir(exist_ok=True)
    key = ModelKey("kfold", fold, seed, own)
    assignments = run.assignments.set_index("id")
    join_fold(proteins or run.proteins, assignments, paths, kind, key, CascadeSettings(), folder)
    return folder


def test_the_files_are_those_of_any_method(run):
    folder = join(run)
    model = read_model(folder / "predictions.csv", run.proteins, run.assignments.set_index("id"))
    description = read_json(folder / "model.json")
    assert set(model.decided_by) <= {"halo", "homology"}
    tested = model.of_part("test")
    asked = description["band"]["asked"]["test"]
    assert (tested.decided_by == "homology").mean() == pytest.approx(asked)
    assert [member["method"] for member in description["members"]] == ["halo", "homology"]


def test_a_network_of_another_seed_is_refused(run):
    """A baseline has one seed, and is joined with a network of any."""
    with pytest.raises(HaloError, match=r"fold 0, seed 1, but .* fold 0, seed 2"):
        join(run, seed=2)
    join(run, members=("majority", "homology"), seed=2)


def test_a_method_of_another_fold_is_refused(run, monkeypatch):
    def of_fold_1(*of):
        model = read_model(*of)
        return replace(model, key=replace(model.key, fold="1"))

    monkeypatch.setattr("halo.cascade.stage.read_model", of_fold_1)
    with pytest.raises(HaloError, match=r"fold 1, seed 1, but .* fold 0"):
        join(run)


@pytest.mark.parametrize("lacking", ["halo", "homology"])
@pytest.mark.parametrize("part", ["val", "cal", "test"])
def test_members_without_the_same_proteins_are_refused(run, monkeypatch, lacking, part):
    """Rows of different proteins would have been averaged."""

    def without_one(path, *of):
        model = read_model(path, *of)
        if model.method != lacking:
            return model
        return model.restricted(np.delete(np.arange(len(model.rows)), _last(model, part)))

    monkeypatch.setattr("halo.cascade.stage.read_model", without_one)
    with pytest.raises(HaloError, match=rf"{lacking}.*no prediction of \w+"):
        join(run, "average")


def _last(model, part):
    return np.flatnonzero(model.parts == part)[-1]


def test_the_average_is_of_both(run):
    folder = join(run, "average")
    table = pd.read_csv(folder / "predictions.csv")
    assert set(table["decided_by"]) == {"halo;homology"}


def test_it_is_evaluated_with_the_deciding_method(run):
    joined = [join(run, fold=fold) / "predictions.csv" for fold in ("0", "1", "2")]
    halo = [path for path in run.models if path.parts[-3:-1] == ("1", "halo")]
    assignments = run.assignments.set_index("id")
    settings = EvaluationSettings(resamples=100)
    metrics, table = evaluate(run.proteins, assignments, [*halo, *joined], {}, settings)
    found = metrics["methods"]["cascade_of_halo_homology"]
    assert found["conformal"]["nominal"] == 0.9
    assert 0.8 < found["conformal"]["observed"] <= 1
    assert 0 <= found["asked"] <= 1
    assert metrics["methods"]["halo"]["conformal"] == {}
    by = table[table["method"] == "cascade_of_halo_homology"]["decided_by"]
    assert (by == "homology").mean() == pytest.approx(found["asked"], abs=0.05)


def test_what_joining_changes_is_counted(run):
    """Against the tables of the same evaluation, read by hand."""
    joined = [join(run, fold=fold) / "predictions.csv" for fold in ("0", "1", "2")]
    halo = [path for path in run.models if path.parts[-3:-1] == ("1", "halo")]
    settings = EvaluationSettings(resamples=100)
    paths = [*halo, *joined]
    metrics, table = evaluate(run.proteins, run.assignments.set_index("id"), paths, {}, settings)
    assert metrics["methods"]["halo"]["joining"] == {}
    found = metrics["methods"]["cascade_of_halo_homology"]["joining"]
    assert (found["first"], found["second"]) == ("halo", "homology")

    def right(method: str) -> pd.DataFrame:
        rows = table[table["method"] == method].set_index("id")
        given, true = (rows[name].str.get_dummies(";") for name in ("decisions", "labels"))
        names = list(run.proteins.label_names)
        given, true = (part.reindex(columns=names, fill_value=0) for part in (given, true))
        return given == true

    before, after = right("halo"), right("cascade_of_halo_homology")
    assert found["labels_corrected"] == (~before & after).to_numpy().sum()
    assert found["labels_broken"] == (before & ~after).to_numpy().sum()
    whole = before.all(axis=1), after.all(axis=1)
    assert found["proteins_corrected"] == (~whole[0] & whole[1]).sum()
    assert found["proteins_broken"] == (whole[0] & ~whole[1]).sum()
    assert found["labels_corrected"] + found["labels_broken"] > 0


def test_test_labels_have_no_influence(run):
    before = (join(run) / "predictions.csv").read_bytes()
    labels = run.proteins.labels.copy()
    test = (run.assignments["part_0"] == "test").to_numpy()
    labels[test] = 1 - labels[test]
    changed = type(run.proteins)(
        run.proteins.table, run.proteins.label_names, labels, run.proteins.task
    )
    assert (join(run, proteins=changed) / "predictions.csv").read_bytes() == before


def test_calibration_does_not_need_the_test(run):
    """The sets have the stated coverage where they were fitted."""
    folder = join(run)
    model = read_model(folder / "predictions.csv", run.proteins, run.assignments.set_index("id"))
    cal = model.of_part("cal")
    sets = label_sets(cal.probabilities, read_json(folder / "model.json")["conformal"]["cut"])
    truth = run.proteins.labels[cal.rows]
    assert label_coverage(sets, truth) >= 0.9
    assert np.isfinite(cal.probabilities).all()
