"""Parts of the proteins in one fold, by a small table."""

import numpy as np
import pytest

from halo.errors import HaloError
from halo.fold_parts import FoldParts, read_assignments, read_parts

TABLE = """id,group,fold,part_0,part_1
01,g,0,train,test
NA,g,0,val,removed
c,h,1,test,train
d,h,1,cal,train
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "assignments.csv"
    path.write_text(TABLE)
    return path


def test_the_table_is_text_by_id(file):
    table = read_assignments(file)
    assert table.index.tolist() == ["01", "NA", "c", "d"]
    assert table["fold"].tolist() == ["0", "0", "1", "1"]


def test_parts_are_in_the_order_of_the_proteins(file):
    parts = read_parts(file, "0", ["d", "c", "unknown", "NA", "01"])
    assert parts.fold == "0"
    assert parts.part.tolist()[:2] == ["cal", "test"]
    assert parts.part[2] != parts.part[2], "a protein that is not in the split has no part"
    assert parts.rows("train").tolist() == [4]
    assert parts.rows("test", "val").tolist() == [1, 3], "part by part"
    assert parts.held_out.tolist() == [3, 0, 1], "val, cal, test"
    assert parts.is_in("train", "cal").tolist() == [True, False, False, False, True]
    assert parts.counts == {"train": 1, "val": 1, "cal": 1, "test": 1}


def test_removed_proteins_are_in_no_part_that_is_used(file):
    parts = read_parts(file, "1", ["01", "NA", "c", "d"])
    assert parts.counts == {"train": 2, "val": 0, "cal": 0, "test": 1}
    assert 1 not in np.concatenate([parts.rows("train"), parts.held_out])


def test_a_fold_that_is_not_there_and_an_empty_part_are_errors(file):
    with pytest.raises(HaloError, match="no fold '2', it has 0, 1; repeat the split"):
        read_parts(file, "2", ["c"])
    FoldParts("1", np.array(["train", "test"], dtype=object)).require("train", "test")
    with pytest.raises(HaloError, match="fold 1 has no protein in 'val'"):
        read_parts(file, "1", ["01", "c"]).require("train", "val")
