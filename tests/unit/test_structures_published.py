"""Structure files that other projects publish as test data, compared with Bio.PDB.

They are not part of this repository: `HALO_STRUCTURES` names a folder of them, such as one of
checkouts of gemmi, biotite and Biopython.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from read_published import VARIABLE, compare, published

FOLDER = os.environ.get(VARIABLE, "")


@pytest.mark.skipif(not FOLDER, reason=f"{VARIABLE} names no folder of published structures")
def test_published_files_are_read_as_biopython_reads_them():
    found = {path.name: compare(path) for path in published(Path(FOLDER))}
    assert len(found) > 100
    wrong = {name: said for name, (word, said) in found.items() if word in ("different", "refused")}
    assert wrong == {}
