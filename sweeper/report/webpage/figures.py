"""The report's figures as Plotly has them: plain dictionaries of traces and layout.

Colours of text, grid and paper are the page's, which knows whether it is light or dark. Whatever
a user named passes through `plain`, since Plotly reads some HTML in labels.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sweeper.analysis.matrix import Column, MatrixCell, TransferMatrix
from sweeper.progress import DONE
from sweeper.report.cells import shown
from sweeper.study import CONTROL

Figure: TypeAlias = dict[str, Any]

# Okabe and Ito's colours, which colour-blind people tell apart; the control is grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B8A800")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "hexagon")
_CONTROL = "#888888"

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

MOST_TICKS = 8
"""Learning rates that are written below an axis, at most."""


def plain(text: object) -> str:
    """Text that Plotly shows as it is."""
    return html.escape(str(text), quote=False)


def styles(rows: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Row -> its colour and marker, the same in every figure."""
    others = [row for row in rows if row != CONTROL]
    found: dict[str, dict[str, Any]] = {
        CONTROL: {
            "color": _CONTROL,
            "symbol": "line-ew",
            "size": 16,
            "line": {"width": 3, "color": _CONTROL},
        }
    }
    for place, row in enumerate(others):
        found[row] = {
            "color": _COLOURS[place % len(_COLOURS)],
            "symbol": _SYMBOLS[place // len(_COLOURS) % len(_SYMBOLS)],
            "size": 8,
        }
    return found


# ---- matrices ---------------------------------------------------------------------------------


def heat_map(matrix: TransferMatrix, chosen: Mapping[tuple[str, str], str]) -> Figure:
    """A matrix as a heat map; gains centred at 0, cells without a value marked by their state.

    Args:
        matrix: The matrix, or the columns of it that are to be seen.
        chosen: (row, target) -> what its search chose, per seed, for the box beside the pointer.
    """
    columns = matrix.columns
    labels = [plain(column.language or column.target) for column in columns]
    rows = [plain(row) for row in matrix.rows]
    cells = [[matrix.cell(row, column) for column in columns] for row in matrix.rows]
    values = [[cell.value for cell in line] for line in cells]
    told = [
        [_told(matrix, row, column, chosen.get((row, column.target), "")) for column in columns]
        for row in matrix.rows
    ]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": labels,
        "y": rows,
        "z": values,
        "customdata": told,
        "text": [[_inside(matrix, row, column) for column in columns] for row in matrix.rows],
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
        "columns": [column.language or column.target for column in columns],
        "texts": [[_text(matrix, row, column) for column in columns] for row in matrix.rows],
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


def _inside(matrix: TransferMatrix, row: str, column: Column) -> str:
    """A cell's number; beside it the error, where a column is a whole target."""
    found = shown(matrix, row, column)
    if not found.value:
        return ""
    error = f" ± {found.error}" if found.error and matrix.by == "task" else ""
    seeds = f" ({found.seeds})" if found.seeds else ""
    return f"{found.value}{error}{' †' if found.flagged else ''}{seeds}"


def _text(matrix: TransferMatrix, row: str, column: Column) -> str:
    """A cell of the table below the map."""
    found = shown(matrix, row, column)
    if not found.value:
        return _mark(matrix.cell(row, column))
    error = f" ± {found.error}" if found.error else ""
    seeds = f" ({found.seeds} seeds)" if found.seeds else ""
    return f"{found.value}{error}{seeds}{' †' if found.flagged else ''}"


def _told(matrix: TransferMatrix, row: str, column: Column, chosen: str) -> str:
    """All that is known of a cell, line by line."""
    cell = matrix.cell(row, column)
    found = shown(matrix, row, column)
    where = column.target + (f", {column.language}" if column.language else "")
    error = f" ± {found.error}" if found.error else ""
    number = f"{found.value}{error} {plain(column.unit)}" if found.value else "none"
    seeds = " ".join(map(str, cell.seeds)) or "none"
    lines = [
        f"<b>{plain(row)}</b> on <b>{plain(where)}</b>",
        f"{matrix.value}: {number} ({plain(column.metric)})",
        f"state: {plain(cell.state)}; seeds: {seeds} of {len(matrix.seeds)}",
        f"languages: {_few(column.languages)}",
        *([f"chosen: {chosen}"] if chosen else []),
        *(["every seed is the same computation"] if cell.deterministic else []),
        *(f"† {plain(flag)}" for flag in cell.overlap),
    ]
    return "<br>".join(lines)


def _few(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return plain(" ".join(names[:most])) + more


# ---- scores per language ----------------------------------------------------------------------


def languages(matrix: TransferMatrix, look: Mapping[str, dict[str, Any]]) -> Figure:
    """The scores of one target's languages, a mark per row, hardest for the control first."""
    columns = sorted(matrix.columns, key=lambda c: _height(matrix.cells.get((CONTROL, c.name))))
    traces = []
    for row in matrix.rows:
        cells = [matrix.cell(row, column) for column in columns]
        errors = [cell.standard_error for cell in cells]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(row),
                "x": [plain(column.language) for column in columns],
                "y": [cell.value for cell in cells],
                "error_y": {"type": "data", "array": errors, "thickness": 1, "width": 2},
                "marker": look[row],
                "hovertemplate": "%{x}: %{y:.1f}<extra>" + plain(row) + "</extra>",
            }
        )
    first = columns[0]
    return {
        "data": traces,
        "layout": {
            "height": 380,
            "scattermode": "group",
            "scattergap": 0.4,
            "minwidth": 200 + (10 + 7 * len(matrix.rows)) * len(columns),
            "xaxis": {"type": "category", "title": {"text": "language"}},
            # In groups Plotly would begin the axis at zero.
            "yaxis": {
                "title": {"text": plain(f"{first.metric} ({first.unit})")},
                "range": _range(matrix),
            },
        },
    }


