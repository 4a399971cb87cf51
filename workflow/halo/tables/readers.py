"""Read the tables and FASTA files of users."""

import csv
import difflib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from halo.errors import HaloError
from halo.tables.fasta import fasta_records, header_fields, is_fasta
from halo.tables.formats import refuse_other_formats
from halo.tables.workbook import is_workbook, workbook_rows
from halo.text import open_text

log = logging.getLogger(__name__)

LINE = "(line)"  # column with the line number of a record
DESCRIPTION = "description"  # column with a FASTA header's text after the id
FASTA = "fasta"  # key in the attrs of a table that was read from a FASTA file
LEFT_OUT = "left out"  # likewise: the fields of headers without a column, and why
SEPARATORS = ("\t", ";", ",", "|")
LOOKED_AT = 50  # first lines that determine the format and the separator
MOST_LINES = 100  # of a quoted field
MOST_COLUMNS = 16_384  # the limit of Excel
_QUOTED = r'"(?:[^"\\]|\\.)*"'  # as R's write.table escapes a mark
_OF_R = re.compile(
    rf"{_QUOTED}(?: (?:{_QUOTED}|[^\s\",;|]+))+"
)  # a line, with its default, sep=" "

Row = tuple[int, list[str]]  # line from 1, and fields

csv.field_size_limit(1 << 30)  # the default is below the longest texts of UniProt


def read_records(path: Path) -> pd.DataFrame:
    """Read a CSV, TSV, xlsx or FASTA file; the content determines the format.

    Compressed files are accepted, see `open_text`.

    Returns
    -------
    Table with text columns (``""`` for missing values) and the column `LINE`, the line of the
    file (the row of a workbook) at which a record starts. For a FASTA, the columns are ``id`` (the
    header up to the first blank), ``sequence``, `DESCRIPTION` and those of `header_fields`, and
    ``attrs[FASTA]`` is set. ``attrs[LEFT_OUT]`` has the fields that wrong headers leave out.

    Raises
    ------
    HaloError
        if the file is malformed; names the line
    """
    path = Path(path)
    if is_workbook(path):
        return read_table(path)
    lines = _lines(path)
    if is_fasta(lines):
        return _fasta_table(path, lines)
    first = next(filter(None, (line.strip() for line in lines)), "")
    if first.startswith(";") and first.count(";") == 1:
        raise HaloError(
            f"{path}: begins with ';' and has no header '>id': an old form of FASTA; write '>' "
            "instead of ';' at the start of each record"
        )
    return _table(path, text_rows(path, lines))


def read_table(path: Path) -> pd.DataFrame:
    """Read a table with a header: xlsx, or text separated by tabs, semicolons or commas.

    Returns a table like `read_records`. Empty rows and columns, which spreadsheets write at the
    end, are skipped.

    Raises
    ------
    HaloError
        if a row has too many or too few fields; names the line
    """
    path = Path(path)
    if is_workbook(path):
        return _table(path, workbook_rows(path))
    lines = _lines(path)
    if is_fasta(lines):
        raise HaloError(f"{path}: a FASTA; give a table with a header instead")
    return _table(path, text_rows(path, lines))


def _lines(path: Path) -> list[str]:
    with open_text(path) as file:
        lines = file.readlines()
    refuse_other_formats(path, lines[:LOOKED_AT])
    if lines and lines[-1].strip() == "\x1a":  # the end of a file in DOS
        lines.pop()
    return lines


def _fasta_table(path: Path, lines: Sequence[str]) -> pd.DataFrame:
    records = list(fasta_records(lines, path))
    columns: dict[str, list] = {
        "id": [record.id for record in records],
        "sequence": [record.sequence for record in records],
        DESCRIPTION: [record.description for record in records],
    }
    fields, faults = header_fields(records)
    left_out = {name: why for name, why in faults.items() if name not in columns}
    for why in dict.fromkeys(left_out.values()):
        names = ", ".join(name for name, its in left_out.items() if its == why)
        log.warning("%s: no column %s: %s", path, names, why)
    for name in dict.fromkeys(name for values in fields for name in values):
        if name not in columns:
            columns[name] = [values.get(name, "") for values in fields]
    table = pd.DataFrame(columns).astype(str).assign(**{LINE: [r.line for r in records]})
    table.attrs |= {FASTA: True, LEFT_OUT: left_out}
    return table


