"""Matrices and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sweeper.analysis.matrix import TransferMatrix
from sweeper.report.cells import Shown, bold, notes, shown, title
from sweeper.report.values import is_number, readable

if TYPE_CHECKING:
    import pandas as pd


def markdown(matrix: TransferMatrix) -> str:
    """A matrix as a Markdown table: best of a column in bold, the notes below it."""
    header = ["intermediate", *(markdown_text(column.label) for column in matrix.columns)]
    body = [
        [
            markdown_text(row),
            *(_markdown_cell(shown(matrix, row, column)) for column in matrix.columns),
        ]
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


def _markdown_cell(cell: Shown) -> str:
    if not cell.value:
        return f"*{cell.state}*"
    value = f"**{cell.value}**" if cell.best else cell.value
    return value + markdown_text(cell.after)


def markdown_table(frame: pd.DataFrame) -> str:
    """A table of rows as Markdown."""
    body = [
        [markdown_text(readable(value)) for value in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    right = [is_number(frame[name]) for name in frame.columns]
    header = [markdown_text(str(name)) for name in frame.columns]
    return "\n".join([*pipes(header, body, right), ""])


def pipes(
    header: Sequence[str], body: Iterable[Sequence[str]], right: Sequence[bool]
) -> list[str]:
    """The lines of a table of Markdown; ``right`` says which columns hold numbers."""
    lines = [f"| {' | '.join(row)} |" for row in [header, *body]]
    rulers = " | ".join("---:" if number else "---" for number in right)
    return [lines[0], f"| {rulers} |", *lines[1:]]


def markdown_text(text: str) -> str:
    """Text that Markdown cannot take for markup, in a table neither."""
    for character in ("\\", "|", "<", "_", "*"):
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
