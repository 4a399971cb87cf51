"""Inputs of predictions: files of all formats, parsed or refused by name."""

import io
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.predict.accession_list import accession_of, find_list
from halo.predict.records import KnownSequences, read_queries

CASES = Path(__file__).parents[3] / "shared/cases/predict"
ONE = "MSGEAAIAEDAEDECKDPVVFKVYVDKDDVTLNYTLGDPKSDD"
TWO = "MNEGNAAAAWAERADDACDNDVKVKVYWDDGDTTNANTKKNSMD"
SEQUENCES = {"P12345": ONE, "Q9Y6K9": TWO, "Z9DEM0X001": ONE, "A0A024R2Q3": TWO, "P12345-2": TWO}
LISTED = ["P12345", "Q9Y6K9"]


@pytest.fixture
def known(tmp_path) -> KnownSequences:
    """Sequences that an earlier call was given."""
    found = KnownSequences(tmp_path / "sequences.fasta")
    found.write(SEQUENCES)
    return found


def read(content: str | bytes, known: KnownSequences, **options):
    file = known.file.with_name("in")
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_queries(file, None, known, **options)


def ids(queries) -> list[str]:
    return queries.table["id"].tolist()


def reasons(queries) -> list[tuple[int, str]]:
    return [(record.line, record.reason) for record in queries.rejected]


# ------------------------------------------------------------------ lists of accessions


@pytest.mark.parametrize(
    "content",
    [
        "P12345\nQ9Y6K9\n",
        "P12345\r\n\r\nQ9Y6K9",
        "P12345\rQ9Y6K9\r",
        "P12345,Q9Y6K9",
        "P12345, Q9Y6K9,\n",
        "P12345;Q9Y6K9",
        "P12345|Q9Y6K9",
        "1. P12345\n2. Q9Y6K9\n",
        "- P12345\n- Q9Y6K9\n",
        "P12345 Q9Y6K9\n",
        "P12345\tQ9Y6K9\n",
        '"P12345"\n"Q9Y6K9"\n',
        "'P12345', 'Q9Y6K9'",
        "accession\nP12345\nQ9Y6K9\n",
        "Entry\nP12345\nQ9Y6K9\n",
        "From\nP12345\nQ9Y6K9\n",
        "accession,organism\nP12345,rabbit\nQ9Y6K9,human\n",
        "Entry\tReviewed\tEntry Name\nP12345\treviewed\tAATM_RABIT\nQ9Y6K9\treviewed\tNEMO_HUMAN\n",
        "organism;accession\nrabbit;P12345\nhuman;Q9Y6K9\n",
        "# mine\nP12345\n; and\nQ9Y6K9\n",
        "p12345\nq9y6k9\n",
        "sp|P12345|AATM_RABIT\nsp|Q9Y6K9|NEMO_HUMAN\n",
        "P12345.2\nQ9Y6K9.1\n",
        "UniProtKB:P12345\nuniprot:Q9Y6K9\n",
        "https://www.uniprot.org/uniprotkb/P12345/entry\nhttps://www.uniprot.org/uniprot/Q9Y6K9.fasta",
        "AF-P12345-F1-model_v4\nAF-Q9Y6K9-F1\n",
        "P12345 aspartate aminotransferase\nQ9Y6K9 NEMO, human\n",
        "P12345,Nucleus\nQ9Y6K9,Cytoplasm\n",
        b"\xef\xbb\xbfP12345\nQ9Y6K9\n",
        "P12345\nQ9Y6K9\n".encode("utf-16"),
    ],
)
def test_accessions_in_every_form(known, content):
    queries = read(content, known)
    assert ids(queries) == LISTED
    assert queries.table["sequence"].tolist() == [ONE, TWO]
    assert not queries.rejected


def test_lines_of_a_list_that_name_nothing(known):
    queries = read("Z9DEM0X001\nnonsense\n# no\n\nP12345 extra words\nP53_HUMAN\nP12345\n", known)
    assert ids(queries) == ["Z9DEM0X001", "P12345"]
    assert reasons(queries) == [
        (2, "no UniProt accession"),
        (6, "a UniProt entry name"),
        (7, "duplicated id"),
    ]


@pytest.mark.parametrize("separator", [", ", ";", " ", "\t"])
def test_every_accession_of_a_line_is_used_and_other_words_are_rejected(known, separator):
    queries = read(separator.join(["P12345", "NP_000537", "Q9Y6K9", "BADID"]) + "\n", known)
    assert ids(queries) == LISTED
    assert [(one.id, one.line, one.reason) for one in queries.rejected] == [
        ("NP_000537", 1, "no UniProt accession"),
        ("BADID", 1, "no UniProt accession"),
    ]


