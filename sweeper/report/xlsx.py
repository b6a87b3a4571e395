"""Matrices and tables as workbooks of Excel (XLSX)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from sweeper.analysis.cell import Column
from sweeper.analysis.matrix import TransferMatrix
from sweeper.errors import StoreError
from sweeper.report.cells import Shown, bold, notes, places, shown, title
from sweeper.report.values import lacks
from sweeper.states import DONE

if TYPE_CHECKING:
    import pandas as pd

LONGEST, MOST = 32_767, 1_048_576
"""Characters of a cell, and rows of a sheet: what the format holds."""

_INCOMPLETE = PatternFill("lightUp", fgColor="808080")
_WIDEST = 60


def workbook(matrix: TransferMatrix) -> bytes:
    """A matrix as a workbook: as it is read, with its notes, and a sheet with a row per cell.

    Values are numbers; errors and marks stand in their formats. Incomplete cells are hatched, and
    one without a value says its state.
    """
    book = Workbook()
    sheet: Any = book.active
    sheet.title = "matrix"
    sheet.append([f"{matrix.study}. {title(matrix)}."])
    sheet["A1"].font = Font(bold=True)
    sheet.append([])
    for place, said in enumerate(_headers(matrix), 3):
        for number, name in enumerate(said, 1):
            head = _put(sheet.cell(place, number), name)
            head.font = Font(bold=True)
            head.alignment = Alignment(horizontal="left" if number == 1 else "right")
    first = sheet.max_row + 1
    for place, row in enumerate(matrix.rows, first):
        _put(sheet.cell(place, 1), row)
        for number, column in enumerate(matrix.columns, 2):
            _matrix_cell(sheet.cell(place, number), matrix, row, column)
    sheet.freeze_panes = sheet.cell(first, 2)
    for place, note in enumerate([*notes(matrix), *bold(matrix)], first + len(matrix.rows) + 1):
        _put(sheet.cell(place, 1), note)
    _widen(sheet, matrix)
    _fill(book.create_sheet("cells"), matrix.to_frame())
    return _saved(book)


def table(frame: pd.DataFrame) -> bytes:
    """A table as a workbook with one sheet.

    Raises:
        StoreError: it has more rows than a sheet, or a text is longer than a cell holds.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet("rows")
    try:
        _fill(sheet, frame)
    except StoreError:
        sheet.close()  # it writes to a temporary file
        raise
    return _saved(book)


def _headers(matrix: TransferMatrix) -> list[list[str]]:
    if all(column.group is None for column in matrix.columns):
        return [["intermediate", *(column.target for column in matrix.columns)]]
    return [
        ["", *(column.target for column in matrix.columns)],
        ["intermediate", *(column.group or "" for column in matrix.columns)],
    ]


def _matrix_cell(cell: Any, matrix: TransferMatrix, row: str, column: Column) -> None:
    said, known = shown(matrix, row, column), matrix.cell(row, column)
    cell.alignment = Alignment(horizontal="right")
    if known.value is None:
        _put(cell, said.state).font = Font(italic=True)
    else:
        cell.value = known.value
        cell.number_format = _number_format(said, places(column.unit), matrix.value == "gain")
        cell.font = Font(bold=said.best)
    if known.state != DONE:
        cell.fill = _INCOMPLETE


def _number_format(said: Shown, digits: int, signed: bool) -> str:
    """How a number is shown, with what stands after it: it stays a number to reckon with."""
    number = f"0.{'0' * digits}"
    after = f'"{said.after}"' if said.after else ""
    plus = "+" if signed else ""
    return f"{plus}{number}{after};-{number}{after};{plus}{number}{after}"


def _widen(sheet: Any, matrix: TransferMatrix) -> None:
    sheet.column_dimensions["A"].width = 2 + max(map(len, ["intermediate", *matrix.rows]))
    for number, column in enumerate(matrix.columns, 2):
        cells = [shown(matrix, row, column) for row in matrix.rows]
        texts = [column.target, *(f"{cell.value or cell.state}{cell.after}" for cell in cells)]
        sheet.column_dimensions[get_column_letter(number)].width = 2 + max(map(len, texts))


# ---- tables -----------------------------------------------------------------------------------


def _fill(sheet: Any, frame: pd.DataFrame) -> None:
    """A sheet with a header that stays in view and a row per row of the frame."""
    if len(frame) >= MOST:
        raise StoreError(
            f"A sheet of XLSX has {MOST:,} rows, one of them the header; these are "
            f"{len(frame):,}. Export as csv or parquet."
        )
    names = [str(name) for name in frame.columns]
    for number, name in enumerate(names, 1):
        texts = (len(str(value)) for value in frame.iloc[:100, number - 1])
        width = 2 + min(_WIDEST, max([len(name), *texts]))
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.freeze_panes = "A2"
    sheet.append([_bold(sheet, name) for name in names])
    for row in frame.itertuples(index=False, name=None):
        sheet.append([_value(sheet, value) for value in row])
    sheet.auto_filter.ref = f"A1:{get_column_letter(max(1, len(names)))}{len(frame) + 1}"


def _bold(sheet: Any, name: str) -> Any:
    cell = _put(WriteOnlyCell(sheet), name)
    cell.font = Font(bold=True)
    return cell


def _value(sheet: Any, value: Any) -> Any:
    if isinstance(value, Iterable) and not isinstance(value, str):
        value = json.dumps(list(value))
    if lacks(value):
        return None
    return _put(WriteOnlyCell(sheet), value) if isinstance(value, str) else value


def _put(cell: Any, text: str) -> Any:
    """A text as it is: one that begins with "=" is no formula, one like "#N/A" no error."""
    if len(text) > LONGEST:
        raise StoreError(
            f"A cell of XLSX holds {LONGEST:,} characters; a text here has {len(text):,} "
            f"({text[:40]!r}...). Export as csv or parquet."
        )
    cell.value = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", text)
    if cell.value:
        cell.data_type = "s"
    return cell


def _saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()
