"""Proteins with one sequence: none gets the structure of another one without a word."""

import gzip
from dataclasses import replace
from pathlib import Path

import gemmi
import pandas as pd
import pytest

from halo.predict.run import predict
from halo.predict.same_sequence import by_structure, is_of_another
from halo.proteins.members import Member
from halo.structures.layout import Note
from predict_bundle import DEMO, OFFLINE, write_fasta


@pytest.fixture(scope="module")
def sequence() -> str:
    table = pd.read_csv(DEMO / "proteins.csv", dtype=str, keep_default_na=False)
    return table.set_index("accession")["sequence"]["Z9DEM0X001"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two structures of one sequence, one of which has another pLDDT and is stretched."""
    made = tmp_path_factory.mktemp("structures")
    [file] = (DEMO / "afdb").glob("AF-Z9DEM0X001-F1-model_*.cif.gz")
    text = gzip.decompress(file.read_bytes()).decode()
    (made / "one.cif").write_text(text)
    lines = [line.split(" ") for line in text.split("\n")]
    other = [
        [*f[:10], f"{3 * float(f[10]):.3f}", *f[11:14], "12.5", *f[15:]] if f[0] == "ATOM" else f
        for f in lines
    ]
    (made / "two.cif").write_text("\n".join(map(" ".join, other)))
    return made


def found(bundle, names, sequence, folder, out, **change) -> pd.DataFrame:
    """The table of the predictions of one sequence by several names."""
    fasta = write_fasta(out.with_suffix(".fasta"), dict.fromkeys(names, sequence))
    settings = replace(OFFLINE, structures=folder, page=len(names), **change)
    table = pd.read_csv(predict(fasta, bundle, out, settings), keep_default_na=False)
    return table.set_index("id")


def same(one: pd.Series, two: pd.Series) -> bool:
    names = [name for name in one.index if name.startswith(("p:", "weight_"))]
    return (one[names] - two[names]).abs().max() < 1e-5


def test_each_has_its_own_alone_in_a_batch_and_with_a_store(
    small_bundle, sequence, folder, tmp_path
):
    names = ["one", "two", "third", "fourth"]
    store = tmp_path / "store"
    together = found(small_bundle, names, sequence, folder, tmp_path / "all", store=store)
    expected = {"one": "one", "two": "two", "third": "", "fourth": ""}
    assert together["structure_name"].to_dict() == expected
    assert list(together.index) == names
    assert not same(together.loc["one"], together.loc["two"])
    assert not same(together.loc["one"], together.loc["third"])
    assert same(together.loc["third"], together.loc["fourth"])
    for name in ("two", "third", "one"):
        alone = found(small_bundle, [name], sequence, folder, tmp_path / f"{name}_", store=store)
        assert alone.loc[name, "structure_name"] == expected[name]
        assert same(alone.loc[name], together.loc[name])


def test_each_structure_has_a_file_of_its_own(small_bundle, sequence, folder, tmp_path):
    """Without an accession, both files had the name of the sequence, and the last one stayed."""
    names = ["one", "two", "third"]
    found(small_bundle, names, sequence, folder, tmp_path / "out")
    index = pd.read_csv(tmp_path / "out/structures/index.csv").set_index("id")["file"]
    assert list(index.index) == ["one", "two"]
    first, second = (
        gemmi.read_structure(str(tmp_path / "out/structures" / index[name]))[0]["A"]
        for name in ("one", "two")
    )
    assert [a["CA"][0].pos.x for a in second] == pytest.approx(
        [3 * a["CA"][0].pos.x for a in first], abs=0.01
    )


def test_without_a_search_a_structure_of_another_name_is_remarked(
    small_bundle, sequence, folder, tmp_path
):
    store = tmp_path / "store"
    found(small_bundle, ["one"], sequence, folder, tmp_path / "a", store=store)
    later = found(
        small_bundle, ["third"], sequence, folder, tmp_path / "b", store=store, stage="predict"
    )
    assert later.loc["third", "structure_message"] == "of one, which has the same sequence"
    assert later.loc["third", "structure_name"] == "one"


def test_proteins_that_can_only_find_the_same_stay_together(folder):
    def parts(rows, **change):
        table = pd.DataFrame(rows, columns=["id", "accession", "seq_hash"])
        settings = replace(OFFLINE, structures=folder, **change)
        return [list(part["id"]) for part in by_structure(table, settings)]

    alike = [("a", "", "s"), ("b", "", "s"), ("c", "", "t")]
    assert parts(alike) == [["a", "b", "c"]]
    assert parts([*alike, ("one", "", "s"), ("two", "", "t")]) == [["a", "b", "c"], ["one", "two"]]
    accessions = [("a", "P12345", "s"), ("b", "P12345", "s"), ("c", "Q9XYZ0", "s")]
    assert parts(accessions) == [["a", "b", "c"]]
    assert parts(accessions, download=True) == [["a", "b"], ["c"]]


def test_a_structure_is_of_another_by_its_name():
    member = Member("s", ("P12345-2", "mine"), "MK")
    for name in ("P12345", "P12345-2", "mine", ""):
        assert not is_of_another(Note("ok", accession=name), member)
    assert is_of_another(Note("ok", accession="other"), member)
    assert not is_of_another(Note("missing", accession="other"), member)