def test_an_accession_that_is_not_the_first_of_a_line(known):
    queries = read("P12345-2\nBADID,P12345,Q9Y6K9\n", known)
    assert ids(queries) == ["P12345-2", *LISTED]
    assert [(one.id, one.line) for one in queries.rejected] == [("BADID", 2)]


def test_entry_names(known):
    assert ids(read("A0A024R2Q3_HUMAN\nP53_HUMAN\n", known)) == ["A0A024R2Q3"]
    with pytest.raises(HaloError, match=r"'P53_HUMAN': a UniProt entry name \(give its accession"):
        read("P53_HUMAN\nALBU_HUMAN\n", known)


@pytest.mark.parametrize("text", ["TP53", "NP_000537.3", "ENSP00000269305", "1ABC", "TP53\nBRCA1"])
def test_other_ids_are_refused(known, text):
    with pytest.raises(HaloError, match=r"nor a list of UniProt accessions: line 1 is.*id-mapping"):
        read(text, known)


@given(st.text(max_size=60))
def test_any_text_is_a_list_or_is_not(text):
    try:
        entries = find_list("in.txt", text.split("\n"))
    except HaloError:
        return
    for entry in entries or ():
        assert entry.accession == "" or accession_of(entry.text) == entry.accession


# ------------------------------------------------------------------ tables and FASTA


@pytest.mark.parametrize(
    ("content", "name", "genes"),
    [
        (f">sp|P04637|P53_HUMAN Tumor antigen OS=Homo sapiens OX=9606 GN=TP53 PE=1\n{ONE}\n",
         "sp|P04637|P53_HUMAN", ("P04637", "P53_HUMAN", "TP53")),
        (f">ENSP00000269305.4 pep gene:ENSG00000141510.18 transcript:ENST00000269305.9 "
         f"gene_symbol:TP53\n{ONE}\n",
         "ENSP00000269305.4", ("ENSP00000269305", "TP53", "ENSG00000141510", "ENST00000269305")),
        (f">ENSP00000269305.4|ENST00000269305.9|ENSG00000141510.18|-|-|TP53-201|TP53|393\n{ONE}\n",
         "ENSP00000269305.4|ENST00000269305.9|ENSG00000141510.18|-|-|TP53-201|TP53|393",
         ("ENSP00000269305", "TP53-201", "TP53", "ENSG00000141510", "393", "ENST00000269305")),
        (f">mine [gene=TP53] [protein=p53]\n{ONE}\n", "mine", ("mine", "TP53")),
        (f"id,Gene Names,sequence\nx,TP53 P53,{ONE}\n", "x", ("x", "TP53", "P53")),
        (f"id,sequence\nx,{ONE}\n", "x", ("x",)),
    ],
)  # fmt: skip
def test_names_of_genes(known, content, name, genes):
    assert read(content, known, with_genes=True).genes == {name: genes}
    assert read(content, known).genes == {}


@pytest.mark.parametrize(
    "content",
    [
        f"id,sequence\nP12345,{ONE}\nQ9Y6K9,{TWO}\n",
        f"ID;Sequence\nP12345;{ONE}\nQ9Y6K9;{TWO}\n",
        f"Entry\tEntry Name\tSequence\nP12345\tA_B\t{ONE}\nQ9Y6K9\tC_D\t{TWO}\n",
        f"sequence,accession\n{ONE},P12345\n{TWO},Q9Y6K9\n",
        f">P12345 accession=x\n{ONE}\n>Q9Y6K9\n{TWO.lower()}*\n",
        f">P12345\n{ONE[:10]} {ONE[10:20]}\n\n{ONE[20:]}\n>Q9Y6K9\n{TWO}",
    ],
)
def test_names_of_columns(known, content):
    queries = read(content, known)
    assert ids(queries) == queries.table["accession"].tolist() == LISTED
    assert queries.table["sequence"].tolist() == [ONE, TWO]


