"""FASTA files with any encoding, line end or compression, and files that are not FASTA."""

import bz2
import gzip
import lzma
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import zipped
from halo.errors import HaloError
from halo.tables.readers import read_records

TEXT = ">a one\nMKV\nLA\n>b\nMKLW\n"
WANTED = [("a", "MKVLA", 1), ("b", "MKLW", 4)]


def records(path):
    table = read_records(path)
    return list(table[["id", "sequence", "(line)"]].itertuples(index=False, name=None))


PLAIN = TEXT.encode()


@pytest.mark.parametrize(
    ("content", "first_line"),
    [
        (b"\n\n" + PLAIN, 3),
        (b"; a comment\n# another\n\n" + PLAIN, 4),
        (b" " + PLAIN.replace(b"\n>", b"\n\t >"), 1),
        (PLAIN.replace(b"\n", b"\r\n"), 1),
        (PLAIN.replace(b"\n", b"\r"), 1),
        (PLAIN.rstrip(b"\n"), 1),
        (PLAIN + b"\x1a", 1),  # the end of a file under DOS
        (b"\xef\xbb\xbf" + PLAIN.replace(b"\n>", b"\n\xef\xbb\xbf>"), 1),
        (TEXT.encode("utf-16"), 1),
        (TEXT.encode("utf-16-be"), 1),
        (TEXT.encode("utf-16-le"), 1),
        (TEXT.encode("utf-32"), 1),
        (gzip.compress(PLAIN), 1),
        (gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:]), 1),
        (bz2.compress(PLAIN), 1),
        (lzma.compress(PLAIN), 1),
        (bz2.compress(PLAIN[:9]) + bz2.compress(b"") + bz2.compress(PLAIN[9:]), 1),
        (lzma.compress(PLAIN[:9]) + bytes(8) + lzma.compress(PLAIN[9:]) + bytes(4), 1),
        (lzma.compress(PLAIN) + bytes(1 << 21), 1),
        (zipped({"folder/": b"", "folder/a.fasta": PLAIN, "__MACOSX/._a": b"x"}), 1),
        (gzip.compress(TEXT.encode("utf-16")), 1),
    ],
    ids=count(),  # not the bytes: archives hold the time at which they were made
)
def test_is_read_whatever_wrote_it(tmp_path, content, first_line):
    file = tmp_path / "name.says.nothing"
    file.write_bytes(content)
    shift = first_line - 1
    assert records(file) == [(name, text, line + shift) for name, text, line in WANTED]


def test_bytes_that_are_not_utf8_harm_their_record_alone(tmp_path, caplog):
    (tmp_path / "in.fasta").write_bytes(b">caf\xe9\nMKV\n>b\nMK\xffV\n>\xce\xb1\nMKL\n")
    found = records(tmp_path / "in.fasta")
    assert found == [("café", "MKV", 1), ("b", "MKÿV", 3), ("α", "MKL", 5)]
    assert "byte 0xe9 is not valid in UTF-8: such bytes are read as Windows-1252" in caplog.text


def test_a_nul_harms_its_record_alone(tmp_path):
    (tmp_path / "in.fasta").write_bytes(b">a\0b\nMKV\n>c\nMKL\n")
    assert records(tmp_path / "in.fasta") == [("a\0b", "MKV", 1), ("c", "MKL", 3)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"@r1\nACGT\n+\nIIII\n", "FASTQ"),
        (b"LOCUS       X 100 aa\nDEFINITION x\n//\n", "GenBank"),
        (b"ID   001R_FRG3G   Reviewed;\nAC   Q6GZX4;\n", "flat file of EMBL or UniProt"),
        (b"\n<!DOCTYPE html>\n<html>", "a web page"),
        (b"<p>&gt;a</p>", "a web page"),
        (b'<?xml version="1.0"?>\n<uniprot>', "XML"),
        (b"&gt;a\nMKV\n", "copied from a web page's source"),
        (b'{"id": "a"}', "JSON"),
        (b"{\\rtf1\\ansi >a}", "rich text"),
        (b"HEADER    HYDROLASE\nATOM      1  N   MET A   1 \n", "a PDB structure"),
        (b"ATOM      1  N   MET A   1 \n", "a PDB structure"),
        (b"data_1ABC\n#\n_entry.id   1ABC\n", "a structure in mmCIF"),
        (b"CLUSTAL W (1.83)\n\na  MKV\n", r"alignment \(Clustal\)"),
        (b"# STOCKHOLM 1.0\na MKV\n//\n", r"alignment \(Stockholm\)"),
        (b">P1;CRAB\nalpha crystallin\nMDIT*\n", "PIR"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"my sequences\n>a\nMKV\n", "'my sequences' is before the first FASTA header"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "old Excel or Word"),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "not a readable workbook"),
        (zipped({"a.fasta": PLAIN, "b.fasta": PLAIN}), r"zip with 2 files \(a.fasta, b.fasta\)"),
        (zipped({}), "not a readable text"),
        (bytes(range(256)) * 20, "not a readable text"),
        (gzip.compress(PLAIN * 1000)[:-30], "damaged or incomplete"),
        (gzip.compress(PLAIN)[:5], "damaged or incomplete"),
        (lzma.compress(PLAIN)[:-9], "damaged or incomplete"),
        (b"\x1f\x8bno gzip at all", "damaged or incomplete"),
        (b"PK\x03\x04no zip", "a zip that is empty, damaged or incomplete"),
        (b"", "empty"),
        (b"\n\n  \n", "empty"),
        (gzip.compress(b""), "empty"),
    ],
    ids=count(),
)  # fmt: skip
def test_what_is_no_fasta_is_named(tmp_path, content, words):
    (tmp_path / "in.fasta").write_bytes(content)
    with pytest.raises(HaloError, match=rf"in\.fasta: .*{words}"):
        read_records(tmp_path / "in.fasta")


