"""Tables in Excel workbooks (xlsx)."""

import datetime
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from halo.errors import HaloError
from halo.text import ZIP_MAGIC, zip_members

log = logging.getLogger(__name__)

Rows = list[tuple[int, list[str]]]  # row number from 1, and the texts of its cells


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook; HaloError for one of OpenDocument."""
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
    """Row number and texts of each row of the first sheet with content, all of one length.

    Rows without content are left out. Whole numbers lose the ``.0`` that they have in Excel.
    """
    import openpyxl  # takes as long as a small job: only where there is a workbook

    try:
        with path.open("rb") as file:  # whatever its name ends in
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = {sheet.title: _rows(path, sheet) for sheet in book.worksheets}
            book.close()
            if any("" in fields for rows in sheets.values() for _, fields in rows):
                _refuse_formulas(path, openpyxl.load_workbook(file, read_only=True), sheets)
    except HaloError:
        raise
    except Exception as error:  # what openpyxl raises for a damaged workbook has no common kind
        raise HaloError(f"{path}: not a readable workbook ({error}); save it again") from None
    filled = [name for name, rows in sheets.items() if rows]
    if len(filled) > 1:
        log.warning("%s: sheet %r is read, not %s", path, filled[0], ", ".join(filled[1:]))
    return sheets[filled[0]] if filled else []


def _refuse_formulas(path: Path, book: Any, sheets: Mapping[str, Rows]) -> None:
    """HaloError for a formula of which the workbook does not hold the value, as it would be blank.

    `book` has the formulas, `sheets` the values of each sheet.
    """
    for sheet in book.worksheets:
        values = dict(sheets[sheet.title])
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            for place, cell in enumerate(cells):
                found = values.get(number, [])
                formula = isinstance(cell, str) and cell.startswith("=")
                if formula and (place >= len(found) or not found[place]):
                    raise HaloError(
                        f"{path}: sheet {sheet.title!r}, row {number} has the formula {cell!r} and "
                        "not its value; open the workbook in Excel and save it, or save it as CSV"
                    )


def _rows(path: Path, sheet: Any) -> Rows:
    rows: Rows = []
    width = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
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
            "%s: row %s has the date %s: Excel makes dates of names such as SEPT2; format the "
            "column as text where it is none",
            path,
            row,
            cell.isoformat(),
        )
        return cell.isoformat()
    return str(cell)
