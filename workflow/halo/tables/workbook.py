"""Read tables from Excel workbooks (xlsx)."""

import datetime
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from halo.errors import HaloError
from halo.text import ZIP_MAGIC, zip_members

log = logging.getLogger(__name__)

MOST_ROWS = 1_048_576  # the limit of Excel
LONGEST_CELL = 32_767  # characters; Excel and openpyxl cut longer texts without a word

Rows = list[tuple[int, list[str]]]  # row number from 1, and the texts of its cells


def is_workbook(path: Path) -> bool:
    """Whether a file is an Excel workbook.

    Raises
    ------
    HaloError
        if it is an OpenDocument file
    """
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(4) != ZIP_MAGIC:
            return False
    members = zip_members(path)
    if "mimetype" in members and "content.xml" in members:
        raise HaloError(f"{path}: an OpenDocument file; save it as xlsx or CSV")
    return "xl/workbook.xml" in members


def workbook_rows(path: Path) -> Rows:
    """Row number and cells (as text) of each row of the first sheet with content.

    All rows have the same length; empty rows are skipped. Whole numbers are written without the
    ``.0`` that they have in Excel.

    Raises
    ------
    HaloError
        if the workbook is damaged, a row is too long, a formula has no stored value, or a
        cell is as long as a cell can be
    """
    import openpyxl  # slow to import, and rarely needed

    try:
        with path.open("rb") as file:  # whatever its name ends in
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = {sheet.title: _rows(path, sheet) for sheet in book.worksheets}
            book.close()
            if any("" in fields for rows in sheets.values() for _, fields in rows):
                _refuse_formulas(path, openpyxl.load_workbook(file, read_only=True), sheets)
    except HaloError:
        raise
    except Exception as error:  # openpyxl raises exceptions of many types for damaged workbooks
        raise HaloError(f"{path}: not a readable workbook ({error}); save it again") from None
    filled = [name for name, rows in sheets.items() if rows]
    if len(filled) > 1:
        log.warning("%s: sheet %r is read, not %s", path, filled[0], ", ".join(filled[1:]))
    return sheets[filled[0]] if filled else []


def _refuse_formulas(path: Path, book: Any, sheets: Mapping[str, Rows]) -> None:
    """Raise a HaloError for a formula without a stored value, which would be read as blank.

    `book` has the formulas, `sheets` the values of each sheet.
    """
    for sheet in book.worksheets:
        values = dict(sheets[sheet.title])
        for number, cells in _cells(path, sheet):
            for place, cell in enumerate(cells):
                fields = values.get(number, [])
                formula = isinstance(cell, str) and cell.startswith("=")
                if formula and (place >= len(fields) or not fields[place]):
                    raise HaloError(
                        f"{path}: sheet {sheet.title!r}, row {number} has the formula {cell!r} and "
                        "not its value; open the workbook in Excel and save it, or save it as CSV"
                    )


def _cells(path: Path, sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Number and cells of each row, which ends with its last cell.

    The size that a sheet states of itself is ignored: programs write wrong ones, and openpyxl
    would leave out all that is beyond it.
    """
    sheet.reset_dimensions()
    rows = sheet.iter_rows(max_row=MOST_ROWS + 1, values_only=True)
    for number, cells in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise HaloError(
                f"{path}: sheet {sheet.title!r} has a row beyond {MOST_ROWS:,}, the last one of "
                "Excel; save it again"
            )
        yield number, cells


def _rows(path: Path, sheet: Any) -> Rows:
    rows: Rows = []
    width = 0
    for number, cells in _cells(path, sheet):
        fields = [_text(path, number, cell) for cell in cells]
        while fields and not fields[-1].strip():
            fields.pop()
        if not fields:
            continue
        width = width or len(fields)
        if len(fields) > width:
            raise HaloError(
                f"{path}: sheet {sheet.title!r}, row {number} has {len(fields)} cells, the header "
                f"has {width}; name the columns, or remove the cells"
            )
        rows.append((number, fields + [""] * (width - len(fields))))
    return rows


def _text(path: Path, row: int, cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (datetime.date, datetime.time)):
        log.warning(
            "%s: row %s has the date %s: Excel converts names such as SEPT2 to dates; format the "
            "column as text if it does not hold dates",
            path,
            row,
            cell.isoformat(),
        )
        return cell.isoformat()
    text = str(cell)
    if len(text) >= LONGEST_CELL:
        raise HaloError(
            f"{path}: row {row} has a cell of {len(text):,} characters, the most that a workbook "
            "holds: longer texts were cut when it was saved; save the table as CSV"
        )
    return text
