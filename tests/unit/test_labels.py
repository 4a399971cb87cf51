"""Labels and ids in common formats: parsed correctly, or refused with a message."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.proteins.identifiers import forms, matched
from halo.proteins.ingest import ingest, rejected_table, with_test_set
from halo.proteins.labels import labels_from_columns
from halo.proteins.settings import RESERVED, DatasetSettings, GroupLabels, Labels
from halo.proteins.table import CORE_COLUMNS, read_proteins, write_proteins
from halo.tables.readers import read_records


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level(logging.INFO, logger="halo")
    return caplog


def written(tmp_path: Path, text: str, name: str = "in.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def positives(proteins) -> dict[str, list[str]]:
    names = np.array(proteins.label_names)
    rows = zip(proteins.ids, proteins.labels.astype(bool), strict=True)
    return {name: names[row].tolist() for name, row in rows}


def unknowns(proteins) -> dict[str, list[str]]:
    names = np.array(proteins.label_names)
    return {
        name: names[~row].tolist() for name, row in zip(proteins.ids, proteins.known, strict=True)
    }


# -- names of labels ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["part", "decided_by", "id", "length", "seq_hash", "fold", "labels", "kind", "B;C"]
)
def test_labels_with_the_name_of_another_column_are_refused(tmp_path, name):
    wide = DatasetSettings(annotations=["kind"])
    path = written(tmp_path, "id,sequence,kind\na,MKV,x\nb,MKL,y\n")
    labels = written(tmp_path, f"key,{name}\na,1\nb,0\n", "labels.csv")
    assert bool(Labels(columns=(name,)).faults()) == (name != "kind")
    assert set(CORE_COLUMNS) <= RESERVED
    with pytest.raises(HaloError, match=rf"labels\.csv: the label '{name}'.*rename"):
        ingest(path, labels, replace(wide, labels=Labels(id="key")))
    if name != "kind":
        labels = written(tmp_path, f"key,label\na,x\nb,{name}\n", "labels.csv")
        with pytest.raises(HaloError, match=rf"labels\.csv: line 3: the label '{name}'"):
            ingest(path, labels, replace(wide, labels=Labels(id="key", label="label")))


def test_unusual_names_of_labels_are_kept(tmp_path):
    names = ["a,b", 'q"uote', "Ümläut", "<b>x</b>", "{x}", "%s", "0", "nan"]
    table = pd.DataFrame([["a", "MKV", *[1] * 8], ["b", "MKL", *[0] * 8]])
    table.set_axis(["id", "sequence", *names], axis=1).to_csv(tmp_path / "in.csv", index=False)
    proteins, _ = ingest(tmp_path / "in.csv", None, DatasetSettings())
    assert positives(proteins) == {"a": names, "b": []}
    for long in (False, True):
        write_proteins(tmp_path / "out/proteins.csv", proteins, long)
        assert positives(read_proteins(tmp_path / "out/proteins.csv")) == {"a": names, "b": []}


def test_a_label_twice_is_refused(tmp_path):
    path = written(tmp_path, "id,sequence,N\na,MKV,1\n")
    with pytest.raises(HaloError, match="'N' is listed twice"):
        ingest(path, None, DatasetSettings(labels=Labels(columns=["N", "N"])))


def test_a_misspelt_label_is_no_negative(tmp_path, log):
    path = written(tmp_path, ">a\nMKV\n>b\nMKL\n>c\nMKI\n", "in.fasta")
    labels = written(tmp_path, "id\tlabel\na\tNucleus\nb\tGolgi\nc\tNuclues\n", "labels.tsv")

    def run(**changes):
        where = Labels(label="label", **{"columns": ["Nucleus", "Golgi"], **changes})
        return ingest(path, labels, DatasetSettings(labels=where))[0]

    with pytest.raises(HaloError, match=r"line 4: the label 'Nuclues' .* did you mean 'Nucleus'"):
        run()
    with pytest.raises(HaloError, match=r"no row has the label 'Nuclueus'.*did you mean 'Nuclues'"):
        run(columns=["Nuclueus", "Golgi"])
    assert positives(run(others="negative")) == {"a": ["Nucleus"], "b": ["Golgi"], "c": []}
    found, rejected = ingest(
        path,
        labels,
        DatasetSettings(
            labels=Labels(label="label", columns=["Nucleus", "Golgi"], others="unknown")
        ),
    )
    assert found.ids.tolist() == ["a", "b"]
    assert [(r.id, r.reason) for r in rejected] == [("c", "no label")]
    log.clear()
    run(columns=None)
    assert "fewer than 10 proteins have the label Golgi (1), Nucleus (1), Nuclues (1)" in log.text


def test_a_rare_label_that_is_like_a_common_one_is_named(tmp_path, log):
    rows = [("Nucleus", 12), ("Nuclues", 1), ("Golgi", 11), ("GO:1", 12), ("GO:2", 1)]
    names = [name for name, count in rows for _ in range(count)]
    text = "".join(f"p{n},{'MKV' + 'A' * n},{name}\n" for n, name in enumerate(names))
    path = written(tmp_path, "id,sequence,where\n" + text)
    ingest(path, None, DatasetSettings(labels=Labels(label="where")))
    assert "the label Nuclues may be a misspelling of Nucleus" in log.text
    assert log.text.count("misspelling") == 1
    path.write_text("id,sequence,where\na,MKV,Cell membrane\nb,MKL,cell_membrane\n")
    with pytest.raises(HaloError, match="line 3: the labels 'Cell membrane' and 'cell_membrane'"):
        ingest(path, None, DatasetSettings(labels=Labels(label="where")))
    both = Labels(label="where", columns=("Cell membrane", "cell_membrane"))
    ingest(path, None, DatasetSettings(labels=both))


def test_labels_without_positives_are_named(tmp_path, log):
    ingest(written(tmp_path, "id,sequence,N,G\na,MKV,1,0\n"), None, DatasetSettings())
    assert "no protein has the label G" in log.text
    assert "have the label N (1)" in log.text


# -- class names in a column ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            "id,sequence,location\na,MKV,Nucleus; Golgi\nb,MKL,Golgi\nc,MKI,\n",
            Labels(label="location", separator=";"),
        ),
        (
            "id,sequence,location\na,MKV,Nucleus\na,MKV,Golgi\nb,MKL,Golgi\nc,MKI,?\nd,MKF,nan\n",
            Labels(label="location", unknown=["?"]),
        ),
        (">a location=Golgi|Nucleus\nMKV\n>b location=Golgi\nMKL\n>c\nMKI\n",
         Labels(label="location", separator="|")),
        (">a Golgi-U\nMKV\n>a Nucleus-U\nMKV\n>b Golgi-S test\nMKL\n", Labels(label="location")),
    ],
)  # fmt: skip
def test_names_in_a_column_of_the_same_table(tmp_path, text, where):
    proteins, rejected = ingest(written(tmp_path, text), None, DatasetSettings(labels=where))
    assert positives(proteins) == {"a": ["Golgi", "Nucleus"], "b": ["Golgi"]}
    assert proteins.known.all()
    assert {(record.id, record.reason) for record in rejected} <= {
        ("c", "no label"),
        ("d", "no label"),
    }


def test_negative_names_and_a_second_sequence(tmp_path):
    text = "id,sequence,location\na,MKV,Golgi\nb,MKL,none\na,MKI,Nucleus\nc,MKF,Nucleus\n"
    where = Labels(label="location", negative=["none"])
    proteins, rejected = ingest(written(tmp_path, text), None, DatasetSettings(labels=where))
    assert positives(proteins) == {"a": ["Golgi"], "b": [], "c": ["Nucleus"]}
    assert [(r.id, r.line, r.reason) for r in rejected] == [("a", 4, "duplicated id")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,sequence,location\na,MKV,Nucleus\n", "labels.label: location"),
        ("id,sequence,N\na,MKV,2\n", "labels.positive"),
        ("id,sequence,N\na,MKV,x\nb,MKL,\nc,MKI,\n", "has 'x'.*labels.positive"),
        (">a\nMKV\n", "a FASTA has no label columns; give a table"),
        (">a TARGET=N SET=train\nMKV\n", r"TARGET, SET\) with the labels in dataset"),
        ("Entry,Sequence,N\na,MKV,1\n", "a UniProt export without.*uniprot: {}.*dataset.id: Entry"),
        ("ID,Sequence,N\na,MKV,1\n", r"no column 'id' \(did you mean 'ID'\?\).*dataset.sequence"),
    ],
)
def test_messages_name_the_key_that_helps(tmp_path, text, words):
    with pytest.raises(HaloError, match=words):
        ingest(written(tmp_path, text), None, DatasetSettings())


# -- unknown labels and tiers ---------------------------------------------------------------


def test_tiers_of_values(tmp_path):
    path = written(tmp_path, "id,sequence,N,G\na,MKV,1,2\nb,MKL,2,0\nc,MKI,?,0\nd,MKF,,TRUE\n")

    def run(**where):
        proteins, rejected = ingest(path, None, DatasetSettings(labels=Labels(**where)))
        return positives(proteins), unknowns(proteins), [record.id for record in rejected]

    assert run(unknown=["2", "?"]) == (
        {"a": ["N"], "b": [], "c": [], "d": ["G"]},
        {"a": ["G"], "b": ["N"], "c": ["N"], "d": ["N"]},
        [],
    )
    assert run(unknown=["2", "?"], negative=["", "0"])[1]["d"] == []
    assert run(positive=["1", "2", "true"]) == (
        {"a": ["N", "G"], "b": ["N"], "d": ["G"]},
        {"a": [], "b": [], "d": ["N"]},
        ["c"],
    )


@pytest.mark.parametrize(
    ("where", "positive", "unknown"),
    [
        ({"positive": ["High"], "negative": ["*"]}, "a", "d"),
        ({"positive": ["High"], "negative": ["*", ""]}, "a", ""),
        ({"positive": ["High*"], "negative": ["*"], "unknown": ["Highly*"]}, "a", "bd"),
        ({"positive": ["*"], "negative": ["0"], "unknown": ["Low"]}, "ab", "cd"),
        ({"positive": ["High"], "unknown": ["*"]}, "a", "bcd"),
        ({"positive": ["*"]}, "abc", "d"),
    ],
)
def test_of_several_patterns_the_closest_one_counts(tmp_path, where, positive, unknown):
    values = {"a": "High", "b": "Highly likely", "c": "Low", "d": "", "e": "0"}
    rows = [
        f"{name},MKV{letter},{values[name]}" for name, letter in zip(values, "ACDEF", strict=True)
    ]
    path = written(tmp_path, "\n".join(["id,sequence,N", *rows, ""]))
    settings = Labels(columns=("N",), **where)
    labels = labels_from_columns(path, read_records(path), settings, set())
    assert "".join(np.array(list("abcde"))[labels.values[:, 0] == 1]) == positive
    assert "".join(np.array(list("abcde"))[~labels.known[:, 0]]) == unknown


def test_evidence_that_is_listed_by_name_is_none_of_the_others(tmp_path):
    path = written(tmp_path, "id,sequence,label,code\na,MKV,N,IDA\nb,MKL,N,IEA\nc,MKI,N,\n")
    where = Labels(label="label", evidence="code", positive=["*"], unknown=["IEA"], negative=[""])
    proteins, rejected = ingest(path, None, DatasetSettings(labels=where))
    assert positives(proteins) == {"a": ["N"]}
    assert [record.id for record in rejected] == ["b", "c"]


def test_tiers_of_evidence(tmp_path):
    path = written(tmp_path, ">a\nMKV\n>b\nMKL\n>c\nMKI\n", "in.fasta")
    rows = (
        "a\tN\tECO:0000269|x\na\tG\tECO:0000305\nb\tG\tECO:0000269\nb\tG\tECO:0000305\nc\tN\told\n"
    )
    labels = written(tmp_path, "id\tlabel\tevidence\n" + rows, "labels.tsv")
    where = Labels(
        label="label", evidence="evidence", positive=["ECO:0000269*"], unknown=["ECO:0000305"]
    )
    with pytest.raises(HaloError, match="line 6: the evidence 'old' is in none"):
        ingest(path, labels, DatasetSettings(labels=where))
    settings = DatasetSettings(labels=replace(where, negative=["*"]))
    proteins, rejected = ingest(path, labels, settings)
    assert positives(proteins) == {"a": ["N"], "b": ["G"]}
    assert unknowns(proteins) == {"a": ["G"], "b": []}
    assert [(record.id, record.reason) for record in rejected] == [("c", "no label")]


@pytest.mark.parametrize("long", [False, True])
def test_unknown_labels_are_written_and_read(tmp_path, long):
    path = written(tmp_path, "id,sequence,N,G\na,MKV,1,\nb,MKL,,0\nc,MKI,0,1\n")
    proteins, _ = ingest(path, None, DatasetSettings())
    write_proteins(tmp_path / "out/proteins.csv", proteins, long)
    again = read_proteins(tmp_path / "out/proteins.csv")
    np.testing.assert_array_equal(again.labels, proteins.labels)
    np.testing.assert_array_equal(again.known, proteins.known)
    assert unknowns(again) == {"a": ["G"], "b": ["N"], "c": []}


# -- records that are one protein -----------------------------------------------------------


def test_merging_keeps_accession_annotation_and_what_is_known(tmp_path):
    text = "id,sequence,N,G,part,kind\nAAA,MKV,1,,,\nP12345,MKV,,0,train,x\nc,MKL,1,1,test,y\n"
    settings = DatasetSettings(split="part", annotations=["kind"])
    proteins, rejected = ingest(written(tmp_path, text), None, settings)
    merged = proteins.table.set_index("id").loc["AAA"]
    assert merged[["accession", "split", "kind"]].tolist() == ["P12345", "train", "x"]
    assert positives(proteins)["AAA"] == ["N"]
    assert proteins.known.all()
    assert [record.detail for record in rejected] == ["merged into AAA"]


def test_sequences_in_two_partitions_stay_apart(tmp_path, log):
    text = "id,sequence,N,G,part\nAAA,MKVLAW,1,0,train\nP12345,MKVLAW,1,0,test\n"
    proteins, rejected = ingest(written(tmp_path, text), None, DatasetSettings(split="part"))
    assert proteins.table["split"].tolist() == ["train", "test"]
    assert not rejected
    assert "1 sequences are in several partitions" in log.text
    settings = DatasetSettings(split="part")
    merged, rejected = ingest(tmp_path / "in.csv", None, settings, partitioned=False)
    assert merged.table[["id", "accession", "split"]].to_numpy().tolist() == [
        ["AAA", "P12345", "train"]
    ]
    assert [record.id for record in rejected] == ["P12345"]


def test_single_label_with_duplicates_that_disagree(tmp_path):
    text = "id,sequence,N,G\na,MKV,1,0\nb,MKV,0,1\nc,MKL,1,\n"
    settings = DatasetSettings(task="singlelabel")
    proteins, rejected = ingest(written(tmp_path, text), None, settings)
    assert positives(proteins) == {"c": ["N"]}
    assert proteins.known.all()
    assert {record.id: record.reason for record in rejected} == {
        "a": "not one label",
        "b": "duplicated sequence",
    }
    assert "2 labels (N, G)" in rejected[0].detail
    assert "b has the same sequence" in rejected[0].detail


def test_the_test_set_stays_whole_and_its_labels_go_by_name(tmp_path):
    """Columns in another order, one missing, and an id that is in the training set too."""
    train = written(tmp_path, "id,sequence,N,G,M\na,MKV,1,0,0\nb,MKL,0,1,1\n")
    test = written(tmp_path, "id,sequence,M,N\nb,MKI,0,1\nc,MKF,1,0\n", "test.csv")
    first, rejected = ingest(train, None, DatasetSettings())
    second, _ = ingest(test, None, DatasetSettings())
    both, rejected = with_test_set(first, second, rejected)
    assert both.table[["id", "sequence", "split"]].to_numpy().tolist() == [
        ["a", "MKV", "train"],
        ["b", "MKI", "test"],
        ["c", "MKF", "test"],
    ]
    assert positives(both) == {"a": ["N"], "b": ["N"], "c": ["M"]}
    assert unknowns(both) == {"a": [], "b": ["G"], "c": ["G"]}
    assert [(record.id, record.reason) for record in rejected] == [("b", "in the test set")]


@pytest.mark.parametrize("column", ["id", "acc"])
def test_accessions_as_other_databases_write_them(tmp_path, column):
    given = ["P12345.1", "p12345", "UniProtKB:P12345-2", "UniRef50_P12345", "AF-P12345-F1", "P123"]
    rows = [f"x{i},{name},MKV{'ACDEFG'[i]},1" for i, name in enumerate(given)]
    path = written(tmp_path, "\n".join(["id,acc,sequence,N", *rows, ""]))
    if column == "id":
        path.write_text(path.read_text().replace("id,acc,", "other,id,"))
    settings = DatasetSettings(accession=None if column == "id" else "acc", labels=Labels(("N",)))
    proteins, _ = ingest(path, None, settings)
    found = dict(zip(proteins.table["sequence"], proteins.table["accession"], strict=True))
    assert [found[f"MKV{letter}"] for letter in "ACDEFG"] == [
        *("P12345", "P12345", "P12345-2", "P12345", "P12345", ""),
    ]


def test_an_id_with_a_line_end(tmp_path):
    text = 'sequence,N,id\nMKV,1,"a\nb"\nMKL,1,c\n'
    proteins, rejected = ingest(written(tmp_path, text), None, DatasetSettings())
    assert proteins.ids.tolist() == ["c"]
    assert [(record.id, record.line, record.reason) for record in rejected] == [
        ("a\nb", 2, "unreadable id")
    ]


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        ("nan", "empty sequence"),
        ("None", "empty sequence"),
        ("#N/A", "empty sequence"),
        ("Sequence unavailable", "empty sequence"),
        ("MK\ufb01V", "illegal residue letters"),
        ("MK\u200bV", "illegal residue letters"),
        ("straße", "illegal residue letters"),
        ("ATGCGATTCAAATGACGGCAGCAGG", "DNA or RNA"),
    ],
)
def test_texts_that_are_no_proteins(tmp_path, sequence, reason):
    text = f"id,sequence,N\nx,{sequence},1\ngood,MKV,1\nnan,MKL,1\n"
    proteins, rejected = ingest(written(tmp_path, text), None, DatasetSettings())
    assert proteins.ids.tolist() == ["good"]
    assert {r.id: r.reason for r in rejected} == {"x": reason, "nan": "no id"}


# -- ids ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sp|P38798|NMD2_YEAST", ("P38798", "NMD2_YEAST")),
        ("tr|A0A024R2Q3|A0A024R2Q3_HUMAN", ("A0A024R2Q3", "A0A024R2Q3_HUMAN")),
        ("ENSP00000354587.3", ("ENSP00000354587",)),
        ("ref|NP_000537.3|", ("NP_000537.3", "NP_000537")),
        ("UniProtKB:P38798", ("P38798",)),
        ("AF-P38798-F1-model_v4", ("P38798",)),
        ("P38798-2", ()),
        ("plain", ()),
    ],
)
def test_forms_of_an_id(text, wanted):
    assert forms(text) == wanted


def test_ids_match_by_form_where_it_is_unambiguous(log):
    ids = ["sp|P38798|NMD2_YEAST", "X.1", "Y.1", "Y.2", "Q12345", "sp|Q12345|A_B"]
    assert matched(ids, ["P38798", "X", "X.1", "Y", "Q12345", "none"], "t") == {
        "X.1": "X.1",
        "P38798": "sp|P38798|NMD2_YEAST",
        "Q12345": "Q12345",
    }
    assert "1 ids are matched by their forms, such as P38798" in log.text
    assert "1 ids match several proteins" in log.text
    assert matched(["P38798"], ["sp|P38798|NMD2_YEAST"], "t") == {"sp|P38798|NMD2_YEAST": "P38798"}


@pytest.mark.parametrize(
    ("ids", "given", "wanted"),
    [
        (["1.A.1.1.2"], ["1.A.1.1.3"], {}),  # TCDB
        (["AT1G01010.1"], ["AT1G01010.2"], {}),  # splice forms
        (["NP_1.3"], ["ref|NP_1.2|"], {}),
        (["NP_1.3"], ["ref|NP_1.3|"], {"ref|NP_1.3|": "NP_1.3"}),
        (["NP_1"], ["ref|NP_1.3|"], {"ref|NP_1.3|": "NP_1"}),
        (["ref|NP_1.3|"], ["NP_1"], {"NP_1": "ref|NP_1.3|"}),
        # Several that were equal to others, or that are of one protein.
        (["p.1", "p.2", "p.5"], ["p.1", "p.2", "p"], {"p.1": "p.1", "p.2": "p.2"}),
        (["p"], ["p.1", "p.2"], {}),
        (["p", "q"], ["p.1", "p.2", "q.1"], {"q.1": "q"}),
        (["p"], ["p", "p.2"], {"p": "p"}),
    ],
)
def test_an_id_is_not_taken_for_that_of_another_protein(ids, given, wanted):
    assert matched(ids, given, "t") == wanted


def test_labels_of_another_splice_form_are_not_used(tmp_path):
    path = written(tmp_path, ">p.1\nMKV\n>p.5\nMKL\n", "in.fasta")
    labels = written(tmp_path, "id,label\np.1,A\np.6,B\np.7,C\n", "labels.csv")
    proteins, rejected = ingest(path, labels, DatasetSettings(labels=Labels(label="label")))
    assert positives(proteins) == {"p.1": ["A"]}
    assert [(record.id, record.reason) for record in rejected] == [("p.5", "no label")]


@pytest.mark.parametrize(
    "ids", [["P12345", "Q12345"], ["sp|P12345|A", "Q12345"], ["P12345.2", "Q12345"]]
)
def test_label_tables_with_other_forms_of_the_ids(tmp_path, ids):
    path = written(tmp_path, ">sp|P12345|A x\nMKV\n>tr|Q12345|B_HUMAN\nMKL\n", "in.fasta")
    wide = written(tmp_path, f"id,N\n{ids[0]},1\n{ids[1]},0\n", "wide.csv")
    proteins, _ = ingest(path, wide, DatasetSettings())
    assert positives(proteins) == {"sp|P12345|A": ["N"], "tr|Q12345|B_HUMAN": []}
    long = written(tmp_path, f"id,l\n{ids[0]},N\n{ids[0]},G\n{ids[1]},G\n", "long.csv")
    proteins, _ = ingest(path, long, DatasetSettings(labels=Labels(label="l")))
    assert positives(proteins) == {"sp|P12345|A": ["G", "N"], "tr|Q12345|B_HUMAN": ["G"]}


def test_ids_with_blanks_are_whole_headers(tmp_path):
    path = written(tmp_path, ">protein one\nMKV\n>protein two\nMKL\n>c x\nMKI\n", "in.fasta")
    labels = written(tmp_path, "id\tlabel\nprotein one\tN\nprotein two\tM\nc\tM\n", "labels.tsv")
    proteins, _ = ingest(path, labels, DatasetSettings(labels=Labels(label="label")))
    assert positives(proteins) == {"protein one": ["N"], "protein two": ["M"], "c": ["M"]}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("id\tN\n", "a header and no row"),
        ("id\tN\nx\t1\ny\t0\n", "none of its ids is that of a protein: it has 'x', the proteins"),
        ("id\tN\na\t1\na\t1\n", "line 3: id 'a' has a second row"),
        ("", "empty, or without a header"),
    ],
)
def test_tables_of_labels_that_cannot_be_used(tmp_path, labels, words):
    path = written(tmp_path, ">a\nMKV\n>b\nMKL\n", "in.fasta")
    with pytest.raises(HaloError, match=rf"labels\.tsv: .*{words}"):
        ingest(path, written(tmp_path, labels, "labels.tsv"), DatasetSettings())


def test_faults_in_a_table_of_labels_name_its_line(tmp_path):
    path = written(tmp_path, ">a\nMKV\nLAW\n>b\nMKL\n", "in.fasta")
    labels = written(tmp_path, "id\tN\tM\nb\t1\t0\na\tx\t1\n", "labels.tsv")
    _, rejected = ingest(path, labels, DatasetSettings())
    assert rejected_table(rejected).to_dict("records") == [
        {
            "id": "a",
            "line": 1,
            "reason": "label not 0 or 1",
            "detail": "N is 'x' in labels.tsv, line 3",
            "file": str(path),
        }
    ]


# -- properties -----------------------------------------------------------------------------

NAME = st.text("abX19._-", min_size=0, max_size=3)
SEQUENCE = st.text("MKVacgt*1 -", max_size=6) | st.sampled_from(["nan", "ACGTACGTACGT", "MKV"])
VALUE = st.sampled_from(["0", "1", "", "1.0", "?", "x"])


@given(
    st.lists(st.tuples(NAME, SEQUENCE, VALUE, VALUE), min_size=1, max_size=12),
    st.sampled_from(["merge", "keep"]),
    st.sampled_from(["multilabel", "singlelabel"]),
)
def test_no_record_is_lost_and_no_label_invented(tmp_path_factory, rows, duplicates, task):
    """Each record is used or rejected; a label is one that the file gives that sequence."""
    path = tmp_path_factory.mktemp("ingest") / "in.csv"
    pd.DataFrame(rows, columns=["id", "sequence", "N", "G"]).to_csv(path, index=False)
    where = Labels(columns=["N", "G"], unknown=["?"])
    settings = DatasetSettings(labels=where, duplicates=duplicates, task=task)
    try:
        proteins, rejected = ingest(path, None, settings)
    except HaloError:
        return
    given_rows = [row for row in rows if any(text.strip() for text in row)]
    kept = [(name, "used") for name in proteins.ids] + [(r.id, r.reason) for r in rejected]
    assert sorted(name for name, _ in kept) == sorted(row[0].strip() for row in given_rows)
    assert all(reason and detail for reason, detail in ((r.reason, r.detail) for r in rejected))
    for index, name in enumerate(proteins.label_names):
        said = {
            value: {
                "".join(r[1].split()).rstrip("*").upper() for r in rows if r[2 + index] in value
            }
            for value in (("1", "1.0"), ("0",))
        }
        for row, sequence in enumerate(proteins.table["sequence"]):
            if proteins.labels[row, index]:
                assert sequence in said["1", "1.0"], name
                assert proteins.known[row, index]
            elif proteins.known[row, index] and task == "multilabel":
                assert sequence in said["0",], name


SEVERAL_ROWS = """id,sequence,place,membrane,Tm,part,note,accession
p,MKV,Nucleus,,0,train,,
p,MKV,Cytoplasm,Peripheral,1,train,a,P12345
q,MKL,Nucleus,Soluble,0,test,b,
"""


def test_the_union_of_several_rows_is_that_of_all_groups(tmp_path):
    path = written(tmp_path, SEVERAL_ROWS)
    groups = {"m": GroupLabels(label="membrane"), "t": GroupLabels(columns=("Tm",))}
    settings = DatasetSettings(
        labels=Labels(label="place"),
        groups=groups,
        split="part",
        annotations=("note",),
        accession="accession",
    )
    proteins, rejected = ingest(path, None, settings)
    assert not rejected
    assert {name: sorted(found) for name, found in positives(proteins).items()} == {
        "p": ["Cytoplasm", "Nucleus", "Peripheral", "Tm"],
        "q": ["Nucleus", "Soluble"],
    }
    assert unknowns(proteins) == {"p": [], "q": []}
    row = proteins.table.set_index("id").loc["p"]
    assert (row["note"], row["accession"], row["split"]) == ("a", "P12345", "train")


def test_rows_of_a_protein_in_several_partitions_are_rejected(tmp_path, log):
    text = SEVERAL_ROWS.replace("p,MKV,Cytoplasm,Peripheral,1,train,a", "p,MKV,C,P,1,test,a")
    text = text.replace("0,train,,", "0,train,x,")
    settings = DatasetSettings(
        labels=Labels(label="place"), split="part", annotations=("note",), accession="accession"
    )
    proteins, [record] = ingest(written(tmp_path, text), None, settings)
    assert proteins.ids.tolist() == ["q"]
    assert (record.id, record.reason) == ("p", "several partitions")
    assert record.detail == "'train' in line 2, 'test' in line 3"
    assert "rows of 1 proteins differ in note" in log.text


@pytest.mark.parametrize("label", [None, "label"])
def test_a_label_cannot_have_the_name_of_an_annotation(tmp_path, label):
    """Both would be columns of proteins.csv."""
    path = written(tmp_path, "id,sequence,N,C,M\nx,MKV,1,0,S\ny,MKL,0,1,M\n")
    table = written(tmp_path, "id,label\nx,M\ny,C2\n" if label else "id,M\nx,1\ny,0\n", "m.csv")
    settings = DatasetSettings(
        labels=Labels(columns=("N", "C")),
        groups={"m": GroupLabels(table=str(table), label=label)},
        annotations=("M",),
    )
    with pytest.raises(HaloError, match="'M' has the name of another column in use"):
        ingest(path, None, settings, group_paths={"m": table})


@pytest.mark.parametrize("task", ["multilabel", "singlelabel"])
@pytest.mark.parametrize("text", ["NA", "na", "N/A", "nan", "None"])
def test_a_missing_value_is_no_label(tmp_path, text, task):
    path = written(tmp_path, f"id,sequence,label\nx,MKV,A\ny,MKL,B\nz,MKI,{text}\n")
    settings = DatasetSettings(labels=Labels(label="label"), task=task)
    proteins, [record] = ingest(path, None, settings)
    assert proteins.label_names == ("A", "B")
    assert (record.id, record.reason) == ("z", "no label")
    listed = Labels(label="label", columns=("A", "B", text))
    if text in ("NA", "na"):
        proteins, rejected = ingest(path, None, DatasetSettings(labels=listed, task=task))
        assert positives(proteins)["z"] == [text]
        assert not rejected


def test_a_missing_value_is_no_partition(tmp_path):
    """With `split.test: ["4"]`, all other partitions are for training."""
    path = written(tmp_path, "id,sequence,N,part\nx,MKV,1,4\ny,MKL,0,NA\nz,MKI,0,nan\n")
    table = ingest(path, None, DatasetSettings(split="part"))[0].table
    assert table["split"].tolist() == ["4", "", ""]


@pytest.mark.parametrize("name", ["-", "?", "."])
def test_a_label_without_letters_is_refused_with_the_fix(tmp_path, name):
    path = written(tmp_path, f"id,sequence,label\nx,MKV,A\ny,MKL,B\nz,MKI,{name}\n")
    with pytest.raises(HaloError, match=r"line 4.*labels.unknown: \['"):
        ingest(path, None, DatasetSettings(labels=Labels(label="label")))


@pytest.mark.parametrize("separator", [",", ", ", "|"])
def test_a_cell_with_several_labels_needs_the_separator(tmp_path, separator):
    text = f'id,sequence,label\nx,MKV,A\ny,MKL,B\nz,MKI,"A{separator}B"\nw,MKC,"A{separator}C"\n'
    path = written(tmp_path, text)
    with pytest.raises(HaloError, match=r"line 4.*dataset.labels.separator: '[,|]'"):
        ingest(path, None, DatasetSettings(labels=Labels(label="label")))
    listed = ("A", "B", f"A{separator}B", f"A{separator}C")
    proteins, _ = ingest(path, None, DatasetSettings(labels=Labels(label="label", columns=listed)))
    assert positives(proteins)["z"] == [f"A{separator}B"]


@given(
    st.lists(st.tuples(NAME, st.sampled_from(["N", "G", "M", ""])), min_size=1, max_size=12),
    st.lists(NAME.filter(bool), min_size=1, max_size=6, unique=True),
)
def test_long_tables_give_exactly_their_pairs(tmp_path_factory, pairs, ids):
    folder = tmp_path_factory.mktemp("long")
    path = folder / "in.fasta"
    path.write_text("".join(f">{name}\n{'MKV' + 'A' * n}\n" for n, name in enumerate(ids)))
    pd.DataFrame(pairs, columns=["id", "label"]).to_csv(folder / "labels.csv", index=False)
    settings = DatasetSettings(labels=Labels(label="label"))
    try:
        proteins, rejected = ingest(path, folder / "labels.csv", settings)
    except HaloError:
        return
    found = {(name, label) for name, labels in positives(proteins).items() for label in labels}
    exact = {(name, label) for name, label in pairs if label and name in ids}
    assert exact <= found
    for name, label in found - exact:  # by the form of another id
        assert any(of == label and {name, *forms(name)} & {n, *forms(n)} for n, of in pairs)
    assert sorted([*proteins.ids, *(record.id for record in rejected)]) == sorted(ids)


def test_a_column_of_0_and_1_has_no_names_of_labels(tmp_path):
    path = written(tmp_path, "id,sequence,A\na,MKV,1\nb,MKL,0\n")
    with pytest.raises(HaloError, match=r"'A' has 0 and 1, .*dataset\.labels\.columns"):
        ingest(path, None, DatasetSettings(labels=Labels(label="A")))
    asked = Labels(label="A", columns=("0", "1"))
    assert ingest(path, None, DatasetSettings(labels=asked))[0].label_names == ("0", "1")