def _table(path: Path, rows: Sequence[Row]) -> pd.DataFrame:
    """A table from its rows, the first of which is the header."""
    if not rows:
        raise HaloError(f"{path}: empty, or without a header line")
    if len(rows[0][1]) > MOST_COLUMNS:
        raise HaloError(
            f"{path}: line {rows[0][0]}, the header, has {len(rows[0][1]):,} columns, more than "
            f"{MOST_COLUMNS:,}; remove those that are not needed"
        )
    # The name that pandas gives to the index column of a table that it wrote.
    names = [re.sub(r"Unnamed: \d+", "", name.strip()) for name in rows[0][1]]
    lines = [line for line, _ in rows[1:]]
    # Lists: pandas takes longer for each column, and a damaged file can have 20,000.
    values = [[field.strip() for field in fields] for _, fields in rows[1:]]
    for place, name in enumerate(names):
        if not name:
            _check_nameless(path, [fields[place] for fields in values], place, lines)
    named = [place for place, name in enumerate(names) if name]
    _check_names(path, [names[place] for place in named])
    table = pd.DataFrame(
        [[fields[place] for place in named] for fields in values],
        columns=[names[place] for place in named],
        dtype=str,
    )
    return table.assign(**{LINE: lines})


def _check_nameless(path: Path, column: Sequence[str], place: int, lines: Sequence[int]) -> None:
    """Raise a HaloError if a column without a name has content, other than row numbers."""
    filled = [(line, field) for line, field in zip(lines, column, strict=True) if field]
    if not filled or (place == 0 and all(re.fullmatch(r"\d+", field) for _, field in filled)):
        return
    line, field = filled[0]
    raise HaloError(
        f"{path}: column {place + 1} has no name in the header, but line {line} has {field!r} "
        "there; name it"
    )


def _check_names(path: Path, names: Sequence[str]) -> None:
    duplicates = sorted(name for name, count in Counter(names).items() if count > 1)
    if duplicates:
        raise HaloError(f"{path}: the header has {', '.join(duplicates)} more than once; rename")
    if not names or any(name.startswith(">") for name in names):
        raise HaloError(f"{path}: neither a table with a header nor a FASTA file")


def text_rows(path: Path, lines: Sequence[str]) -> list[Row]:
    """The header and the non-empty rows of a text table, all as long as the header.

    Empty lines and comments (``#`` without a separator) before the header are skipped. A first
    line ``sep=;``, as Excel writes it, sets the separator.

    Raises
    ------
    HaloError
        if the table is not one, or its first line not the header; names the line and the fix
    """
    start, separator = 0, None
    for text in (line.strip().strip('"') for line in lines):
        if text[:4].lower() == "sep=" and len(text) == 5:
            separator = text[4]
        elif text.lower() == "sep=":  # a tab that was stripped
            separator = "\t"
        elif text and not (text.startswith("#") and not any(s in text for s in SEPARATORS)):
            break
        start += 1
    if start == len(lines):
        return []
    separator = separator or _separator(lines[start:])
    header = _quoted(lines[start].rstrip("\n"), separator)
    _refuse_blanks_of_r(path, lines, start, header)
    _refuse_comment(path, lines, start, separator, header)
    if header is None:
        raise HaloError(
            f"{path}: line {start + 1}, the header, has a quotation mark that is not closed"
        )
    return [(start + 1, header), *_body(path, lines, start + 1, separator, header)]


def _refuse_blanks_of_r(
    path: Path, lines: Sequence[str], start: int, header: Sequence[str] | None
) -> None:
    """Refuse a table whose quoted fields have blanks between them; its header is in line `start`.

    The header of R's tables lacks the column of row names, and can be a single field.
    """
    at = start if header is None else start + 1
    if header is not None and (len(header) > 1 or at == len(lines)):
        return
    if _OF_R.fullmatch(lines[at].strip()):
        raise HaloError(
            f"{path}: line {at + 1} has blanks between quoted fields, as R's write.table writes "
            'them; write the table by write.table(..., sep="\\t", quote=FALSE, row.names=FALSE) '
            "or write.csv(..., row.names=FALSE), with the ids as a column"
        )


def _refuse_comment(
    path: Path, lines: Sequence[str], start: int, separator: str, header: Sequence[str] | None
) -> None:
    """Refuse a first line that begins with ``#`` and is no header of the row below it."""
    if not lines[start].strip().strip('"').startswith("#"):
        return
    below = next((line.rstrip("\n") for line in lines[start + 1 :] if line.strip()), None)
    row = None if below is None or header is None else _fields(below, separator, len(header))
    if header is None or (row is not None and len(row) != len(header)):
        raise HaloError(
            f"{path}: line {start + 1}, which begins with '#' and has {separator!r}, is no header "
            "of the rows below it; remove the line if it is a comment"
        )


def _separator(lines: Sequence[str]) -> str:
    """The separator in the header for which most rows have the length of the header."""

    def fit(separator: str) -> tuple[float, int]:
        header = _quoted(lines[0].rstrip("\n"), separator) or lines[0].split(separator)
        rows = [line.rstrip("\n") for line in lines[1 : 1 + LOOKED_AT] if line.strip()]
        long = [len(row.split(separator)) >= len(header) for row in rows]
        exact = [len(_quoted(row, separator) or []) == len(header) for row in rows]
        return (sum(exact) + 0.5 * sum(long)) / max(len(rows), 1), len(header)

    candidates = [separator for separator in SEPARATORS if separator in lines[0]]
    return max(candidates, key=fit) if candidates else ","


