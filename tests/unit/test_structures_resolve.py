"""Accessions, entry names, tables of names, and exact sequences."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.proteins.accessions import (
    Accession,
    accession_of_entry_name,
    is_entry_name,
    parse_accession,
)
from halo.proteins.members import Member
from halo.structures.resolve import (
    MOST_NAMES,
    Directory,
    Name,
    find_sequences,
    make_directory,
    names_of,
    read_name_table,
)

NOTHING = Directory({}, {})


def member_of(*ids, sequence="ACDEG"):
    return Member(sha256_of_text(sequence), ids, sequence)


@pytest.mark.parametrize(
    ("text", "base", "isoform"),
    [
        ("P12345", "P12345", None),
        ("A2BC19", "A2BC19", None),
        ("A0A023GPI8", "A0A023GPI8", None),
        ("Q9Y6K9-12", "Q9Y6K9", 12),
        (" P12345\n", "P12345", None),
        ("sp|P12345|NAME_HUMAN", "P12345", None),
        ("tr|A0A023GPI8-2|A0A023GPI8_9HIV1", "A0A023GPI8", 2),
        ("sp|P12345", "P12345", None),
    ],
)
def test_accessions(text, base, isoform):
    assert parse_accession(text) == Accession(base, isoform)
    assert str(parse_accession(text)) == (base if isoform is None else f"{base}-{isoform}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P1234",
        "P123456",
        "p12345",
        "ENSP00000354587",
        "P53_HUMAN",
        "P12345-0",
        "P12345-",
        "P12345-12345",
        "P12345/../x",
        "P12345\x00",
        "P1234\u0665",
        "sp||NAME_HUMAN",
        "xx|P12345|NAME_HUMAN",
        "P12345 P12346",
        "A0A023GPI",
    ],
)
def test_texts_that_are_no_accessions(text):
    assert parse_accession(text) is None


@given(st.text(max_size=30))
def test_an_accession_is_safe_in_a_path(text):
    accession = parse_accession(text)
    if accession is not None:
        assert set(str(accession)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def test_entry_names():
    assert is_entry_name("P53_HUMAN")
    assert not is_entry_name("P53_human")
    assert accession_of_entry_name("A0A024R2Q3_HUMAN") == Accession("A0A024R2Q3")
    assert accession_of_entry_name("P53_HUMAN") is None


def test_names_come_in_the_order_of_their_worth():
    member = member_of("P53_HUMAN", "A0A024R2Q3_HUMAN", "P12345-2", "my protein")
    directory = Directory(
        {"P53_HUMAN": ["P04637"], "P12345-2": ["Q99999"]},
        {member.seq_hash: ["Q11111", "P04637"]},
    )
    assert names_of(member, directory) == [
        Name("P12345-2", "accession"),
        Name("A0A024R2Q3", "entry name"),
        Name("P04637", "table"),
        Name("Q99999", "table"),
        Name("Q11111", "sequence"),
        Name("P53_HUMAN", "name"),
        Name("A0A024R2Q3_HUMAN", "name"),
        Name("my protein", "name"),
    ]
    assert names_of(member_of(), NOTHING) == []


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_table_of_names(tmp_path, separator, pack):
    lines = ["accession,x,name", "P04637,1,P53_HUMAN", "Q11111,2,P53_HUMAN", "Q22222,3,OTHER_YEAST"]
    path = tmp_path / "names"
    path.write_bytes(pack("\n".join(lines).replace(",", separator).encode()))
    assert read_name_table(path, frozenset(["P53_HUMAN"])) == {"P53_HUMAN": ["P04637", "Q11111"]}


def test_uniprots_own_table(tmp_path):
    path = tmp_path / "idmapping.dat"
    path.write_text(
        "P04637\tUniProtKB-ID\tP53_HUMAN\n"
        "P04637\tEnsembl_PRO\tENSP00000269305.4\n"
        "P04637-2\tEnsembl_PRO\tENSP00000352610.4\n"
    )
    wanted = frozenset(["P53_HUMAN", "ENSP00000269305", "ENSP00000352610.4"])
    assert read_name_table(path, wanted) == {
        "P53_HUMAN": ["P04637"],
        "ENSP00000269305": ["P04637"],
        "ENSP00000352610.4": ["P04637-2"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,uniprot\na,P12345\n", "columns name and accession"),
        ("", "columns name and accession"),
        ("name,accession\na,P12345\nb\n", "line 3: '' is no UniProt accession of 'b'"),
        ("name,accession\na,P12345\nb,nonsense\n", "line 3: 'nonsense' is no UniProt accession"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, text, message):
    path = tmp_path / "names.csv"
    path.write_text(text)
    with pytest.raises(HaloError, match=message) as caught:
        read_name_table(path, frozenset("ab"))
    assert str(path) in str(caught.value)


def test_files_that_are_not_there_are_refused(tmp_path):
    for files in ((str(tmp_path / "x"), None), (None, str(tmp_path / "x"))):
        with pytest.raises(HaloError, match="no such file"):
            make_directory([member_of("a")], *files, tmp_path)
        assert make_directory([], *files, tmp_path) == NOTHING


def test_exact_sequences(tmp_path):
    path = tmp_path / "sequences.fasta.gz"
    records = [
        (">AFDB:AF-P12345-F1 Some protein UA=P12345", "ACD\nEG"),
        (">sp|P12346-2|X_HUMAN", "acdeg"),
        (">P12347 shorter", "ACDE"),
        (">P12348 as long but different", "ACDEF"),
        (">nothing known", "ACDEG"),
        (">AF-P12349-F1-model_v4", "ACDEG"),
        (">", "ACDEG"),
    ]
    path.write_bytes(gzip.compress("".join(f"{t}\n{s}\n" for t, s in records).encode()))
    member = member_of(sequence="ACDEG")
    found = find_sequences(path, [member])
    assert found == {member.seq_hash: ["P12345", "P12346-2", "P12349"]}


def test_of_a_sequence_with_many_accessions_some_are_taken(tmp_path):
    path = tmp_path / "sequences.fasta"
    path.write_text("".join(f">P{number}\nACDEG\n" for number in range(10000, 10020)))
    (names,) = find_sequences(path, [member_of()]).values()
    assert len(names) == MOST_NAMES
