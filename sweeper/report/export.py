"""Matrices and tables as CSV, Parquet, Markdown and LaTeX."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

from sweeper.analysis.cell import Column
from sweeper.analysis.matrix import TransferMatrix
from sweeper.errors import StoreError, suggest
from sweeper.report.cells import Shown, notes, shown, title

if TYPE_CHECKING:
    import pandas as pd

FOR_MACHINES = (
    *("job", "unit", "address", "attempt", "checkpoint", "representation", "main"),
    *("parents", "versions", "curve", "selections", "ranking"),
)
"""Columns that only CSV and Parquet have: nobody reads them in a text."""

FORMATS = ("csv", "parquet", "markdown", "latex")


def export(data: TransferMatrix | pd.DataFrame, format: str) -> bytes:
    """A matrix or a table in one of `FORMATS`, as a file's content.

    In CSV and Parquet a matrix is long: a row per cell with value, error, seeds, state and flags.

    Raises:
        StoreError: there is no such format.
    """
    if format not in FORMATS:
        raise StoreError(f"There is no export format {format!r}.{suggest(format, FORMATS)}")
    if format == "csv":
        return _flat(_frame(data)).to_csv(index=False, lineterminator="\n").encode()
    if format == "parquet":
        buffer = io.BytesIO()
        _frame(data).to_parquet(buffer, index=False, compression="zstd")
        return buffer.getvalue()
    if isinstance(data, TransferMatrix):
        text = markdown(data) if format == "markdown" else latex(data)
    else:
        read = data.drop(columns=[name for name in FOR_MACHINES if name in data.columns])
        text = markdown_table(read) if format == "markdown" else latex_table(read)
    return text.encode()


def _frame(data: TransferMatrix | pd.DataFrame) -> pd.DataFrame:
    return data.to_frame() if isinstance(data, TransferMatrix) else data


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """With lists as JSON, for a format that has none."""
    if "ranking" not in frame:
        return frame
    told = frame["ranking"].map(lambda ids: json.dumps(list(ids)), na_action="ignore")
    return frame.assign(ranking=told)


# ---- Markdown ---------------------------------------------------------------------------------


def markdown(matrix: TransferMatrix) -> str:
    """A matrix as a Markdown table: best of a column in bold, the notes below it."""
    header = ["intermediate", *(_plain_name(column) for column in matrix.columns)]
    body = [
        [row, *(_markdown_cell(shown(matrix, row, column)) for column in matrix.columns)]
        for row in matrix.rows
    ]
    below = [f"- {_markdown_text(note)}" for note in [*notes(matrix), *_bold(matrix)]]
    return "\n".join(
        [f"**{matrix.study}.** {title(matrix)}.", "", *_pipes(header, body), "", *below, ""]
    )


def _plain_name(column: Column) -> str:
    return column.target if column.group is None else f"{column.target} {column.group}"


def _markdown_cell(cell: Shown) -> str:
    if not cell.value:
        return f"*{cell.state}*"
    value = f"**{cell.value}**" if cell.best else cell.value
    spread = f" {cell.interval}" if cell.interval else f" ± {cell.error}" if cell.error else ""
    marks = ("†" if cell.flagged else "") + ("‡" if cell.collapsed else "")
    seeds = f" ({cell.seeds} seeds)" if cell.seeds else ""
    return f"{value}{cell.stars}{spread}{seeds}{f' {marks}' if marks else ''}"


def markdown_table(frame: pd.DataFrame) -> str:
    """A table of rows as Markdown."""
    body = [[_text(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return "\n".join([*_pipes([str(name) for name in frame.columns], body, frame), ""])


def _pipes(
    header: list[str], body: list[list[str]], frame: pd.DataFrame | None = None
) -> list[str]:
    right = ["---:"] * len(header) if frame is None else [_ruler(frame[n]) for n in frame.columns]
    if frame is None:
        right[0] = "---"
    rows = [header, *body]
    lines = ["| " + " | ".join(_markdown_text(text) for text in row) + " |" for row in rows]
    return [lines[0], "| " + " | ".join(right) + " |", *lines[1:]]


def _ruler(series: pd.Series[Any]) -> str:
    return "---:" if _is_number(series) else "---"


def _markdown_text(text: str) -> str:
    """Text that a Markdown table cannot take for markup of its own."""
    for character in ("\\", "|", "<", "_"):
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")


# ---- LaTeX ------------------------------------------------------------------------------------


def latex(matrix: TransferMatrix) -> str:
    r"""A matrix as a LaTeX table for booktabs (``\usepackage{booktabs}``), with its caption."""
    body = [
        [latex_text(row), *(_latex_cell(shown(matrix, row, column)) for column in matrix.columns)]
        for row in matrix.rows
    ]
    caption = " ".join([f"{title(matrix)}.", *notes(matrix), *_marks(matrix), *_bold(matrix)])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(caption)}}}",
            rf"\label{{tab:{matrix.study}-{matrix.value}}}",
            rf"\begin{{tabular}}{{l{'r' * len(matrix.columns)}}}",
            r"\toprule",
            *_latex_header(matrix),
            r"\midrule",
            *(" & ".join(row) + r" \\" for row in body),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_header(matrix: TransferMatrix) -> list[str]:
    if all(column.group is None for column in matrix.columns):
        names = [latex_text(column.target) for column in matrix.columns]
        return [" & ".join(["intermediate", *names]) + r" \\"]
    groups: list[tuple[str, int]] = []
    for column in matrix.columns:
        if groups and groups[-1][0] == column.target:
            groups[-1] = (column.target, groups[-1][1] + 1)
        else:
            groups.append((column.target, 1))
    above, rules, place = [""], [], 2
    for target, count in groups:
        above.append(rf"\multicolumn{{{count}}}{{c}}{{{latex_text(target)}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
        place += count
    below = ["intermediate", *(latex_text(column.group or "") for column in matrix.columns)]
    return [" & ".join(above) + r" \\", " ".join(rules), " & ".join(below) + r" \\"]


def _latex_cell(cell: Shown) -> str:
    if not cell.value:
        return rf"\textit{{{latex_text(cell.state)}}}"
    number = cell.value.replace("-", "$-$").replace("+", "$+$")
    value = rf"\textbf{{{number}}}" if cell.best else number
    spread = cell.interval.replace("-", "$-$").replace("+", "$+$")
    if not spread and cell.error:
        spread = rf"$\pm$ {cell.error}"
    error = rf" {{\scriptsize {spread}}}" if spread else ""
    marks = (r"\dagger" if cell.flagged else "", r"\ddagger" if cell.collapsed else "")
    above = (cell.stars, cell.seeds, *marks)
    raised = ",".join(mark for mark in above if mark)
    return f"{value}{error}" + (f"$^{{{raised}}}$" if raised else "")


def _marks(matrix: TransferMatrix) -> list[str]:
    """What raised fractions mean, where there are any."""
    cells = [shown(matrix, row, column) for row in matrix.rows for column in matrix.columns]
    found = next((cell.seeds for cell in cells if cell.seeds), "")
    if not found:
        return []
    done, all_ = found.split("/")
    return [f"Raised {found}: the mean of {done} of {all_} seeds."]


def _bold(matrix: TransferMatrix) -> list[str]:
    any_best = any(matrix.best_rows(column) for column in matrix.columns)
    return ["Bold: the best of its column."] if any_best else []


def latex_table(frame: pd.DataFrame) -> str:
    """A table of rows as a LaTeX tabular for booktabs."""
    alignment = "".join("r" if _is_number(frame[name]) else "l" for name in frame.columns)
    body = [
        " & ".join(latex_text(_text(value)) for value in row) + r" \\"
        for row in frame.itertuples(index=False, name=None)
    ]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(latex_text(str(name)) for name in frame.columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
}


def latex_text(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in text)


# ---- values of tables -------------------------------------------------------------------------


def _is_number(series: pd.Series[Any]) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(series) and not is_bool_dtype(series)


def _lacks(value: Any) -> bool:
    missing = isinstance(value, float) and math.isnan(value)
    return value is None or missing or str(value) == "<NA>"


def _text(value: Any) -> str:
    if _lacks(value):
        return ""
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
