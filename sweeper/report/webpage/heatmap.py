"""The transfer matrix as a heat map, as Plotly has it, and its cells in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeper.analysis.cell import Column, MatrixCell
from sweeper.analysis.matrix import TransferMatrix
from sweeper.report.cells import Shown, head, shown
from sweeper.report.values import rounded
from sweeper.report.webpage.figures import Figure, plain
from sweeper.states import DONE

INK = "#1b1f24"
"""In a cell, whatever the page's mode: all colours of both scales are light enough for it."""

_GAINS = ["#e9714f", "#f7b799", "#f7f7f7", "#a6cee4", "#5ba2cf"]
"""Red to blue over white, which people tell apart who confuse red and green."""

_SCORES = ["#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6"]

LETTER, LINE, ROOM = 7, 17, 12
"""Pixels: width of a letter, height of a line, and what a cell has of both around its text."""

LONGEST_LINE = 10
"""Letters of a column's name that stand on one line; a longer name is parted at an underscore."""

FEW_COLUMNS = 8
"""So many parts of a target have room for their intervals; of more, they stand elsewhere."""

MOST_SEEDS = 4
"""Seeds of which a cell's box says what their searches chose."""


def heat_map(matrix: TransferMatrix, chosen: Mapping[tuple[str, str], Sequence[str]]) -> Figure:
    """A matrix as a heat map, gains centred at 0; and what stands in the table below it.

    Beside Plotly's ``data`` and ``layout`` it has ``rows``, ``columns`` and, row by row,
    ``values``, ``texts`` of the table, and ``told``: all that is known of a cell, as plain text.

    Args:
        matrix: The matrix, or the columns of it that are to be seen.
        chosen: (row, target) -> what its search chose, per seed.
    """
    columns, rows = matrix.columns, [plain(row) for row in matrix.rows]
    labels = [plain(head(column)) for column in columns]
    cells = [[matrix.cell(row, column) for column in columns] for row in matrix.rows]
    found = [[shown(matrix, row, column) for column in columns] for row in matrix.rows]
    inside = [[_inside(one, roomy(matrix)) for one in line] for line in found]
    ticks = [_parted(label) for label in labels]
    lines = [text for texts in ([*ticks], *inside) for text in texts]
    width = LETTER * max(len(part) for text in lines for part in text.split("<br>")) + ROOM
    height = LINE * max(text.count("<br>") + 1 for row in inside for text in row) + ROOM
    return {
        "rows": list(matrix.rows),
        "columns": [head(column) for column in columns],
        "values": [[cell.value for cell in line] for line in cells],
        "texts": [list(map(_text, *each)) for each in zip(found, cells, strict=True)],
        "told": [
            [
                "\n".join(_told(matrix, row, column, one, chosen.get((row, column.target), ())))
                for column, one in zip(columns, line, strict=True)
            ]
            for row, line in zip(matrix.rows, found, strict=True)
        ],
        "data": list(_traces(matrix, labels, rows, cells, inside)),
        "layout": {
            "plot_bgcolor": "--line",  # between the cells, and of those without a value
            "xaxis": {
                **_axis(labels, ticks),
                "side": "top",
                "range": [-0.5, len(labels) - 0.5],
            },
            "yaxis": {**_axis(rows, rows), "range": [len(rows) - 0.5, -0.5]},
            "height": 110 + height * len(rows),
            "margin": {"l": 20, "r": 10, "t": 20, "b": 10},
            "minwidth": 30 + LETTER * max(map(len, rows)) + width * len(labels),
        },
    }


def _axis(names: Sequence[str], ticks: Sequence[str]) -> dict[str, Any]:
    """An axis of all names in their order, whether or not any of them has a value."""
    return {
        "type": "category",
        "categoryarray": list(names),
        "tickvals": list(names),
        "ticktext": list(ticks),
        "tickangle": 0,
        "showgrid": False,
        "showline": False,
        "ticks": "",
        "fixedrange": True,
    }


def _parted(label: str) -> str:
    """A long name on two lines, parted at the underscore that is nearest to its middle."""
    places = [place for place, letter in enumerate(label) if letter == "_"]
    if len(label) <= LONGEST_LINE or not places:
        return label
    at = min(places, key=lambda place: abs(place - len(label) / 2))
    return f"{label[: at + 1]}<br>{label[at + 1 :]}"


