"""Matrices and tables as LaTeX, for booktabs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sweeper.analysis.matrix import TransferMatrix
from sweeper.report.cells import Shown, bold, notes, shown, title
from sweeper.report.values import is_number, readable

if TYPE_CHECKING:
    import pandas as pd


def latex(matrix: TransferMatrix) -> str:
    r"""A matrix as a LaTeX table for booktabs (``\usepackage{booktabs}``), with its caption."""
    body = [
        [latex_text(row), *(_latex_cell(shown(matrix, row, column)) for column in matrix.columns)]
        for row in matrix.rows
    ]
    caption = " ".join([f"{title(matrix)}.", *notes(matrix), *_marks(matrix), *bold(matrix)])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(caption)}}}",
            rf"\label{{tab:{'-'.join(_named(matrix))}}}",
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


def _named(matrix: TransferMatrix) -> Iterator[str]:
    """What tells a study's matrices apart."""
    yield from (matrix.study, matrix.value)
    if matrix.by != "task":
        yield matrix.by


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


def latex_table(frame: pd.DataFrame) -> str:
    """A table of rows as a LaTeX tabular for booktabs."""
    alignment = "".join("r" if is_number(frame[name]) else "l" for name in frame.columns)
    body = [
        " & ".join(latex_text(readable(value)) for value in row) + r" \\"
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
    "\n": " ",  # two of them would end a paragraph
}


def latex_text(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in text)