def test_records_that_cannot_be_predicted_are_rejected_alone(known):
    lines = [
        (">good", ONE, None),
        (">dna", "ACGTACGTTAGCACGT", "DNA or RNA"),
        (">rna", "ACGUACGUUAGCACGU", "DNA or RNA"),
        (">stop", "MKV*LLA", "illegal residue letters"),
        (">gap", "MK--VL.A", "illegal residue letters"),
        (">numbers", "1 MKVLAMKVLA 11", "illegal residue letters"),
        (">nothing", "", "empty sequence"),
        (">star", "*", "empty sequence"),
        (">good", TWO, "duplicated id"),
        (">", TWO, "no id"),
        (">a\0b", TWO, "unreadable id"),
        (">accent_é", TWO, None),
        (">greek", "MK\u0391V", "illegal residue letters"),
        (">long", "M" * 200, "too long"),
    ]
    text = "".join(f"{header}\n{sequence}\n" for header, sequence, _ in lines)
    queries = read(text, known, max_length=100)
    assert ids(queries) == ["good", "accent_é"]
    assert [record.reason for record in queries.rejected] == [r for _, _, r in lines if r]
    details = {record.id: record.detail for record in queries.rejected}
    assert "above --max-length" in details["long"]
    assert "a stop codon within" in details["stop"]
    assert "gaps of an alignment" in details["gap"]
    assert "translate" in details["dna"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ONE, "line 1 is a sequence without a name; write a line '>name'"),
        (f"{ONE}\n{TWO}\n", "line 1 is a sequence without a name"),
        (f"\n{ONE.lower()}*\n", "line 2 is a sequence without a name"),
        (f"{ONE[:10]} {ONE[10:20]} {ONE[20:]}\n", "line 1 is a sequence without a name"),
        (f"P12345,{ONE}\n", "line 1 has a sequence instead of a header.*id,sequence"),
        (f"mine\t{ONE}\n", "line 1 has a sequence instead of a header"),
        (f"name of it,sequence\na,{ONE}\n", "no column 'id', it has name of it, sequence"),
        (f"sequence\n{ONE}\n", "no column 'id', it has sequence"),
        ("id,sequence\n", "contains no protein"),
        (">a\n", r"none of 1 proteins.*'a': empty sequence"),
        (">a\n>b\n>c\n", r"none of 3 proteins"),
        (">d\nACGTACGTTAGCACGT\n", r"none of 1 proteins.*DNA or RNA \(not a protein; translate"),
        ("", "empty"),
        ("accession\n", "contains no protein"),
    ],
)
def test_files_that_cannot_be_used(known, content, words):
    with pytest.raises(HaloError, match=words):
        read(content, known)


def test_a_long_line_and_a_folder(known, tmp_path):
    assert read(f">a {'x' * 3_000_000}\n{ONE}\n", known).table["sequence"].tolist() == [ONE]
    assert reasons(read(f">a\n{ONE}\n>b\n{'M' * 2_000_000}\n", known)) == [(3, "too long")]
    with pytest.raises(HaloError, match="is a folder; give a file"):
        read_queries(tmp_path, None, known)


# ------------------------------------------------------------------ pipes


def test_the_standard_input(known, monkeypatch):
    def give(content: bytes):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return read_queries(Path("-"), None, known)

    assert ids(give(f">a\n{ONE}\n".encode())) == ["a"]
    assert ids(give(b"P12345,Q9Y6K9")) == LISTED
    with pytest.raises(HaloError, match=r"^standard input: empty"):
        give(b"")
    with pytest.raises(HaloError, match=r"^standard input: .*line 1, 'd': DNA or RNA"):
        give(b">d\nACGTACGTTAGCACGT\n")


def test_a_pipe(known, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f">a\n{ONE}\n",))
    writer.start()
    assert ids(read_queries(pipe, None, known)) == ["a"]
    writer.join()


# ------------------------------------------------------------------ files of others

EXPECTED = {
    "acc.txt": LISTED,
    "acc_comma.txt": LISTED,
    "acc_entry.txt": "entry name",
    "acc_header.txt": LISTED,
    "acc_mixed.txt": ["Z9DEM0X001", "P12345"],
    "dna.fasta": "DNA or RNA",
    "g.gb": "GenBank",
    "latin1.fasta": ["café"],
    "leading_blank.fasta": ["a"],
    "leading_comment.fasta": ["a"],
    "leading_space.fasta": ["a"],
    "nul.fasta": ["c"],
    "raw_seq.txt": "sequence without a name",
    "raw_seq2.txt": "sequence without a name",
    "rna.fasta": "DNA or RNA",
    "utf16.fasta": ["a"],
    "x.fastq": "FASTQ",
}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no {CASES}")
@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_others(known, name):
    expected = EXPECTED[name]
    if isinstance(expected, list):
        assert ids(read_queries(CASES / name, None, known)) == expected
    else:
        with pytest.raises(HaloError, match=expected):
            read_queries(CASES / name, None, known)


def test_a_sequence_that_was_not_downloaded_is_not_said_to_be_nowhere(known):
    (record,) = read("P12345\nP04637\n", known).rejected
    assert (record.id, record.reason) == ("P04637", "no sequence")
    assert "AlphaFold DB" not in record.detail
    assert "this call downloads none" in record.detail


def test_a_table_of_accessions_keeps_its_ids(known):
    found = read("id,accession\nmine,P12345\n,Q9Y6K9\nother,P12345\nlost,P04637\n", known)
    table = found.table[["id", "accession", "sequence"]].to_numpy().tolist()
    assert table == [
        ["mine", "P12345", SEQUENCES["P12345"]],
        ["Q9Y6K9", "Q9Y6K9", SEQUENCES["Q9Y6K9"]],
        ["other", "P12345", SEQUENCES["P12345"]],
    ]
    assert [(record.id, record.line) for record in found.rejected] == [("lost", 5)]
