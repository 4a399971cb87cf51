"""Readers of the tables and FASTA files that users have."""

import csv
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from halo.errors import HaloError
from halo.files import open_text

LINE = "line"  # column with the line at which a record starts


def read_records(path: Path) -> pd.DataFrame:
    """Read a CSV, a TSV or a FASTA, plain or gzipped, told apart by the first character.

    All columns are text, missing values ``""``; a column ``line`` holds the line of the
    file at which the record starts. A FASTA gives the columns ``id`` (the header up to
    the first blank) and ``sequence``. HaloError with the line where the file is malformed.
    """
    path = Path(path)
    try:
        with open_text(path) as file:
            is_fasta = file.read(1) == ">"
        return _read_fasta(path) if is_fasta else read_table(path)
    except FileNotFoundError:
        raise HaloError(f"{path}: there is no such file") from None
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise HaloError(f"{path}: not a readable text or gzip file ({error})") from None


@dataclass
class _FastaRecord:
    id: str
    line: int
    parts: list[str]


def _read_fasta(path: Path) -> pd.DataFrame:
    records: list[_FastaRecord] = []
    with open_text(path) as file:
        for number, text in enumerate(file, start=1):
            text = text.strip()
            if text.startswith(">"):
                words = text[1:].split(maxsplit=1)
                records.append(_FastaRecord(words[0] if words else "", number, []))
            elif text and not text.startswith(";"):
                records[-1].parts.append(text)
    return pd.DataFrame(
        {
            "id": [record.id for record in records],
            "sequence": ["".join(record.parts) for record in records],
            LINE: [record.line for record in records],
        }
    ).astype({"id": str, "sequence": str})


def read_table(path: Path) -> pd.DataFrame:
    """Read a table with a header, separated by commas, tabs or semicolons.

    The separator is the one of the three that the header has most of. A row with too
    many or too few fields is an error that names its line.
    """
    with open_text(path) as file:
        header = file.readline()
        if not header.strip():
            raise HaloError(f"{path}: empty, or without a header line")
        separator = max(",\t;", key=header.count)
        file.seek(0)
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            names = [name.strip() for name in next(reader)]
            _check_header(path, names)
            lines, rows, start = [], [], reader.line_num + 1
            for row in reader:
                if row:
                    _check_width(path, start, row, names)
                    lines.append(start)
                    rows.append(row)
                start = reader.line_num + 1
        except csv.Error as error:
            raise HaloError(
                f"{path}: line {reader.line_num} is malformed ({error}); "
                "look for a quotation mark that is not closed"
            ) from None
    table = pd.DataFrame(rows, columns=names, dtype=str)
    return table.apply(lambda column: column.str.strip()).assign(**{LINE: lines})


def _check_header(path: Path, names: list[str]) -> None:
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise HaloError(f"{path}: the header has {', '.join(duplicates)} more than once; rename")
    if any(name.startswith(">") for name in names):
        raise HaloError(f"{path}: neither a table with a header nor a FASTA file")
    if LINE in names:
        raise HaloError(f"{path}: a column must not be called {LINE!r}; rename it")


def _check_width(path: Path, line: int, row: list[str], names: list[str]) -> None:
    if len(row) != len(names):
        missing = [name for name, value in zip_longest(names, row) if value is None]
        what = f"the last column(s) {', '.join(missing)} are missing" if missing else "too many"
        raise HaloError(
            f"{path}: line {line} has {len(row)} fields, the header has {len(names)} ({what})"
        )


def require_columns(path: Path, table: pd.DataFrame, wanted: dict[str, str | None]) -> None:
    """HaloError where a column that the configuration names is not in the table.

    `wanted` maps the configuration's key to the name of the column, or None.
    """
    known = [name for name in table.columns if name != LINE]
    for key, name in wanted.items():
        if name is not None and name not in known:
            raise HaloError(
                f"{path}: no column {name!r}; change {key} in the configuration. "
                f"The file has: {', '.join(known)}"
            )
