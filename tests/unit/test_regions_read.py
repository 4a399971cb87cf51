"""Regions of users: read and assigned to proteins, or refused with the line and the fix."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.proteins.settings import RegionsSettings
from halo.regions.read import read_user_regions
from halo.regions.table import UNKNOWN, Region, Regions, read_regions, runs_of, write_regions

SEQUENCES = {"a": "M" + "ACDE" * 10, "b": "M" + "K" * 29, "sp|P12345|X_Y": "M" * 20, "q": "MKV"}
PROTEINS = pd.DataFrame(
    {
        "id": list(SEQUENCES),
        "accession": ["", "Q99999", "P12345", ""],
        "sequence": list(SEQUENCES.values()),
    }
)


def read(tmp_path, text: str, **change) -> Regions:
    path = tmp_path / "regions.csv"
    path.write_text(text)
    return read_user_regions(path, RegionsSettings(str(path), **change), PROTEINS)


def test_rows_become_regions_and_the_rest_is_outside(tmp_path):
    found = read(tmp_path, "id,start,end,kind\na,1,5,SP\na,20,41,TM\nb,1,3,SP\n")
    assert found.kinds == ("SP", "TM")
    assert found.of_protein["a"] == (
        Region(1, 5, "SP"), Region(6, 19, ""), Region(20, 41, "TM"),
    )  # fmt: skip
    assert found.targets("a", 41).tolist() == [1] * 5 + [0] * 14 + [2] * 22
    assert found.targets("q", 3).tolist() == [UNKNOWN] * 3  # not in the table
    assert found.named("b") == (Region(1, 3, "SP"),)


def test_the_rest_is_unknown_if_the_user_says_so(tmp_path):
    found = read(tmp_path, "id,start,end,kind\na,2,5,SP\n", outside="unknown")
    assert found.of_protein["a"] == (Region(2, 5, "SP"),)
    assert found.targets("a", 41).tolist() == [UNKNOWN] + [1] * 4 + [UNKNOWN] * 36


def test_a_protein_without_regions_is_stated_by_a_kind(tmp_path):
    text = "id\tstart\tend\tkind\na\t\t\tnoTP\nb\t1\t4\tSP\nb\t5\t9\t?\n"
    found = read(tmp_path, text, none=("noTP",), unknown=("?",))
    assert found.kinds == ("SP",)
    assert found.of_protein["a"] == (Region(1, 41, ""),)
    assert found.of_protein["b"] == (Region(1, 4, "SP"), Region(10, 30, ""))


def test_proteins_are_found_by_id_accession_and_form(tmp_path):
    text = "id,start,end,kind\nQ99999,1,2,SP\nP12345,1,3,SP\nnot_here,1,9999,SP\n"
    found = read(tmp_path, text)
    assert set(found.of_protein) == {"b", "sp|P12345|X_Y"}


def test_other_columns_and_kinds(tmp_path):
    text = "protein,from,to,what\na,1,5,SP\n"
    columns = {"id": "protein", "start": "from", "end": "to", "kind": "what"}
    assert read(tmp_path, text, **columns, kinds=("TM", "SP")).kinds == ("TM", "SP")


def test_the_same_region_twice_is_no_fault(tmp_path):
    text = "id,start,end,kind\na,1,5,SP\na,1,5,SP\n"
    assert read(tmp_path, text).named("a") == (Region(1, 5, "SP"),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,0,5,SP", r"line 3: .* starts at residue 0, but residues are counted from 1; .* add 1"),
        ("a,-2,5,SP", r"starts at residue -2, but residues are counted from 1"),
        ("a,9,5,SP", r"line 3: the region of a ends at residue 5, before its start, 9"),
        ("a,9,42,SP", r"line 3: .* ends at residue 42, but the protein a has 41; .* isoform"),
        ("a,one,42,SP", r"line 3: the start of the region of a is 'one', not a whole number"),
        ("a,1.5,4,SP", r"the start of the region of a is '1.5', not a whole number"),
        ("a,1,,SP", r"the end of the region of a is '', not a whole number; .*none"),
        ("a,--5,4,SP", r"line 3: the start of the region of a is '--5', not a whole number"),
        ("a,1,²,SP", r"line 3: the end of the region of a is '²', not a whole number"),
        ("a,1,0_4,SP", r"line 3: the end of the region of a is '0_4', not a whole number"),
        (f"a,1,{'9' * 5000},SP", r"line 3: the end of the region of a is '9{40}', not a whole"),
        ("a,1,4,SPP", r"line 3: 'SPP' is none of the kinds SP, TM, did you mean 'SP'\?"),
        ("a,1,4,", r"line 3: there is no kind of region"),
        ("b,2,9,TM", r"line 3: the region of b from 2 to 9 overlaps that of line 2"),
        ("b,2,9,SP", r"line 3: the region of b from 2 to 9 overlaps that of line 2"),
        ("Q99999,3,9,SP", r"line 3: the region of Q99999 from 3 to 9 overlaps that of line 2"),
    ],
)
def test_wrong_rows_are_refused(tmp_path, row, message):
    text = f"id,start,end,kind\nb,1,3,SP\n{row}\n"
    with pytest.raises(HaloError, match=message) as caught:
        read(tmp_path, text, kinds=("SP", "TM"))
    assert str(tmp_path / "regions.csv") in str(caught.value)


def test_many_faults_are_counted(tmp_path):
    rows = "".join(f"a,{100 + n},{110 + n},SP\n" for n in range(8))
    with pytest.raises(HaloError, match=r"line 2: .*line 6: .*\(and 3 more\)"):
        read(tmp_path, "id,start,end,kind\n" + rows)


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        ("id,start,end\na,1,5\n", {}, r"no column 'kind'.*dataset\.regions\.kind"),
        ("id,start,end,kind\nz,1,5,SP\n", {}, r"none of its 1 ids, such as 'z', is the id"),
        ("id,start,end,kind\na,,,x\n", {"none": ("x",)}, r"has no kind of region other than"),
        (">a\nMACDE\nSSS\n", {}, r"line 1: a does not have a line of letters, one for each"),
        (">a\nMACDE\n", {}, r"line 1: a does not have a line of letters"),
        (">a\nMACDE\nSSSSS\nSS\n", {}, r"line 1: a does not have a line of letters"),
        (">a\nMACCE\nSSOOO\n", {}, r"not the beginning of that of a .* differ at residue 4"),
        (">b\nMKK\nSOO\n>Q99999\nMKK\nSSO\n", {}, r"line 4: b is there before, with other letters"),
        (">b\nMKK\nSXO\n", {"kinds": ("S",), "none": ("O",)}, r"line 1: 'X' is none of the kinds"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused(tmp_path, text, change, message):
    with pytest.raises(HaloError, match=message):
        read(tmp_path, text, **change)


def test_letters_of_a_fasta_are_regions_as_far_as_they_go(tmp_path):
    text = ">a|EUKARYA|SP|0\nMACDEACD\nSSSSOOI?\n>b|EUKARYA|NO_SP|1\nMKKK\nIIII\n"
    letters = {"S": "signal peptide"}
    found = read(tmp_path, text, letters=letters, none=("O", "I"), unknown=("?",))
    assert found.kinds == ("signal peptide",)
    assert found.targets("a", 41).tolist() == [1] * 4 + [0] * 3 + [UNKNOWN] * 34
    assert found.targets("b", 30).tolist() == [0] * 4 + [UNKNOWN] * 26


def test_letters_before_a_header_without_a_line_end_are_refused(tmp_path):
    text = ">q\nMKV\nSSO>b\nMKK\nSSO\n"
    with pytest.raises(HaloError, match=r"regions\.csv: line 3: a line end is missing before '>b'"):
        read(tmp_path, text)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(-1, 2), max_size=12)))
def test_a_written_table_is_read_as_it_was(targets):
    kinds = ("SP", "TM, long")
    names = ("", *kinds)
    arrays = {name: np.array(values, dtype=np.int8) for name, values in targets.items()}
    regions = Regions(kinds, {n: runs_of(a, names) for n, a in arrays.items() if (a >= 0).any()})
    with TemporaryDirectory() as folder:
        file = Path(folder) / "regions.csv"
        write_regions(file, regions)
        again = read_regions(file)
    assert again == regions
    for name, array in arrays.items():
        assert again.targets(name, len(array)).tolist() == array.tolist()