def _traces(
    matrix: TransferMatrix,
    labels: Sequence[str],
    rows: Sequence[str],
    cells: Sequence[Sequence[MatrixCell]],
    inside: Sequence[Sequence[str]],
) -> Iterator[dict[str, Any]]:
    """A trace with colours of its own per kind of value: percent, or nats, of which less is good.

    ``columns`` says which of the matrix's columns a trace has.
    """
    groups: dict[tuple[str, bool], list[int]] = {}
    for place, column in enumerate(matrix.columns):
        better = matrix.value == "gain" or column.higher_is_better
        groups.setdefault((unit_of(matrix, column), better), []).append(place)
    for number, ((unit, better), places) in enumerate(groups.items()):
        values = [[line[place].value for place in places] for line in cells]
        gain = matrix.value == "gain"
        said = (
            f"gain over none, {unit}" if gain else f"{unit}{'' if better else ' (less is better)'}"
        )
        trace: dict[str, Any] = {
            "type": "heatmap",
            "columns": places,
            "x": [labels[place] for place in places],
            "y": list(rows),
            "z": values,
            "text": [[line[place] for place in places] for line in inside],
            "texttemplate": "%{text}",
            "textfont": {"color": INK, "size": 12},
            "hoverongaps": True,
            "xgap": 1,
            "ygap": 1,
            "hovertemplate": "%{customdata}<extra></extra>",
            "colorscale": _scale(_GAINS if gain else _SCORES),
            "reversescale": not better,
            "colorbar": {
                "title": {"text": said, "side": "top", "font": {"size": 13}},
                "orientation": "h",
                "thickness": 10,
                "len": 0.9 / len(groups),
                "x": (number + 0.5) / len(groups),
                "y": 0,
                "yanchor": "top",
            },
        }
        if gain:
            most = max([abs(v) for line in values for v in line if v is not None], default=0.0)
            trace |= {"zmin": -most or -1.0, "zmid": 0, "zmax": most or 1.0}
        yield trace


def _scale(colours: Sequence[str]) -> list[list[Any]]:
    return [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)]


def unit_of(matrix: TransferMatrix, column: Column) -> str:
    """What a column's values are in: a gain in percent is one in points."""
    return "points" if matrix.value == "gain" and column.unit == "percent" else column.unit


# ---- texts ------------------------------------------------------------------------------------


def mark(cell: MatrixCell) -> str:
    """What stands in place of a value."""
    return cell.state if cell.state != DONE else "-"


def roomy(matrix: TransferMatrix) -> bool:
    """Whether intervals and errors stand in the cells, and not only beside them."""
    whole = all(column.group is None for column in matrix.columns)
    return whole or len(matrix.columns) <= FEW_COLUMNS


def _inside(found: Shown, spread: bool) -> str:
    """A cell's number and marks, and below them its interval or error if ``spread``."""
    if not found.value:
        return ""
    number = f"<b>{found.value}</b>" if found.best else found.value
    below = f"<br>{found.spread}" if found.spread and spread else ""
    return f"{number}{_marks(found)}{below}"


def _text(found: Shown, cell: MatrixCell) -> str:
    """A cell of the table below the map."""
    if not found.value:
        return mark(cell)
    error = f" ± {found.error}" if found.error else ""
    interval = f" {found.interval}" if found.interval else ""
    return f"{found.value}{error}{interval}{_marks(found)}"


def _marks(found: Shown) -> str:
    seeds = f" ({found.seeds})" if found.seeds else ""
    return f"{found.stars}{found.marks}{seeds}"


def _told(
    matrix: TransferMatrix, row: str, column: Column, found: Shown, chosen: Sequence[str]
) -> Iterator[str]:
    """All that is known of a cell, line by line."""
    cell = matrix.cell(row, column)
    error = f" ± {found.error}" if found.error else ""
    number = f"{found.value}{error} {unit_of(matrix, column)}" if found.value else mark(cell)
    yield f"{row} on {column.label}"
    yield f"{'gain over none' if matrix.value == 'gain' else 'score'}: {number} ({column.metric})"
    yield from _certainty(cell, found)
    seeds = _few([str(seed) for seed in cell.seeds]) or "none"
    yield f"state: {cell.state}; seeds: {seeds} (of {len(matrix.seeds)})"
    trained = "" if column.zero_shot else " (trained on, so not zero-shot)"
    yield f"examples: {cell.n or 0:,}; languages: {_few(column.languages)}{trained}"
    yield from (f"chosen, {one}" for one in chosen[:MOST_SEEDS])
    if len(chosen) > MOST_SEEDS:
        yield f"and {len(chosen) - MOST_SEEDS} more seeds"
    if cell.deterministic:
        yield "every seed is the same computation"
    yield from (f"† {flag}" for flag in cell.overlap)


def _certainty(cell: MatrixCell, found: Shown) -> Iterator[str]:
    if cell.interval is not None:
        low, high = (rounded(end, 2) for end in cell.interval)
        yield f"95 % interval: {low} to {high}, over {cell.covers}"
    if cell.p_holm is not None:
        yield f"p {cell.p:.2g}; by Holm {cell.p_holm:.2g} {found.stars}".rstrip() + (
            f"; q {cell.q:.2g}"
        )
    if cell.untested:
        yield f"not tested: {cell.untested}"
    if cell.collapsed:
        seeds = " ".join(map(str, cell.collapsed))
        yield f"‡ no better than one answer to everything: seed {seeds}"


def _few(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return " ".join(names[:most]) + more