OTHERS = {
    "plain": b">c\nMKI\n",
    "xz": lzma.compress(PLAIN),
    "bzip2": bz2.compress(PLAIN),
    "gzip": gzip.compress(PLAIN),
    "lzma": lzma.compress(PLAIN, lzma.FORMAT_ALONE),
    "a line end": b"\n",
}


@pytest.mark.parametrize("kind", ["xz", "bzip2", "gzip"])
@pytest.mark.parametrize("other", OTHERS)
def test_what_follows_a_stream_is_never_left_out(tmp_path, kind, other):
    file = tmp_path / "in.fasta"
    file.write_bytes(OTHERS[kind] + OTHERS[other])
    if other == kind:
        assert len(records(file)) == 2 * len(WANTED)
        return
    words = rf"at byte {len(OTHERS[kind]):,}, after the end of a stream of {kind}, is something"
    with pytest.raises(HaloError, match=r"in\.fasta: .*Not a gzip" if kind == "gzip" else words):
        read_records(file)


@pytest.mark.parametrize(
    "content",
    [
        lzma.compress(PLAIN) + bytes(3),  # padding of xz is a multiple of four bytes
        lzma.compress(PLAIN) + bytes(6) + lzma.compress(PLAIN),
        lzma.compress(PLAIN) + bytes(1 << 21) + PLAIN,
        bz2.compress(PLAIN) + bytes(4),
    ],
    ids=count(),
)
def test_what_is_no_padding_is_refused(tmp_path, content):
    (tmp_path / "in.fasta").write_bytes(content)
    with pytest.raises(HaloError, match=r"in\.fasta: .*after the end of a stream of (xz|bzip2)"):
        read_records(tmp_path / "in.fasta")


@pytest.mark.parametrize("kind", ["xz", "bzip2", "gzip"])
@pytest.mark.parametrize("left", [2, 5, -5])
def test_a_second_stream_that_is_cut_is_refused(tmp_path, kind, left):
    (tmp_path / "in.fasta").write_bytes(OTHERS[kind] + OTHERS[kind][:left])
    with pytest.raises(HaloError, match=r"in\.fasta: .*damaged or incomplete"):
        read_records(tmp_path / "in.fasta")


@pytest.mark.parametrize("name", ["a.fasta", "xl/workbook.xml"])
def test_what_is_joined_to_a_zip_is_not_left_out(tmp_path, name):
    one, other = zipped({name: PLAIN}), zipped({name: b">c\nMKI\n"})
    for content in (one + other, one + b">c\nMKI\n", one + gzip.compress(b">c\nMKI\n")):
        (tmp_path / "in.fasta").write_bytes(content)
        with pytest.raises(HaloError, match=r"in\.fasta: a zip, or a workbook, and something else"):
            read_records(tmp_path / "in.fasta")


def test_a_folder_and_nothing_are_named(tmp_path):
    with pytest.raises(HaloError, match="is a folder; give a file"):
        read_records(tmp_path)
    with pytest.raises(HaloError, match="there is no such file"):
        read_records(tmp_path / "gone")


NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("C", "Z")),
    min_size=1, max_size=8,
)  # fmt: skip
PROTEINS = st.lists(
    st.tuples(NAMES, st.text("ACDEFGHIKLMNPQRSTVWY", max_size=30), st.integers(1, 12)), min_size=1
)


@given(
    PROTEINS,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([bytes, gzip.compress, lzma.compress, bz2.compress]),
)
def test_no_record_is_lost_or_changed(tmp_path_factory, proteins, encoding, end, pack):
    file = tmp_path_factory.mktemp("fasta") / "in.fasta"
    text = "".join(
        f">{name} {number}{end}"
        + "".join(sequence[i : i + width] + end for i in range(0, len(sequence), width))
        for number, (name, sequence, width) in enumerate(proteins)
    )
    # PIR's headers are the one kind that is another format; they need not occur.
    if text.startswith(tuple(f">{kind};" for kind in ("P1", "F1", "DL", "N1", "N3", "XX"))):
        return
    file.write_bytes(pack(text.encode(encoding)))
    found = read_records(file)
    assert list(found["id"]) == [name for name, _, _ in proteins]
    assert list(found["sequence"]) == [sequence for _, sequence, _ in proteins]
