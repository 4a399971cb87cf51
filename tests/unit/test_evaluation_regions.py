"""Metrics of predicted regions, against known answers and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef

from halo.evaluation.regions import Pair, counts_of, evaluate_regions, metrics_of
from halo.evaluation.settings import EvaluationSettings
from halo.files import write_table
from halo.model_description import RegionKinds, described, write_description
from halo.model_key import ModelKey
from halo.proteins.table import Proteins
from halo.regions.table import Region, Regions, region_rows

SP = Region(1, 20, "SP")
PAIRS = [
    Pair([SP], [Region(1, 20, "SP")]),  # exact
    Pair([SP], [Region(2, 23, "SP")]),  # near
    Pair([SP], [Region(1, 24, "SP")]),  # found, but with another end
    Pair([SP], []),  # missed
    Pair([], [Region(1, 20, "SP")]),  # wrong
    Pair([Region(1, 35, "mTP")], [Region(1, 35, "mTP")]),
    *[Pair([], [])] * 4,
]


def metrics(pairs, kind):
    return metrics_of(np.array([counts_of(pair, kind) for pair in pairs]).sum(axis=0))


def test_metrics_have_known_values():
    found = metrics(PAIRS, "SP")
    true, predicted = [1] * 4 + [0] * 6, [1] * 3 + [0, 1] + [0] * 5
    assert found["mcc"] == pytest.approx(matthews_corrcoef(true, predicted))
    assert found["precision"] == found["recall"] == found["f1"] == 0.75
    assert found["end_exact"] == 0.25
    assert found["end_near"] == 0.5
    assert found["end_precision"] == 0.25
    assert metrics(PAIRS, "mTP")["mcc"] == 1
    assert np.isnan(metrics(PAIRS, "cTP")["recall"])


@pytest.fixture
def run(tmp_path):
    """Ten proteins in two folds, a method with two seeds, and one without regions."""
    ids = [f"p{number}" for number in range(11)]
    table = pd.DataFrame(
        {
            "id": ids, "accession": "", "sequence": "M" * 40, "seq_hash": ids, "length": 40,
            "split": "",
        }
    )  # fmt: skip
    proteins = Proteins(table, ("A",), np.zeros((11, 1), np.uint8), "multilabel")
    fold = np.array(["0", "1"] * 5 + ["0"])
    assignments = pd.DataFrame(
        {
            "group": ids,
            **{f"part_{f}": np.where(fold == f, "test", "train") for f in ("0", "1")},
        },
        index=pd.Index(ids, name="id"),
    )
    of_protein = {
        name: pair.true and (*pair.true, Region(pair.true[0].end + 1, 40, ""))
        for name, pair in zip(ids, PAIRS, strict=False)
    }
    of_protein = {n: tuple(r) or (Region(1, 40, ""),) for n, r in of_protein.items()}
    of_protein["p9"] = (Region(1, 5, ""),)  # the rest of it is unknown
    kinds = RegionKinds(kinds=["SP", "mTP"], first=[0] * 3, next=[[0] * 3] * 3)
    paths = []
    for f in ("0", "1"):
        for method, seed in (("halo", 1), ("halo", 2), ("plain", 1)):
            folder = tmp_path / f"kfold/{f}/{seed}/{method}"
            folder.mkdir(parents=True)
            found = {ids[n]: PAIRS[n].predicted if seed == 1 else [] for n in range(10)}
            found["p9"] = [Region(20, 30, "SP")]
            rows = [(n, r) for n, r in found.items() if fold[int(n[1:])] == f]
            write_table(folder / "regions.csv", region_rows(rows).assign(confidence=0.9))
            of_method = {"regions": kinds} if method == "halo" else {}
            write_description(
                folder,
                described(
                    "network", ModelKey("kfold", f, seed, method), task="multilabel", labels=["A"],
                    thresholds={"A": 0.5}, proteins={}, **of_method,
                ),
            )  # fmt: skip
            paths.append(folder / "predictions.csv")
    return proteins, assignments, Regions(("SP", "mTP"), of_protein), paths


def test_folds_are_joined_and_seeds_averaged(run):
    strata = {"kingdom": {"x": np.arange(11) < 5, "y": np.arange(11) >= 5}}
    found = evaluate_regions(*run, strata, EvaluationSettings(resamples=50))
    assert set(found["methods"]) == {"halo"}  # the other one predicts none
    halo = found["methods"]["halo"]
    sp = halo["kinds"]["SP"]
    assert (sp["proteins"], sp["with"]) == (10, 4)  # p10 is not annotated
    assert sp["recall"]["value"] == pytest.approx(0.75 / 2)  # the second seed finds none
    assert 0 <= sp["recall"]["low"] <= sp["recall"]["value"] <= sp["recall"]["high"] <= 1
    assert halo["kinds"]["mTP"]["recall"]["value"] == 0.5
    assert halo["strata"]["kingdom"]["y"]["SP"]["with"] == 0
    # What is predicted for unknown residues is neither right nor wrong.
    assert metrics_of(np.array(counts_of(Pair([], []), "SP"), float))["precision"] != 1
    assert halo["strata"]["kingdom"]["y"]["SP"]["precision"]["value"] is None


def test_predicted_regions_of_annotated_residues_count(run):
    proteins, assignments, regions, paths = run
    whole = Regions(regions.kinds, regions.of_protein | {"p9": (Region(1, 40, ""),)})
    one_seed = [path for path in paths if path.parent.parent.name == "1"]

    def precision(regions):
        settings = EvaluationSettings(resamples=10)
        found = evaluate_regions(proteins, assignments, regions, one_seed, {}, settings)
        return found["methods"]["halo"]["kinds"]["SP"]["precision"]["value"]

    assert precision(regions) == 3 / 4
    assert precision(whole) == 3 / 5  # the region of p9 is wrong now


def test_no_annotated_protein_in_the_test(run):
    """It ended in a traceback, after all trainings."""
    proteins, assignments, regions, paths = run
    none = Regions(regions.kinds, {})
    strata = {"kingdom": {"x": np.arange(11) < 5, "y": np.arange(11) >= 5}}
    settings = EvaluationSettings(resamples=100)
    found = evaluate_regions(proteins, assignments, none, paths, strata, settings)
    assert found["methods"] == {"halo": {"kinds": {}, "strata": {}}}