def _body(
    path: Path, lines: Sequence[str], start: int, separator: str, header: Sequence[str]
) -> Iterator[Row]:
    """The rows from line index `start` on."""
    width, at = len(header), start
    while at < len(lines):
        text, used = lines[at].rstrip("\n"), 1
        fields = _fields(text, separator, width)
        if fields is None:
            fields, used = _several_lines(path, lines, at, separator, width)
        elif separator == "\t" and fields[-1].startswith('"') and _continues(lines, at, width):
            with suppress(HaloError):  # otherwise the mark is a letter, and the next line a fault
                fields, used = _several_lines(path, lines, at, separator, width)
        if any(field.strip() for field in fields):
            _check_width(path, at + 1, fields, header)
            yield at + 1, fields
        at += used


def _continues(lines: Sequence[str], at: int, width: int) -> bool:
    """Whether the line after `at`, in a table with tabs, cannot be a row of its own."""
    return at + 1 < len(lines) and len(lines[at + 1].split("\t")) < width


def _fields(text: str, separator: str, width: int) -> list[str] | None:
    """The fields of a line; None if a quotation mark is not closed.

    In a tab-separated table, a quotation mark is an ordinary letter unless it encloses a field,
    because programs that write such tables rarely quote.
    """
    if '"' not in text:
        return _cut(text.split(separator), width)
    if separator == "\t":
        plain = _cut(text.split(separator), width)
        if len(plain) == width:
            return [_unquoted(field) for field in plain]
    fields = _quoted(text, separator)
    return None if fields is None else _cut(fields, width)


def _cut(fields: list[str], width: int) -> list[str]:
    """The fields without empty ones beyond the last column of the header."""
    while len(fields) > width and not fields[-1].strip():
        fields.pop()
    return fields


def _unquoted(field: str) -> str:
    inner = field.strip()
    if len(inner) > 1 and inner[0] == inner[-1] == '"' and '"' not in inner[1:-1].replace('""', ""):
        return inner[1:-1].replace('""', '"')
    return field


def _quoted(text: str, separator: str) -> list[str] | None:
    """The fields of a text by the rules of CSV (RFC 4180); None if it violates them."""
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error:
        return None


def _several_lines(
    path: Path, lines: Sequence[str], at: int, separator: str, width: int
) -> tuple[list[str], int]:
    """A row with a line break within quotation marks, and its number of lines.

    Raises
    ------
    HaloError
        if the mark is not closed, or if one of the lines is a complete row, so that the mark was
        probably not meant to enclose a field
    """
    text = lines[at].rstrip("\n")
    for used, line in enumerate(lines[at + 1 : at + MOST_LINES], start=2):
        line = line.rstrip("\n")
        alone = _fields(line, separator, width)
        if alone is not None and len(alone) == width > 1:
            break
        text += "\n" + line
        fields = _quoted(text, separator)
        if fields is not None and len(_cut(fields, width)) == width:
            return _cut(fields, width), used
    raise HaloError(
        f"{path}: line {at + 1} has a quotation mark that is not closed, or next to another; "
        "to write a mark as text, enclose the field in marks and double the mark"
    )


def _check_width(path: Path, line: int, row: Sequence[str], names: Sequence[str]) -> None:
    if len(row) != len(names):
        missing = ", ".join(names[len(row) :])
        what = f"the last column(s) {missing} are missing" if missing else "too many"
        if len(row) == len(names) + 1:
            what += "; does the header lack the name of the first column, as from R's write.table?"
        raise HaloError(
            f"{path}: line {line} has {len(row)} fields, the header has {len(names)} ({what})"
        )


def require_columns(path: Path, table: pd.DataFrame, wanted: Mapping[str, str | None]) -> None:
    """Raise a HaloError if the table does not have the columns that the configuration names.

    `wanted` maps keys of the configuration to names of columns, or to None.
    """
    known = [name for name in table.columns if name != LINE]
    left_out = table.attrs.get(LEFT_OUT, {})
    missing = [
        f"no column {name!r}: {left_out[name]}"
        if name in left_out
        else f"no column {name!r}{_suggestion(name, known)}; change {key} in the configuration"
        for key, name in wanted.items()
        if name is not None and name not in known
    ]
    if missing:
        what = "The FASTA has" if table.attrs.get(FASTA) else "The file has"
        comment = (
            ". Its header begins with '#'; remove the line if it is a comment"
            if known and known[0].startswith("#")
            else ""
        )
        raise HaloError(f"{path}: {'; '.join(missing)}. {what}: {', '.join(known)}{comment}")


def _suggestion(name: str, known: Sequence[str]) -> str:
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""
