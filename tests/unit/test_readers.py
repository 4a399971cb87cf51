"""Tables and FASTA files of other programs: parsed correctly, or refused by name."""

import bz2
import csv
import gzip
import io
import logging
import lzma
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import zipped
from halo.errors import HaloError
from halo.tables.fasta import read_fasta
from halo.tables.readers import LINE, read_records, read_table, require_columns

ROWS = [["id", "sequence", "Noyau é"], ["a", "MKV", "1"], ["b", "MKL", "0"]]
TEXT = "".join(",".join(row) + "\n" for row in ROWS)


def written(tmp_path: Path, content: str | bytes, name: str = "in.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(path: Path) -> list[list[str]]:
    table = read_table(path).drop(columns=LINE)
    return [list(table.columns), *table.to_numpy().tolist()]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
def test_encodings_by_their_marks(tmp_path, encoding, caplog):
    caplog.set_level(logging.WARNING, logger="halo")
    assert rows_of(written(tmp_path, TEXT.encode(encoding))) == ROWS
    assert ("Windows-1252" in caplog.text) == (encoding == "latin-1")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_tables_whole_and_cut(tmp_path, compress):
    content = compress(TEXT.encode())
    assert rows_of(written(tmp_path, content)) == ROWS
    with pytest.raises(HaloError, match=r"in\.csv: not a readable .*incomplete"):
        read_table(written(tmp_path, content[:-9]))


def test_a_zip_with_one_file_is_read_and_others_are_not(tmp_path):
    assert rows_of(written(tmp_path, zipped({"x.csv": TEXT, "__MACOSX/._x.csv": "?"}))) == ROWS
    with pytest.raises(HaloError, match=r"a zip with 2 files \(x\.csv, y\.csv\)"):
        read_table(written(tmp_path, zipped({"x.csv": TEXT, "y.csv": TEXT})))
    with pytest.raises(HaloError, match="OpenDocument"):
        read_table(written(tmp_path, zipped({"mimetype": "", "content.xml": ""})))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"id,sequence\n\x00\x01", "control character"),
        (b"", "empty, or without a header"),
        (b"\n \n", "empty, or without a header"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path, content, words):
    with pytest.raises(HaloError, match=rf"in\.csv: .*{words}"):
        read_table(written(tmp_path, content))


def test_a_zip_that_was_cut_is_called_so(tmp_path):
    with pytest.raises(HaloError, match="damaged or incomplete"):
        read_table(written(tmp_path, zipped({"x.csv": TEXT})[:-30]))


def test_workbooks(tmp_path):
    book = openpyxl.Workbook()
    for row in [["id", "sequence", "Nucleus", None], ["a", "MKV", 1.0], [7, "MKL", True], [None]]:
        book.active.append(row)
    book.create_sheet("empty")
    book.save(tmp_path / "in.xlsx")
    table = read_table(tmp_path / "in.xlsx")
    assert table.to_numpy().tolist() == [["a", "MKV", "1", 2], ["7", "MKL", "1", 3]]
    book.active.append(["c", "MKI", "=1+1"])
    book.save(tmp_path / "formula.xlsx")
    with pytest.raises(HaloError, match=r"row 5 has the formula '=1\+1' and not its value"):
        read_table(tmp_path / "formula.xlsx")
    book.active.append(["c", "MKI", 0, "stray"])
    book.save(tmp_path / "in.xlsx")
    with pytest.raises(HaloError, match=r"row 6 has 4 cells, the header has 3"):
        read_table(tmp_path / "in.xlsx")


@pytest.mark.parametrize(("length", "kept"), [(32_766, True), (32_767, False), (34_350, False)])
def test_a_sequence_that_a_workbook_cut_is_refused(tmp_path, length, kept):
    """Human titin has 34,350 residues; a cell keeps 32,767 of them."""
    table = pd.DataFrame({"id": ["titin"], "sequence": ["M" * length]})
    table.to_excel(tmp_path / "in.xlsx", index=False)
    if kept:
        assert read_table(tmp_path / "in.xlsx")["sequence"].str.len().tolist() == [length]
    else:
        with pytest.raises(HaloError, match=r"row 2 has a cell of 32,767 characters.*as CSV"):
            read_table(tmp_path / "in.xlsx")


