"""The transfer matrix as a heat map: PNG, SVG or PDF."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl

from sweeper.analysis.cell import Column
from sweeper.analysis.matrix import TransferMatrix
from sweeper.errors import StoreError, suggest
from sweeper.report.cells import BRACKETS, bold, head, notes, shown, title
from sweeper.report.heatmap import draw
from sweeper.report.panels import Panel, Scale, Spot
from sweeper.states import DONE

FORMATS = ("png", "svg", "pdf")
WIDTH = 10.0
"""Inches that a figure is wide at most, unless asked otherwise."""
NARROWEST, WIDEST = 3.0, 100.0

MOST = 65_000
"""Pixels of a PNG either way: more, and it cannot be made."""

_BELOW = ("†", "‡", "*", "No test", "Intervals", "Incomplete", "Bold")
"""How the sentences begin that are needed to read a figure; the others are in its metadata."""

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and edited
    "svg.hashsalt": "sweeper",
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.8,
}


def figure(matrix: TransferMatrix, format: str, width: float = WIDTH) -> bytes:
    """A matrix as a heat map, as a file's content.

    Gains are coloured from red through white, which is 0, to blue. A cell without a value is
    hatched and says its state; one that lacks seeds has a dashed border. Errors and intervals
    stand where a column is a target or a category. The sentences that stand below a printed matrix
    are in the file's metadata.

    Args:
        matrix: What to draw.
        format: One of `FORMATS`.
        width: Inches; columns that do not fit beside each other are continued below.

    Raises:
        StoreError: there is no such format, a width without sense, or nothing to draw.
    """
    if format not in FORMATS:
        raise StoreError(f"There is no figure of format {format!r}.{suggest(format, FORMATS)}")
    if not NARROWEST <= width <= WIDEST:
        raise StoreError(
            f"A figure is {NARROWEST:g} to {WIDEST:g} inches wide; you asked for {width:g}."
        )
    if not matrix.rows or not matrix.columns:
        raise StoreError(
            f"The matrix of {matrix.value}s has no cells, so there is nothing to draw. Add an "
            "intermediate or a target to the study."
        )
    said = [*notes(matrix), *bold(matrix)]
    below = [note for note in said if note.startswith(_BELOW)]
    if any(head(column).startswith("(") for column in matrix.columns):
        below.insert(0, BRACKETS)
    spread = all(column.group is None for column in matrix.columns)  # narrow cells, if many
    if not spread:
        below = [note for note in below if not note.startswith("Intervals")]
    with mpl.rc_context(_SETTINGS):
        heading = title(matrix, spread=spread)
        drawn = draw(_panels(matrix, spread), matrix.study, heading, below, width)
        buffer = io.BytesIO()
        about = _metadata(format, f"{matrix.study}. {title(matrix)}", " ".join(said))
        dpi = min(200.0, MOST / max(drawn.get_size_inches()))
        drawn.savefig(buffer, format=format, dpi=dpi, metadata=about)
    return buffer.getvalue()


def _panels(matrix: TransferMatrix, spread: bool) -> list[Panel]:
    """A panel per kind of value; by language and the like, one per target."""
    groups: dict[tuple[str, Scale], list[Column]] = {}
    for column in matrix.columns:
        named = column.target if column.group is not None else ""
        groups.setdefault((named, _scale(matrix, column)), []).append(column)
    return [
        Panel(
            title=named,
            rows=matrix.rows,
            columns=[head(column) for column in columns],
            spots=[
                [_spot(matrix, row, column, spread) for column in columns] for row in matrix.rows
            ],
            scale=scale,
        )
        for (named, scale), columns in groups.items()
    ]


def _scale(matrix: TransferMatrix, column: Column) -> Scale:
    if matrix.value == "gain":
        unit = "nats" if column.unit == "nats" else "points"
        return Scale(f"gain over none, {unit}", diverging=True)
    less = "" if column.higher_is_better else " (less is better)"
    return Scale(f"{column.unit}{less}", diverging=False, reverse=not column.higher_is_better)


def _spot(matrix: TransferMatrix, row: str, column: Column, spread: bool) -> Spot:
    said, cell = shown(matrix, row, column), matrix.cell(row, column)
    if cell.value is None:
        return Spot(None, said.state, complete=False)
    seeds = f"({said.seeds})" if said.seeds else ""
    return Spot(
        cell.value,
        f"{said.value}{said.stars}{said.marks}".replace("-", "\N{MINUS SIGN}"),
        " ".join(filter(None, (said.spread if spread else "", seeds))).replace(
            "-", "\N{MINUS SIGN}"
        ),
        bold=said.best,
        complete=cell.state == DONE,
    )


def _metadata(format: str, heading: str, said: str) -> dict[str, str | None]:
    """Title and notes; no date, so that the same matrix is the same file."""
    if format == "pdf":
        return {"Title": heading, "Subject": said, "CreationDate": None}
    dated = {"Date": None} if format == "svg" else {}
    return {"Title": heading, "Description": said, **dated}
