"""Heat maps of plain tables: what is drawn, and how much room it takes.

Nothing of sweeper is known here. Sizes are inches, but font sizes, which are points.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

SIZE, SMALL = 9.0, 7.0
PAD, LINE = 0.09, 0.15
_WIDEST_HEAD = 1.1


@dataclass(frozen=True)
class Spot:
    """One cell: what it is worth, what stands in it, and what below that in small.

    ``complete`` is False for one without a value, which is hatched, and for one whose value is
    not of everything that was asked for, which gets a dashed border.
    """

    value: float | None
    text: str
    below: str = ""
    bold: bool = False
    complete: bool = True


@dataclass(frozen=True)
class Scale:
    """What colours mean: ``label`` stands at the bar; ``diverging`` is centred at 0.

    ``reverse`` is for values of which less is better, so that dark is good.
    """

    label: str
    diverging: bool
    reverse: bool = False


@dataclass(frozen=True)
class Panel:
    """A table: row names, column names, ``spots[row][column]``; panels of one scale share it."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    spots: Sequence[Sequence[Spot]]
    scale: Scale


@dataclass(frozen=True)
class Sizes:
    """How large the parts of a figure are.

    ``label`` is the width of the names of rows with their room, ``cell`` and ``row`` are width
    and height of a cell, ``most`` is how many columns fit beside each other, ``names`` how wide a
    line of a row's name may be.
    """

    label: float
    cell: float
    row: float
    most: int
    width: float
    names: float

    @classmethod
    def of(cls, panels: Sequence[Panel], width: float) -> Sizes:
        """The sizes of a figure that may be so wide."""
        room = max(1.3, width / 4)
        names = [line for p in panels for row in p.rows for line in name_lines(row, room)]
        heads = [line for p in panels for name in p.columns for line in name_lines(name)]
        spots = [spot for panel in panels for line in panel.spots for spot in line]
        label = max(width_of(name, SIZE) for name in names) + 2 * PAD
        inside = [width_of(spot.text, SIZE, bold=spot.bold) for spot in spots]
        inside += [width_of(spot.below, SMALL) for spot in spots]
        inside += [width_of(line, SIZE) for line in heads]
        cell = max(0.36, max(inside) + PAD)
        lines = max(len(name_lines(row, room)) for p in panels for row in p.rows)
        row = max(0.44 if any(spot.below for spot in spots) else 0.3, 0.16 * lines + 0.08)
        most = max(1, math.floor((width - label - 2 * PAD) / cell))
        return cls(label, cell, row, most, width, room)

    def across(self, parts: Sequence[Panel]) -> float:
        """The width of the figure: of its widest panel, and enough for text."""
        widest = max(len(part.columns) for part in parts)
        return max(min(self.width, 4.5), self.label + widest * self.cell + 2 * PAD)

    def height(self, panel: Panel) -> float:
        """The height of a panel, with its title and names."""
        return self.head(panel) + self.row * len(panel.rows) + 0.12

    def head(self, panel: Panel) -> float:
        """The height of what stands above a panel's cells."""
        lines = max(len(name_lines(name)) for name in panel.columns)
        return (0.22 if panel.title else 0.0) + LINE * lines + 0.06


def name_lines(name: str, most: float = _WIDEST_HEAD) -> list[str]:
    """A name in as many lines as it needs, broken after ``_``, ``-``, ``/`` or a space."""
    return wrapped(name, most, SIZE, pieces=r"[^_\-/ ]*[_\-/ ]?")


def wrapped(
    text: str, most: float, size: float, *, bold: bool = False, pieces: str = r"\S+\s*"
) -> list[str]:
    """Lines of at most a width; what cannot be broken otherwise is broken anywhere."""
    lines = [""]
    for piece in filter(None, re.findall(pieces, text)):
        if lines[-1] and width_of((lines[-1] + piece).rstrip(), size, bold=bold) > most:
            lines.append("")
        for character in piece:
            if lines[-1] and width_of((lines[-1] + character).rstrip(), size, bold=bold) > most:
                lines.append("")
            lines[-1] += character
    return [line.rstrip() for line in lines]


@cache
def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a line of text is in a size of points."""
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return 1.03 * float(width) / 72  # what reads an SVG may have another font


def split(panel: Panel, most: int) -> Iterator[Panel]:
    """A panel in as few parts of about one size as fit the width."""
    count = len(panel.columns)
    size = math.ceil(count / math.ceil(count / most))
    for start in range(0, count, size):
        cut = slice(start, start + size)
        yield replace(
            panel,
            title=f"{panel.title}, continued" if start and panel.title else panel.title,
            columns=panel.columns[cut],
            spots=[line[cut] for line in panel.spots],
        )
