"""Matrices and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sweeper.analysis.matrix import Column, TransferMatrix
from sweeper.report.cells import Shown, bold, notes, shown, title
from sweeper.report.values import is_number, readable

if TYPE_CHECKING:
    import pandas as pd


def markdown(matrix: TransferMatrix) -> str:
    """A matrix as a Markdown table: best of a column in bold, the notes below it."""
    header = ["intermediate", *(_plain_name(column) for column in matrix.columns)]
    body = [
        [row, *(_markdown_cell(shown(matrix, row, column)) for column in matrix.columns)]
        for row in matrix.rows
    ]
    below = [f"- {markdown_text(note)}" for note in [*notes(matrix), *bold(matrix)]]
    return "\n".join(
        [
            f"**{matrix.study}.** {title(matrix)}.",
            "",
            *pipes(header, body, [False] + [True] * len(matrix.columns)),
            "",
            *below,
            "",
        ]
    )


def _plain_name(column: Column) -> str:
    return column.target if column.language is None else f"{column.target} {column.language}"


def _markdown_cell(cell: Shown) -> str:
    if not cell.value:
        return f"*{cell.state}*"
    return f"{f'**{cell.value}**' if cell.best else cell.value}{cell.after}"


def markdown_table(frame: pd.DataFrame) -> str:
    """A table of rows as Markdown."""
    body = [[readable(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    right = [is_number(frame[name]) for name in frame.columns]
    return "\n".join([*pipes([str(name) for name in frame.columns], body, right), ""])


def pipes(
    header: Sequence[str], body: Iterable[Sequence[str]], right: Sequence[bool]
) -> list[str]:
    """The lines of a table; ``right`` says which columns hold numbers. Its text is escaped."""
    lines = [
        "| " + " | ".join(markdown_text(said) for said in row) + " |" for row in [header, *body]
    ]
    rulers = " | ".join("---:" if number else "---" for number in right)
    return [lines[0], f"| {rulers} |", *lines[1:]]


def markdown_text(text: str) -> str:
    """Text that a Markdown table cannot take for markup of its own."""
    for character in ("\\", "|", "<", "_"):
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