def _range(matrix: TransferMatrix) -> list[float] | None:
    """From the least to the greatest value with its error, and a little more."""
    ends = [
        cell.value + side * (cell.standard_error or 0.0)
        for cell in (matrix.cell(row, column) for row in matrix.rows for column in matrix.columns)
        for side in (-1, 1)
        if cell.value is not None
    ]
    if not ends:
        return None
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return [min(ends) - margin, max(ends) + margin]


def _height(cell: MatrixCell | None) -> float:
    return cell.value if cell is not None and cell.value is not None else math.inf


# ---- learning rates ---------------------------------------------------------------------------


def curves(
    points: Iterable[Mapping[str, Any]], metric: str, look: Mapping[str, dict[str, Any]]
) -> Figure:
    """Dev scores over learning rates of one training task: a mark per trial, means joined.

    ``points`` have ``row``, ``seed``, ``rate``, ``value`` and ``epoch``.
    """
    by_row: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        by_row.setdefault(point["row"], []).append(point)
    traces: list[dict[str, Any]] = []
    all_rates = sorted({point["rate"] for found in by_row.values() for point in found})
    ticks = (
        all_rates if len(all_rates) <= MOST_TICKS else all_rates[:: len(all_rates) // MOST_TICKS]
    )
    for row, found in by_row.items():
        rates = sorted({point["rate"] for point in found})
        of_rate = [[p["value"] for p in found if p["rate"] == rate] for rate in rates]
        name, colour = plain(row), look[row]["color"]
        traces += [
            {
                "type": "scatter",
                "mode": "lines",
                "x": rates,
                "y": [sum(v) / len(v) for v in of_rate],
                "line": {"color": colour},
                "legendgroup": name,
                "showlegend": False,
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "legendgroup": name,
                "x": [p["rate"] for p in found],
                "y": [p["value"] for p in found],
                "marker": {"color": colour, "size": 7},
                "customdata": [f"seed {p['seed']}, epoch {p['epoch']}" for p in found],
                "hovertemplate": "%{x:.1e}: %{y:.2f}<br>%{customdata}<extra>" + name + "</extra>",
            },
        ]
    return {
        "data": traces,
        "layout": {
            "height": 380,
            "xaxis": {
                "type": "log",
                "title": {"text": "learning rate"},
                "tickvals": ticks,
                "ticktext": [f"{rate:g}" for rate in ticks],
            },
            "yaxis": {"title": {"text": plain(metric)}},
        },
    }
