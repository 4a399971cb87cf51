import numpy as np
import pytest

from halo.errors import HaloError
from halo.split.published import published_assignments


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
