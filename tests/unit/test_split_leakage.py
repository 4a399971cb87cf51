"""Numbers of ``leakage.json`` for an assignment that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from halo.split.audit import Auditor, Findings
from halo.split.leakage import label_deviation, leak_message, leakage_report
from halo.split.settings import AuditSettings, Rule, SplitSettings
from made_proteins import protein_table, random_sequence

PARTS_0 = ["test", "test", "train", "train", "val", "cal", "removed", "removed"]
PARTS_1 = ["train", "val", "test", "train", "test", "train", "removed", "test"]
COUNTS_0 = {"train": 2, "val": 1, "cal": 1, "test": 2, "removed": 2}
COUNTS_1 = {"train": 3, "val": 1, "cal": 0, "test": 3, "removed": 1}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    rng = np.random.default_rng(1)
    ids = [f"p{number}" for number in range(8)]
    sequences = [random_sequence(rng, 120) for _ in ids[:-1]] + ["MKVL"]
    table = protein_table(sequences, ids)
    assignments = pd.DataFrame(
        {
            "id": ids,
            "group": ["p0", "p0", "p2", "p3", "p4", "p5", "p6", "p7"],
            "fold": ["0", "0", "1", "", "1", "", "", "1"],
            "part_0": PARTS_0,
            "part_1": PARTS_1,
        }
    )
    labels = pd.DataFrame({"A": [1, 1, 1, 0, 0, 1, 1, 0]}, index=ids)
    auditor = Auditor(table, Rule(), AuditSettings(), 1, tmp_path_factory.mktemp("audit"))
    found = auditor.examine(assignments)
    return leakage_report(assignments, labels, found, auditor, [0], 0, SplitSettings())


def test_proteins_of_each_part_are_counted(report):
    assert report["sizes"] == {"0": COUNTS_0, "1": COUNTS_1}
    assert report["label_counts"]["A"] == {
        "0": {"train": 1, "val": 0, "cal": 1, "test": 2, "removed": 1},
        "1": {"train": 2, "val": 1, "cal": 0, "test": 1, "removed": 1},
    }
    assert (report["n_removed"], report["n_removed_from_a_fold"]) == (1, 2)
    assert (report["n_groups"], report["largest_group"], report["n_proteins"]) == (7, 2, 8)
    assert report["n_too_short"] == 1
    assert report["label_deviation"] == {"A": 0.3333}  # 2 and 1 in the tests of two folds
    assert report["audited_by"]["all_pairs"]
    assert report["audited_by"]["sample"] is None


@pytest.mark.parametrize(("count", "last"), [(50, "p49"), (51, "and 1 more")])
def test_the_message_lists_fifty_pairs(count, last):
    names = [f"p{number}" for number in range(count)]
    leaks = pd.DataFrame({"id_a": names, "id_b": "q", "folds": "0 1"})
    leaks = leaks.assign(identity=0.5, coverage=0.9, evalue=1e-9)
    found = Findings(leaks, pd.DataFrame(), count, 0, 2, 1, 0)
    lines = leak_message(found, "Do this.").splitlines()
    assert f"finds {count} pairs" in lines[0]
    assert "identity 0.500, coverage 0.90, E 1.0e-09, apart in fold 0, 1" in lines[1]
    assert last in lines[-3]
    assert lines[-2].startswith("2 sequences and 1 families")
    assert "p50" not in "".join(lines)


@pytest.mark.parametrize(
    ("counts", "deviation"),
    [
        ((6, 4, 5), 0.2),
        ((5, 5, 5), 0),
        ((2, 0, 0), 1.3333),
        ((1, 0, 0), 0.6667),
        ((1, 1, 0), 0.6667),
    ],
)
def test_a_deviation_is_of_the_share_but_of_one_protein_at_least(counts, deviation):
    """A label of which a fold's share is below one protein cannot be shared out better."""
    folds = np.repeat(["0", "1", "2"], 10)
    labels = np.concatenate([np.arange(10) < count for count in counts]).astype(int)
    ids = [f"p{number}" for number in range(30)]
    assignments = pd.DataFrame({"id": ids, "fold": folds})
    table = pd.DataFrame({"A": labels}, index=ids)
    assert label_deviation(assignments, table) == {"A": deviation}
    untested = pd.DataFrame({"id": ["x"], "fold": [""]})
    more = pd.concat([table, pd.DataFrame({"A": [1]}, index=["x"])])
    assert label_deviation(pd.concat([assignments, untested]), more) == {"A": deviation}
    assert label_deviation(assignments[folds == "0"], table) is None