def changed_sheet(path: Path, old: str, new: str) -> Path:
    """The workbook at `path` with another text in the XML of its first sheet."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert old in members[sheet]
    path.write_bytes(zipped(members | {sheet: members[sheet].replace(old, new)}))
    return path


@pytest.mark.parametrize("stated", ["A1", "A1:C3", "A1:B7", "B2:C7", "A1:XFD1048576"])
def test_a_workbook_is_read_to_its_end_whatever_size_it_states(tmp_path, stated):
    rows = [["id", "sequence", "Nucleus"], *([f"p{i}", "MKV", str(i % 2)] for i in range(6))]
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "in.xlsx")
    path = changed_sheet(tmp_path / "in.xlsx", 'ref="A1:C7"', f'ref="{stated}"')
    assert rows_of(path) == rows
    book.active["C7"] = "=1+1"
    book.save(tmp_path / "in.xlsx")
    path = changed_sheet(tmp_path / "in.xlsx", 'ref="A1:C7"', f'ref="{stated}"')
    with pytest.raises(HaloError, match=r"row 7 has the formula '=1\+1' and not its value"):
        read_table(path)


def test_a_row_beyond_the_last_one_of_excel_is_refused(tmp_path):
    book = openpyxl.Workbook()
    for row in (["id", "sequence"], ["a", "MKV"]):
        book.active.append(row)
    book.save(tmp_path / "in.xlsx")
    path = changed_sheet(tmp_path / "in.xlsx", '<row r="2"', '<row r="99999999999"')
    with pytest.raises(HaloError, match=r"sheet 'Sheet' has a row beyond 1,048,576"):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sep=;\na;b\n1;2\n", [["a", "b"], ["1", "2"]]),
        ("# made by x\n\na\tb\n1\t2\n", [["a", "b"], ["1", "2"]]),
        ("a\tb, c, d\tE, f, g\n1\t2\t3\n", [["a", "b, c, d", "E, f, g"], ["1", "2", "3"]]),
        ("a,b;c,d\n1,2,3\n", [["a", "b;c", "d"], ["1", "2", "3"]]),
        ("a;b, c, d\n1;2\n", [["a", "b, c, d"], ["1", "2"]]),
        ('"a","b, c"\n"1","2"\n', [["a", "b, c"], ["1", "2"]]),
        ("a|b\n1|2\n", [["a", "b"], ["1", "2"]]),
        # as spreadsheets end a table
        ("a,b,\n1,2,\n,,\n\n", [["a", "b"], ["1", "2"]]),
        ("a,b,,\n1,2,,\n", [["a", "b"], ["1", "2"]]),
        ("a,b\n1,2,\n", [["a", "b"], ["1", "2"]]),
        ("#a,b\n\n1,2\n", [["#a", "b"], ["1", "2"]]),
        ('#a,b,c\n1,"two\nlines",3\n', [["#a", "b", "c"], ["1", "two\nlines", "3"]]),
        ('"a b"\n"1 2"\n"x"\n', [["a b"], ["1 2"], ["x"]]),
        ('"sep=;"\na;b\n1;2\n', [["a", "b"], ["1", "2"]]),
        ("a,b\n1,2\n\x1a", [["a", "b"], ["1", "2"]]),
        # the index that pandas writes
        ("Unnamed: 0,a,b\n0,1,2\n", [["a", "b"], ["1", "2"]]),
        (",a,b\n0,1,2\n1,3,4\n", [["a", "b"], ["1", "2"], ["3", "4"]]),
        # quotation marks
        ("a\tb\n\"5'-x\t2\n3\ty\"\n", [["a", "b"], ["\"5'-x", "2"], ["3", 'y"']]),
        ('a\tb\n1\t"x\n2\ty\n3\tz"\n', [["a", "b"], ["1", '"x'], ["2", "y"], ["3", 'z"']]),
        ('a\tb\n1\t"x y"\n', [["a", "b"], ["1", "x y"]]),
        ('a\tb\n1\t"x\ty"\n', [["a", "b"], ["1", "x\ty"]]),
        ('a,b\n1,"x ""y"", z"\n', [["a", "b"], ["1", 'x "y", z']]),
        ('a,b,c\n1,"two\nlines",3\n', [["a", "b", "c"], ["1", "two\nlines", "3"]]),
        ("a,b\r1,2\r", [["a", "b"], ["1", "2"]]),
        ('a\tb\n1\t"two\nlines"\n3\t4\n', [["a", "b"], ["1", "two\nlines"], ["3", "4"]]),
    ],
)  # fmt: skip
def test_separators_ends_and_quotation_marks(tmp_path, text, wanted):
    assert rows_of(written(tmp_path, text)) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a,b\n1,"x\n2,y\n3,z"\n', "line 2 has a quotation mark"),
        ('a,b,c\n1,"5\'-x,2\n3,"y,4\n', "line 2 has a quotation mark"),
        ('a,b\n1,"x" y\n', "line 2 has a quotation mark"),
        ("a,b,\n1,2,3\n", "column 3 has no name in the header, but line 2 has '3'"),
        ("a,b\n1,2\n3\n", r"line 3 has 1 fields, the header has 2 \(the last column\(s\) b"),
        ("a,a\n1,2\n", "more than once"),
        (">a\nMKV\n", "a FASTA; give a table"),
        # R's write.table with its defaults
        (
            '"sequence" "Nucleus"\n"a" "MKV" 1\n',
            r"line 1 has blanks between quoted .*R's write\.table",
        ),
        ('"sequence" "Nucleus, \\"x\\""\n"a" "MKV" 1\n', r"line 1 has blanks .*write\.csv"),
        ('"sequence"\n"a" "MKV"\n"b" "MKL"\n', r"line 2 has blanks .* sep=\"\\t\", quote=FALSE"),
        (
            "# a comment, with a comma\nid,sequence,x\na,MKV,1\n",
            "line 1, which begins with '#' and has ',', is no header of the rows below it; remove",
        ),
        ("\n#a, b\nid\tsequence\na\tMKV\n", "line 2, which begins with '#' .* remove the line"),
        ('# by "me"; x\nid,sequence\na,MKV\n', "line 1, which begins with '#' .*is no header"),
    ],
)
def test_malformed_tables_are_refused_with_the_line(tmp_path, text, words):
    with pytest.raises(HaloError, match=words):
        read_table(written(tmp_path, text))


FIELD = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=8)
PLAIN = FIELD.map(lambda text: text.replace('"', "").strip(" \u00a0"))


@given(st.data(), st.sampled_from([",", ";", "\t"]), st.integers(2, 4))
def test_what_csv_writers_write_is_read(tmp_path_factory, data, separator, width):
    """No row is lost, split or joined, whatever the fields hold."""
    rows = data.draw(st.lists(st.lists(FIELD, min_size=width, max_size=width), max_size=6))
    rows = [["id", *row[1:]] for row in rows]  # no row is empty
    header = ["id", *(f"c{place}" for place in range(1, width))]
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    path = tmp_path_factory.mktemp("csv") / "in"
    path.write_text(text.getvalue(), encoding="utf-8")
    assert rows_of(path) == [header, *([field.strip() for field in row] for row in rows)]


@given(st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=6))
def test_tables_with_tabs_and_no_quoting_lose_no_row(tmp_path_factory, rows):
    rows = [[f"p{number}", *row[1:]] for number, row in enumerate(rows)]
    path = tmp_path_factory.mktemp("tsv") / "in"
    path.write_text("".join("\t".join(row) + "\n" for row in [["id", "b", "c"], *rows]))
    assert [row[0] for row in rows_of(path)[1:]] == [row[0] for row in rows]


@pytest.mark.parametrize(
    "start", ["", "\n\n", ";made by x\n", "#made by x\n", "\ufeff", "  \n;\n#\n"]
)
def test_fasta_begins_with_blanks_comments_or_a_mark(tmp_path, start):
    path = written(tmp_path, start + ">x first one\nMK V\n;c\n\nLL*\n>\nM\n>z\n")
    records = list(read_fasta(path))
    assert [(r.id, r.description, r.sequence) for r in records] == [
        ("x", "first one", "MKVLL*"),
        ("", "", "M"),
        ("z", "", ""),
    ]
    table = read_records(path)
    assert table["sequence"].tolist() == ["MKVLL*", "M", ""]
    assert table[LINE].tolist() == [record.line for record in records]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (";a\nMKV\n", "an old form of FASTA"),
        ("MKV\n>a\nMKV\n", "is before the first FASTA header"),
        (">P1;CRAB\nalpha chain\nMDI*\n", "PIR"),
        (">a\nMK\nMKV>b x\nMKL\n>c\nM\n", "line 3: a line end is missing before '>b x'"),
        (">a\nMKV*\ufeff>b\nMKL\n", "line 2: a line end is missing before '>b'"),
    ],
)
def test_malformed_fasta_names_the_line(tmp_path, text, words):
    with pytest.raises(HaloError, match=words):
        read_records(written(tmp_path, text))


def test_headers_of_other_programs_give_columns(tmp_path):
    biotrainer = (
        ">a TARGET=Nucleus SET=train VALIDATION=False\nMKV\n>b TARGET=Golgi SET=test\nMKL\n"
    )
    table = read_records(written(tmp_path, biotrainer))
    assert table["TARGET"].tolist() == ["Nucleus", "Golgi"]
    assert table["VALIDATION"].tolist() == ["False", ""]
    deeploc = ">Q9H400 Cell.membrane-M test\nMKV\n>Q5I0E9 Nucleus-U\nMKL\n"
    table = read_records(written(tmp_path, deeploc))
    assert table[["location", "membrane", "set"]].to_numpy().tolist() == [
        ["Cell.membrane", "M", "test"],
        ["Nucleus", "U", "train"],
    ]
    uniprot = ">sp|P12345|AATM_RABIT Aspartate OS=Oryctolagus cuniculus OX=9986 PE=1\nMKV\n"
    table = read_records(written(tmp_path, uniprot))
    assert table[["id", "OS", "OX"]].to_numpy().tolist() == [
        ["sp|P12345|AATM_RABIT", "Oryctolagus cuniculus", "9986"]
    ]


def test_a_key_that_a_header_has_twice_gives_no_column(tmp_path, caplog):
    path = written(
        tmp_path,
        ">a TARGET=Golgi SET=train SET=train\nMKV\n>b TARGET=Nucleus TARGET=Cytoplasm\nMKL\n",
    )
    table = read_records(path)
    assert table["SET"].tolist() == ["train", ""]
    assert "TARGET" not in table
    said = "line 3: the header of b has TARGET=Nucleus and TARGET=Cytoplasm; keep one"
    assert said in caplog.text
    with pytest.raises(HaloError, match=rf"in\.csv: no column 'TARGET': {said}"):
        require_columns(path, table, {"dataset.labels.label": "TARGET"})
    require_columns(path, table, {"dataset.split": "SET"})


def test_the_first_header_that_is_not_as_most_is_named(tmp_path):
    text = (
        ">a Cell.membrane-M test\nMKV\n>b Nucleus\nMKL\n>c Nucleus-S\nMKI\n>d\nMKK\n>e Golgi-U\nM\n"
    )
    path = written(tmp_path, text)
    with pytest.raises(HaloError, match=r"no column 'location': line 3: the header 'b Nucleus' "):
        require_columns(path, read_records(path), {"dataset.labels.label": "location"})
    path = written(tmp_path, text.replace("Golgi-U", "Golgi"))  # too few to say what was meant
    with pytest.raises(HaloError, match=r"no column 'location'; change dataset\.labels\.label"):
        require_columns(path, read_records(path), {"dataset.labels.label": "location"})


def test_a_comment_that_looks_like_the_header_is_named_where_columns_are_missing(tmp_path):
    path = written(tmp_path, "# comment, x\nid,sequence\na,MKV\n")
    with pytest.raises(HaloError, match=r"no column 'id'.* begins with '#'; remove the line if"):
        require_columns(path, read_records(path), {"dataset.id": "id"})
