"""The transfer matrix as a heat map, as Plotly has it, and its cells in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeper.analysis.cell import Column, MatrixCell
from sweeper.analysis.matrix import TransferMatrix
from sweeper.progress import DONE
from sweeper.report.cells import Shown, shown
from sweeper.report.webpage.figures import Figure, plain

_GAINS = [
    [0.0, "#b2182b"],
    [0.25, "#ef8a62"],
    [0.5, "#f7f7f7"],
    [0.75, "#67a9cf"],
    [1.0, "#2166ac"],
]
"""Red to blue over white: ColorBrewer's RdBu, which is safe for colour-blind people."""

CELL_WIDTH, CELL_HEIGHT, LETTER = 56, 34, 8
"""Pixels of a cell that has room for its number, and of a letter of a column's name."""

MOST_SEEDS = 4
"""Seeds of which a cell's box says what their searches chose."""


def heat_map(matrix: TransferMatrix, chosen: Mapping[tuple[str, str], Sequence[str]]) -> Figure:
    """A matrix as a heat map; gains centred at 0, cells without a value marked by their state.

    Args:
        matrix: The matrix, or the columns of it that are to be seen.
        chosen: (row, target) -> what its search chose, per seed, for the box beside the pointer.
    """
    columns = matrix.columns
    labels = [plain(column.group or column.target) for column in columns]
    rows = [plain(row) for row in matrix.rows]
    cells = [[matrix.cell(row, column) for column in columns] for row in matrix.rows]
    values = [[cell.value for cell in line] for line in cells]
    found = [[shown(matrix, row, column) for column in columns] for row in matrix.rows]
    told = [
        [
            _told(matrix, row, column, one, chosen.get((row, column.target), ()))
            for column, one in zip(columns, line, strict=True)
        ]
        for row, line in zip(matrix.rows, found, strict=True)
    ]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": labels,
        "y": rows,
        "z": values,
        "customdata": told,
        "text": [
            [_inside(one, column) for one, column in zip(line, columns, strict=True)]
            for line in found
        ],
        "texttemplate": "%{text}",
        "hoverongaps": True,
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "%{customdata}<extra></extra>",
        "colorbar": {
            "title": {"text": "points" if matrix.value == "gain" else columns[0].unit},
            "thickness": 12,
        },
    }
    if matrix.value == "gain":
        most = max((abs(v) for line in values for v in line if v is not None), default=1.0)
        trace |= {"colorscale": _GAINS, "zmid": 0, "zmin": -most or -1.0, "zmax": most or 1.0}
    else:
        trace |= {"colorscale": "Cividis"}
    widest = max(len(text) for text in (*labels, *trace["text"][0], ""))
    lacking = [
        {
            "x": labels[j],
            "y": rows[i],
            "text": plain(_mark(cell)),
            "showarrow": False,
            "font": {"size": 11},
            "hovertext": told[i][j],
        }
        for i, line in enumerate(cells)
        for j, cell in enumerate(line)
        if cell.value is None
    ]
    return {
        "rows": list(matrix.rows),
        "columns": [column.group or column.target for column in columns],
        "texts": [list(map(_text, *lines)) for lines in zip(found, cells, strict=True)],
        "data": [trace],
        "layout": {
            "annotations": lacking,
            "xaxis": {"side": "top", "type": "category", "tickangle": 0},
            "yaxis": {"autorange": "reversed", "type": "category"},
            "height": 140 + CELL_HEIGHT * len(rows),
            "minwidth": 150 + max(CELL_WIDTH, LETTER * widest) * len(labels),
        },
    }


def _mark(cell: MatrixCell) -> str:
    return cell.state if cell.state != DONE else "-"


def _inside(found: Shown, column: Column) -> str:
    """A cell's number and marks; its interval or error, where a column is no part of a target."""
    if not found.value:
        return ""
    beside = f" {found.spread}" if found.spread and column.group is None else ""
    return f"{found.value}{beside}{_marks(found)}"


def _text(found: Shown, cell: MatrixCell) -> str:
    """A cell of the table below the map."""
    if not found.value:
        return _mark(cell)
    error = f" ± {found.error}" if found.error else ""
    interval = f" {found.interval}" if found.interval else ""
    return f"{found.value}{error}{interval}{_marks(found)}"


def _marks(found: Shown) -> str:
    seeds = f" ({found.seeds})" if found.seeds else ""
    return f"{found.stars}{found.marks}{seeds}"


def _told(
    matrix: TransferMatrix, row: str, column: Column, found: Shown, chosen: Sequence[str]
) -> str:
    """All that is known of a cell, line by line."""
    cell = matrix.cell(row, column)
    error = f" ± {found.error}" if found.error else ""
    number = f"{found.value}{error} {plain(column.unit)}" if found.value else "none"
    seeds = _few([str(seed) for seed in cell.seeds]) or "none"
    lines = [
        f"<b>{plain(row)}</b> on <b>{plain(column.label)}</b>",
        f"{matrix.value}: {number} ({plain(column.metric)})",
        *_certainty(cell, found),
        f"state: {plain(cell.state)}; seeds: {seeds} (of {len(matrix.seeds)})",
        f"examples: {cell.n or 0:,}; languages: {_few(column.languages)}",
        *(f"chosen, {plain(one)}" for one in chosen[:MOST_SEEDS]),
        *([f"and {left} more seeds"] if (left := len(chosen) - MOST_SEEDS) > 0 else []),
        *(["every seed is the same computation"] if cell.deterministic else []),
        *(f"† {plain(flag)}" for flag in cell.overlap),
    ]
    return "<br>".join(lines)


def _certainty(cell: MatrixCell, found: Shown) -> Iterator[str]:
    if cell.interval is not None:
        low, high = cell.interval
        yield f"95 % interval: {low:.2f} to {high:.2f}, over {plain(cell.covers)}"
    if cell.p_holm is not None:
        yield f"p {cell.p:.2g}; by Holm {cell.p_holm:.2g} {found.stars}; q {cell.q:.2g}"
    if cell.untested:
        yield f"not tested: {plain(cell.untested)}"
    if cell.collapsed:
        seeds = " ".join(map(str, cell.collapsed))
        yield f"‡ no better than one answer to everything: seed {seeds}"


def _few(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return plain(" ".join(names[:most])) + more
