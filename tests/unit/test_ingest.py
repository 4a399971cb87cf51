"""Ingest: every record is used or rejected with a reason; faults of a file name the fix."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.proteins.ingest import DatasetSettings, ingest, rejected_table
from halo.proteins.members import members_of, read_members, write_members
from halo.proteins.settings import Labels
from halo.proteins.table import read_proteins, write_proteins
from halo.store import BUCKETS, bucket_of
from halo.tables.readers import LINE, read_records

SETTINGS = DatasetSettings(labels=Labels(columns=["Nucleus", "Golgi"]))
HEADER = "id,sequence,Nucleus,Golgi\n"


def table(tmp_path: Path, body: str, header: str = HEADER, name: str = "in.csv") -> Path:
    path = tmp_path / name
    path.write_text(header + body, encoding="utf-8")
    return path


def reasons(rejected) -> dict[str, str]:
    return {record.id: record.reason for record in rejected}


def test_records_are_used_or_rejected_with_a_reason(tmp_path):
    path = table(
        tmp_path,
        "good,MKV,1,0\n"
        "good,MKL,1,0\n"  # duplicated id
        ",MKI,1,0\n"  # no id
        "empty,,1,0\n"
        "digits,MK1V,1,0\n"
        "star,MK*V,0,1\n"
        "lower,mkvw*,0,1\n"
        "label,MKVL,2,0\n"
        "blank,MKVI,,0\n"
        "nothing,MKVF,,\n"
        "zero,MKVA,0.0,0\n",
    )
    proteins, rejected = ingest(path, None, SETTINGS)
    assert proteins.ids.tolist() == ["blank", "good", "lower", "zero"]
    assert proteins.table["sequence"].tolist() == ["MKVI", "MKV", "MKVW", "MKVA"]
    assert proteins.labels.tolist() == [[0, 0], [1, 0], [0, 1], [0, 0]]
    assert proteins.known.tolist() == [[False, True], [True, True], [True, True], [True, True]]
    found = rejected_table(rejected)
    assert found["line"].tolist() == [3, 4, 5, 6, 7, 9, 11]
    assert set(found["file"]) == {str(path)}
    assert found["reason"].tolist() == [
        "duplicated id",
        "no id",
        "empty sequence",
        "illegal residue letters",
        "illegal residue letters",
        "label not 0 or 1",
        "no label",
    ]
    assert found["detail"][3] == "1, first at residue 3"
    assert "line 2" in found["detail"][0]


def test_the_order_of_the_input_does_not_matter(tmp_path):
    rows = [f"p{i},{'MKVLAW'[: 1 + i % 6]},{i % 2},1\n" for i in range(12)]
    one, _ = ingest(table(tmp_path, "".join(rows)), None, SETTINGS)
    two, _ = ingest(table(tmp_path, "".join(rows[::-1])), None, SETTINGS)
    pd.testing.assert_frame_equal(one.table, two.table)
    np.testing.assert_array_equal(one.labels, two.labels)


def test_duplicates_are_merged_by_union_or_kept(tmp_path):
    path = table(tmp_path, "b,MKV,1,0\na,MKV,0,1\nc,MKVL,1,0\n")
    merged, rejected = ingest(path, None, SETTINGS)
    assert merged.ids.tolist() == ["a", "c"]
    assert merged.labels.tolist() == [[1, 1], [1, 0]]
    assert reasons(rejected) == {"b": "duplicated sequence"}
    assert rejected[0].detail == "merged into a; the labels differed in Nucleus, Golgi"
    kept, rejected = ingest(path, None, DatasetSettings(labels=SETTINGS.labels, duplicates="keep"))
    assert kept.ids.tolist() == ["a", "b", "c"]
    assert not rejected
    assert kept.labels.tolist() == [[0, 1], [1, 0], [1, 0]]


def test_a_sample_does_not_depend_on_the_order_and_hardly_on_what_is_added(tmp_path):
    rows = [f"p{i},{'M' * (i + 1)},1,0\n" for i in range(30)]
    settings = replace(SETTINGS, sample=12)
    proteins, rejected = ingest(table(tmp_path, "".join(rows)), None, settings)
    chosen = set(proteins.ids)
    assert len(chosen) == 12
    assert {record.reason for record in rejected} == {"not in the sample"}
    assert chosen | set(reasons(rejected)) == {f"p{i}" for i in range(30)}
    again, _ = ingest(table(tmp_path, "".join(rows[::-1])), None, settings)
    assert set(again.ids) == chosen
    grown, _ = ingest(table(tmp_path, "".join(rows) + "new,AAA,1,0\n"), None, settings)
    assert len(chosen & set(grown.ids)) >= 11
    everyone, _ = ingest(table(tmp_path, "".join(rows)), None, replace(SETTINGS, sample=99))
    assert len(everyone) == 30


@pytest.mark.parametrize(
    ("header", "body", "settings", "words"),
    [
        (HEADER, "", SETTINGS, "contains no record"),
        ("", "", SETTINGS, "without a header"),
        (HEADER, "a,MKV,1\n", SETTINGS, "line 2 has 3 fields, the header has 4"),
        (HEADER, "a,MKV,1,0,1\n", SETTINGS, "line 2 has 5 fields"),
        (HEADER, 'a,"MKV,1,0\n', SETTINGS, "quotation mark"),
        ("id,sequence,sequence\n", "a,MKV,1\n", SETTINGS, "more than once"),
        ("name,sequence,Nucleus,Golgi\n", "a,MKV,1,0\n", SETTINGS, "change dataset.id"),
        ("id,sequence,Nucleus\n", "a,MKV,1\n", SETTINGS, "no column 'Golgi'"),
        (HEADER, "a,MKV,yes,0\nb,MKL,no,1\n", SETTINGS, "not a column of 0 and 1"),
        (HEADER, "a,M1,1,0\n", SETTINGS, "none of 1 records can be used"),
        ("id,sequence\n", "a,MKV\n", DatasetSettings(), "no label column is left"),
        ("id,sequence,length\n", "a,MKV,1\n", DatasetSettings(), "rename"),
    ],
)
def test_faults_of_the_file_are_named(tmp_path, header, body, settings, words):
    path = table(tmp_path, body, header)
    with pytest.raises(HaloError, match=words) as error:
        ingest(path, None, settings)
    assert path.name in str(error.value)


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(HaloError, match="no such file"):
        ingest(tmp_path / "none.csv", None, SETTINGS)
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"id,sequence\n" * 100)[:-20])
    with pytest.raises(HaloError, match=r"cut\.csv\.gz: not a readable"):
        ingest(path, None, SETTINGS)
    path = tmp_path / "binary.csv"
    path.write_bytes(b"id,sequence\x00\x01\n")
    with pytest.raises(HaloError, match=r"binary\.csv: not a readable"):
        ingest(path, None, SETTINGS)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("zipped", [False, True])
def test_separators_gzip_and_line_ends(tmp_path, separator, zipped):
    text = (
        "\ufeff" + HEADER.replace(",", separator) + separator.join(["a", "MKV", "1", "0"]) + "\r\n"
    )
    path = tmp_path / "in.txt"
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    proteins, _ = ingest(path, None, SETTINGS)
    assert proteins.ids.tolist() == ["a"]


def fasta(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "in.fasta"
    path.write_text(text)
    return path


def test_fasta_with_a_long_table_of_labels(tmp_path):
    path = fasta(
        tmp_path,
        ">sp|P12345-2|ONE_HUMAN an isoform\nMKV\nLAW\n\n>two\n>three x\nMK VV\n>four\nMKVVV\n",
    )
    labels = table(
        tmp_path,
        "sp|P12345-2|ONE_HUMAN\tNucleus\nsp|P12345-2|ONE_HUMAN\tGolgi\nthree\tGolgi\nfive\tGolgi\n",
        "id\twhere\n",
        "labels.tsv",
    )
    settings = DatasetSettings(labels=Labels(table=str(labels), label="where"))
    proteins, rejected = ingest(path, labels, settings)
    assert proteins.label_names == ("Golgi", "Nucleus")
    assert proteins.ids.tolist() == ["sp|P12345-2|ONE_HUMAN", "three"]
    assert proteins.table["accession"].tolist() == ["P12345-2", ""]
    assert proteins.table["sequence"].tolist() == ["MKVLAW", "MKVV"]
    assert proteins.labels.tolist() == [[1, 1], [1, 0]]
    assert reasons(rejected) == {"two": "empty sequence", "four": "no label"}
    assert {record.id: record.line for record in rejected} == {"two": 5, "four": 8}


def test_fasta_with_a_wide_table_of_labels(tmp_path):
    path = fasta(tmp_path, ">a\nMKV\n>b\nMKL\n>c\nMKI\n")
    labels = table(tmp_path, "b,1,0\na,0,1\nc,x,1\n", "id,Nucleus,Golgi\n", "labels.csv")
    proteins, rejected = ingest(path, labels, DatasetSettings(labels=Labels(table=str(labels))))
    assert proteins.ids.tolist() == ["a", "b"]
    assert proteins.labels.tolist() == [[0, 1], [1, 0]]
    assert reasons(rejected) == {"c": "label not 0 or 1"}
    labels.write_text("id,Nucleus,Golgi\na,1,0\na,0,1\n")
    with pytest.raises(HaloError, match="line 3: id 'a' has a second row"):
        ingest(path, labels, DatasetSettings(labels=Labels(table=str(labels))))


@pytest.mark.parametrize("text", ["MKV\n>a\nMKV\n", "\n\nMKV\n"])
def test_malformed_fasta_is_an_error(tmp_path, text):
    with pytest.raises(HaloError, match=r"in\.fasta"):
        ingest(fasta(tmp_path, text), None, SETTINGS)


def test_single_label_needs_exactly_one(tmp_path):
    path = table(tmp_path, "a,MKV,1,0\nb,MKL,1,1\nc,MKI,0,0\n")
    settings = DatasetSettings(labels=SETTINGS.labels, task="singlelabel")
    proteins, rejected = ingest(path, None, settings)
    assert proteins.ids.tolist() == ["a"]
    assert reasons(rejected) == {"b": "not one label", "c": "not one label"}


@pytest.mark.parametrize("long", [False, True])
def test_proteins_are_read_as_they_were_written(tmp_path, long):
    path = table(
        tmp_path,
        "NA,MKV,1,0,0,\n007,MKL,0,1,1,nan\n",
        "id,sequence,Nucleus,Golgi,part,note\n",
    )
    settings = DatasetSettings(split="part", annotations=["note"], labels=SETTINGS.labels)
    proteins, _ = ingest(path, None, settings)
    write_proteins(tmp_path / "out" / "proteins.csv", proteins, long)
    again = read_proteins(tmp_path / "out" / "proteins.csv")
    pd.testing.assert_frame_equal(again.table, proteins.table)
    np.testing.assert_array_equal(again.labels, proteins.labels)
    assert (again.label_names, again.task) == (proteins.label_names, proteins.task)
    assert again.ids.tolist() == ["007", "NA"]
    assert again.annotation_names == ["note"]


def test_members_change_where_their_proteins_do(tmp_path):
    path = table(tmp_path, "P12345,MKV,1,0\nP12346,MKL,1,0\n")
    one, _ = ingest(path, None, SETTINGS)
    write_members(tmp_path / "one", tmp_path / "one.json", one.table)
    found = [m for rows in read_members(tmp_path / "one", BUCKETS).values() for m in rows]
    assert {(m.accessions, m.sequence) for m in found} == {
        (("P12345",), "MKV"),
        (("P12346",), "MKL"),
    }
    path.write_text(HEADER + "P12346,MKL,0,1\nP12345,MKV,1,0\nP12347,MKVV,0,1\n")
    two, _ = ingest(path, None, SETTINGS)
    write_members(tmp_path / "two", tmp_path / "two.json", two.table)
    before, after = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("one", "two"))
    changed = [bucket for bucket in BUCKETS if before[bucket] != after[bucket]]
    added = two.table.loc[two.table["id"] == "P12347", "seq_hash"].item()
    assert changed == [bucket_of(added)]


def test_members_without_an_accession_go_by_their_id(tmp_path):
    path = table(tmp_path, "ABC_HUMAN,MKV,1,0\na;b,MKV,1,0\nP12345,MKL,1,0\n")
    settings = DatasetSettings(labels=SETTINGS.labels, duplicates="keep")
    proteins, _ = ingest(path, None, settings)
    write_members(tmp_path / "m", tmp_path / "m.json", proteins.table)
    found = [m for rows in read_members(tmp_path / "m", BUCKETS).values() for m in rows]
    assert {m.sequence: m.accessions for m in found} == {
        "MKV": ("ABC_HUMAN",),
        "MKL": ("P12345",),
    }


def test_members_are_called_by_their_accession_and_by_their_id():
    rows = {"id": ["gene:1", "b"], "accession": ["P12345", ""], "sequence": ["MKV", "MKL"]}
    proteins = pd.DataFrame(rows | {"seq_hash": ["aa" * 32, "bb" * 32]})
    found = [member for rows in members_of(proteins).values() for member in rows]
    assert [member.accessions for member in found] == [("P12345", "gene:1"), ("b",)]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "in"
    path.write_bytes(content)
    try:
        columns = list(read_records(path).columns)
    except HaloError as error:
        columns = [LINE] if str(path) in str(error) else []
    assert LINE in columns
