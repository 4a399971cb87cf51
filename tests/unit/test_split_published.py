import numpy as np
import pandas as pd
import pytest

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.split.audit import Auditor
from halo.split.published import audit_published, published_assignments, write_markdown
from halo.split.settings import AuditSettings, Rule


def parts(*values):
    ids = np.array([f"p{number}" for number in range(len(values))], dtype=object)
    table = published_assignments(ids, np.array(values, dtype=object))
    return {column: table[column].tolist() for column in table.columns[1:]}


def test_partitions_are_each_tested_against_the_others():
    assert parts("1", "2", "2", "") == {
        "part_1": ["test", "train", "train", "removed"],
        "part_2": ["train", "test", "test", "removed"],
    }


def test_names_of_parts_are_one_fold():
    assert parts("train", "dev", "test", "") == {"part_test": ["train", "val", "test", "removed"]}


@pytest.mark.parametrize("name", ["test", "hpa"])
def test_a_test_set_is_held_against_all_else(name):
    assert list(parts(name, "", "").values()) == [["test", "train", "train"]]


def test_without_partitions_there_is_nothing_to_audit():
    with pytest.raises(HaloError, match=r"dataset\.split"):
        parts("", "")


def table_of(sequences):
    return pd.DataFrame(
        {
            "id": [f"p{number}" for number in range(len(sequences))],
            "accession": "",
            "sequence": sequences,
            "seq_hash": [sha256_of_text(text) for text in sequences],
        }
    )


def test_partitions_without_a_test_are_audited_too(tmp_path):
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    one, other = ("".join(np.random.default_rng(seed).choice(letters, 90)) for seed in (1, 2))
    table = table_of([one, one + "W", other])
    given = np.array(["train", "val", "train"], dtype=object)
    assignments = published_assignments(table["id"].to_numpy(dtype=object), given)
    auditor = Auditor(table, Rule(), AuditSettings(), 1, tmp_path)
    found = audit_published(auditor, assignments)
    assert found[["tested", "leaking", "pairs"]].to_numpy().tolist() == [[0, 0, 1]]
    write_markdown(tmp_path / "published.md", found, "made up", auditor.miss_rate(0))
    assert "| test | 0 | 0 | 1 | 0 | 0 | 1.00 |" in (tmp_path / "published.md").read_text()
