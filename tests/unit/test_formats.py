"""Recognition of sequences, and of files in other formats than FASTA."""

import pytest

from halo.errors import HaloError
from halo.proteins.nucleotides import is_nucleotides
from halo.tables.formats import refuse_other_formats


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("@r1\nACGT\n+\nIIII\n", "FASTQ"),
        ("LOCUS       X 100 aa\nDEFINITION x\n//\n", "GenBank"),
        ("ID   001R_FRG3G   Reviewed;\nAC   Q6GZX4;\n", "flat file of EMBL or UniProt"),
        ("\n<!DOCTYPE html>\n<html>", "a web page"),
        ("<p>&gt;a</p>", "a web page"),
        ('<?xml version="1.0"?>\n<uniprot>', "XML"),
        ("&gt;a\nMKV\n", "copied from a web page's source"),
        ('{"id": "a"}', "JSON"),
        ("{\\rtf1\\ansi >a}", "rich text"),
        ("HEADER    HYDROLASE\nATOM      1  N   MET A   1 \n", "a PDB structure"),
        ("ATOM      1  N   MET A   1 \n", "a PDB structure"),
        ("data_1ABC\n#\n_entry.id   1ABC\n", "a structure in mmCIF"),
        ("CLUSTAL W (1.83)\n\na  MKV\n", r"alignment \(Clustal\)"),
        ("# STOCKHOLM 1.0\na MKV\n//\n", r"alignment \(Stockholm\)"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
    ],
)
def test_other_formats_are_named(content, words):
    with pytest.raises(HaloError, match=rf"in\.txt: .*{words}.*; "):
        refuse_other_formats("in.txt", content.split("\n"))


@pytest.mark.parametrize(
    "content",
    [
        *(">a\nMKV\n", "id,sequence\na,MKV\n", "data_1\ndata_2\n", "MODEL\n", "@a\nb\n", ""),
        *("P12345\n", "LOCUS\tSEQUENCE\nAT1G01010\tMKV\n"),
    ],
)
def test_other_texts_are_not(content):
    refuse_other_formats("in.txt", content.split("\n"))


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ("ACGTACGTTAGC", True),
        ("ACGUACGUUAGC", True),
        ("ATGCGATTCAAATGACGGCAGNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN", True),
        ("ATGCRATTCAAATGAYGGCAGCAGGCCGGGAGTC", True),
        ("GAGAGSGAGAGSGAGAGYGAGAGSGAGAGS", False),  # fibroin
        ("GAGAGAGAGAGAGAGA", False),
        ("AATAATAATAATAATAATAA", False),  # of an antifreeze glycoprotein
        ("GATTACA", False),  # too short to tell
        ("MKVLATGAC", False),
        ("A" * 40, False),
        ("N" * 40, False),
        ("", False),
    ],
)
def test_nucleotides(sequence, expected):
    assert is_nucleotides(sequence) is expected
