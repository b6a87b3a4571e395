"""The report's figures as Plotly has them: plain dictionaries of traces and layout.

Colours of text, grid and paper are the page's, which knows whether it is light or dark. Whatever
a user named passes through `plain`, since Plotly reads some HTML in labels.
"""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sweeper.analysis.cell import Column, MatrixCell
from sweeper.analysis.matrix import TransferMatrix
from sweeper.languages import LANGUAGES
from sweeper.report.cells import head, shown
from sweeper.study import CONTROL

Figure: TypeAlias = dict[str, Any]

# After Okabe and Ito, whom colour-blind people tell apart; a little darker or lighter where that
# lacks the contrast of 3 to 1 against the page, light or dark (WCAG 2, 1.4.11).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B5679A", "#B07D00", "#7B5CC4", "#8C564B")
_SYMBOLS = (
    *("circle", "square", "diamond", "triangle-up", "x", "cross", "star"),
    *("triangle-down", "bowtie", "hourglass", "pentagon"),
)
_CONTROL = "#888888"

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
            "symbol": _SYMBOLS[place % len(_SYMBOLS)],
            "size": 8,
        }
    return found


# ---- scores per language ----------------------------------------------------------------------


def languages(matrix: TransferMatrix, look: Mapping[str, dict[str, Any]]) -> Figure | None:
    """The scores of one target's languages, a mark per row, hardest for the control first.

    None where there is no score yet.
    """
    columns = sorted(matrix.columns, key=lambda c: _height(matrix.cells.get((CONTROL, c.name))))
    span = _range(matrix)
    if span is None:
        return None
    traces = []
    for row in matrix.rows:
        cells = [matrix.cell(row, column) for column in columns]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(row),
                "x": [plain(head(column)) for column in columns],
                "y": [cell.value for cell in cells],
                "error_y": {
                    "type": "data",
                    "array": [cell.standard_error for cell in cells],
                    "thickness": 1,
                    "width": 2,
                },
                "marker": look[row],
                "customdata": [
                    f"<b>{plain(row)}</b><br>{plain(_named(column))}: {_said(matrix, row, column)}"
                    for column in columns
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    first = columns[0]
    return {
        "data": traces,
        "layout": {
            "height": 380,
            "scattermode": "group",
            "scattergap": 0.4,
            "minwidth": 90 + (10 + 7 * len(matrix.rows)) * len(columns),
            "xaxis": {"type": "category", "title": {"text": "language"}, "tickangle": 0},
            # In groups Plotly would begin the axis at zero.
            "yaxis": {"title": {"text": plain(f"{first.metric} ({first.unit})")}, "range": span},
        },
    }


def _named(column: Column) -> str:
    """A language's code, and its name where the table of languages has it."""
    code = str(column.group)
    return f"{code} ({LANGUAGES[code].name.replace('_', ' ')})" if code in LANGUAGES else code


def _said(matrix: TransferMatrix, row: str, column: Column) -> str:
    cell, found = matrix.cell(row, column), shown(matrix, row, column)
    if not found.value:
        return plain(cell.state)
    error = f" ± {found.error}" if found.error else ""
    return f"{found.value}{error}, seeds: {len(cell.seeds)} of {len(matrix.seeds)}"


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
    points: Sequence[Mapping[str, Any]], split: str, look: Mapping[str, dict[str, Any]]
) -> Figure:
    """Dev scores over learning rates of one training task: a mark per trial, means joined.

    ``points``, at least one, have ``row``, ``seed``, ``rate``, ``metric``, ``value`` and
    ``epoch``; ``split`` is what they were measured on.
    """
    metric = points[0]["metric"]
    measured = f"{metric} on {split} ({'nats' if metric == 'loss' else 'percent'})"
    by_row: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        by_row.setdefault(point["row"], []).append(point)
    traces: list[dict[str, Any]] = []
    all_rates = sorted({point["rate"] for found in by_row.values() for point in found})
    ticks = all_rates[:: math.ceil(len(all_rates) / MOST_TICKS)]
    for row, found in by_row.items():
        rates = sorted({point["rate"] for point in found})
        of_rate = [[p["value"] for p in found if p["rate"] == rate] for rate in rates]
        name, marker = plain(row), look[row]
        traces += [
            {
                "type": "scatter",
                "mode": "lines",
                "x": rates,
                "y": [statistics.fmean(values) for values in of_rate],
                "line": {"color": marker["color"]},
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
                "marker": marker,
                "customdata": [
                    f"<b>{name}</b><br>{p['rate']:g}: {p['value']:.2f}"
                    f"<br>seed {p['seed']}, epoch {p['epoch']}"
                    for p in found
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            },
        ]
    return {
        "data": traces,
        "layout": {
            "height": 380,
            "minwidth": 90 + 48 * len(ticks),
            "xaxis": {
                "type": "log",
                "title": {"text": "learning rate"},
                "tickvals": ticks,
                "ticktext": [f"{rate:g}" for rate in ticks],
            },
            "yaxis": {"title": {"text": plain(measured)}},
        },
    }
