"""Drawing heat maps of panels; nothing of sweeper is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sweeper.report.panels import (
    LINE,
    PAD,
    SIZE,
    SMALL,
    Panel,
    Scale,
    Sizes,
    Spot,
    name_lines,
    split,
    width_of,
    wrapped,
)

DIVERGING, SEQUENTIAL = "RdBu", "Blues"
"""Red to blue through white: told apart by people who confuse red and green."""

_MISSING, _HATCH, _DARK, _GREY = "#f2f2f2", "#c4c4c4", "#1a1a1a", "#555555"
_BAR = 0.12


def draw(
    panels: Sequence[Panel], name: str, title: str, notes: Sequence[str], width: float
) -> Figure:
    """A figure of panels, one below the other; a panel that is too wide is continued below.

    Args:
        panels: What to draw; at least one.
        name: Of the whole, in bold.
        title: What the numbers are, in one sentence.
        notes: Sentences below the figure.
        width: Inches that the figure may be wide. One column is always drawn.
    """
    sizes = Sizes.of(panels, width)
    parts = [part for panel in panels for part in split(panel, sizes.most)]
    across = sizes.across(parts)
    heading = wrapped(title, across - 2 * PAD, SIZE)
    below = [line for note in notes for line in wrapped(note, across - 2 * PAD, SMALL)]
    colours = {scale: _colours(panels, scale) for scale in dict.fromkeys(p.scale for p in panels)}
    bars = [(scale, found) for scale, found in colours.items() if found is not None]
    top = 0.32 + LINE * len(heading) + PAD
    tall = top + sum(sizes.height(part) for part in parts)
    tall += 0.55 * len(bars) + 0.25 * _any_incomplete(parts) + 0.118 * len(below) + 2 * PAD
    page = _Page(Figure(figsize=(across, tall)), across, tall)
    page.text(PAD, PAD, name, size=SIZE + 1, weight="bold")
    page.text(PAD, 0.3, "\n".join(heading), size=SIZE, linespacing=1.15)
    place = top
    for part in parts:
        _panel(page, part, place, sizes, colours[part.scale])
        place += sizes.height(part)
    for scale, found in bars:
        _bar(page, scale, found, place, sizes)
        place += 0.55
    if _any_incomplete(parts):
        _key(page, parts, place)
        place += 0.25
    page.text(PAD, place + PAD, "\n".join(below), size=SMALL, color=_GREY)
    return page.figure


# ---- colours ----------------------------------------------------------------------------------


_Colour: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Colours:
    map: Colormap
    norm: Normalize

    def of(self, value: float) -> _Colour:
        red, green, blue, alpha = self.map(self.norm(value))
        return red, green, blue, alpha


def _colours(panels: Sequence[Panel], scale: Scale) -> _Colours | None:
    """The colours of all panels of a scale; None if there is no value."""
    values = [
        spot.value
        for panel in panels
        if panel.scale == scale
        for line in panel.spots
        for spot in line
        if spot.value is not None
    ]
    if not values:
        return None
    found = _map(DIVERGING if scale.diverging else SEQUENTIAL, reverse=scale.reverse)
    if scale.diverging:
        far = max(map(abs, values)) or 1.0
        return _Colours(found, Normalize(-far, far))
    low, high = min(values), max(values)
    return _Colours(found, Normalize(low, high if high > low else low + 1))


def _map(name: str, *, reverse: bool) -> Colormap:
    """One of matplotlib's maps without its darkest colours, on which nothing can be read."""
    darkest = 0.9 if name == DIVERGING else 0.75
    kept = np.linspace(1 - darkest if name == DIVERGING else 0.0, darkest, 257)
    colours = mpl.colormaps[name](kept)
    return LinearSegmentedColormap.from_list(name, colours[::-1] if reverse else colours, 257)


def _ink(colour: _Colour) -> str:
    """Black or white, whichever is read more easily on a colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.22 else _DARK  # both contrasts are about equal there (WCAG)


# ---- drawing ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Page:
    """A figure in inches from its upper left corner."""

    figure: Figure
    width: float
    height: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def text(self, left: float, top: float, said: str, **how: Any) -> None:
        place = (left / self.width, 1 - top / self.height)
        self.figure.text(*place, said, va="top", parse_math=False, **how)


def _panel(page: _Page, panel: Panel, top: float, sizes: Sizes, colours: _Colours | None) -> None:
    head, across = sizes.head(panel), sizes.cell * len(panel.columns)
    if panel.title:
        page.text(PAD, top, panel.title, size=SIZE, weight="bold")
    tall = sizes.row * len(panel.rows)
    axes = page.axes(PAD + sizes.label, top + head, across, tall)
    axes.set(xlim=(0, len(panel.columns)), ylim=(len(panel.rows), 0))
    axes.set_axis_off()
    for number, name in enumerate(panel.columns):
        said = "\n".join(name_lines(name))
        _say(axes, number + 0.5, -0.08 / sizes.row, said, va="baseline", linespacing=1.1)
    for number, name in enumerate(panel.rows):
        said = "\n".join(name_lines(name, sizes.names))
        _say(axes, -PAD / sizes.cell, number + 0.5, said, ha="right", linespacing=1.1)
        for column, spot in enumerate(panel.spots[number]):
            fill = colours.of(spot.value) if colours and spot.value is not None else None
            _spot(axes, (column, number), spot, sizes.row, fill)


def _spot(
    axes: Axes, place: tuple[int, int], spot: Spot, row: float, fill: _Colour | None
) -> None:
    """One cell of a row's height; without a colour it has no value."""
    (x, y), ink = place, _GREY if fill is None else _ink(fill)
    if fill is None:
        axes.add_patch(_hatched(Rectangle(place, 1, 1)))
    else:
        axes.add_patch(Rectangle(place, 1, 1, facecolor=fill, linewidth=0))
    axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor="white", linewidth=1.5))
    if fill is not None and not spot.complete:
        axes.add_patch(_dashed(Rectangle((x + 0.04, y + 0.07), 0.92, 0.86), ink))
    weight, style = "bold" if spot.bold else "normal", "italic" if fill is None else "normal"
    raised = 0.07 / row if spot.below else 0.0
    _say(axes, x + 0.5, y + 0.5 - raised, spot.text, color=ink, weight=weight, style=style)
    if spot.below:
        _say(axes, x + 0.5, y + 0.5 + 1.4 * raised, spot.below, color=ink, size=SMALL)


def _say(axes: Axes, x: float, y: float, said: str, **how: Any) -> None:
    settings: dict[str, Any] = {"ha": "center", "va": "center", "size": SIZE, "color": _DARK}
    axes.text(x, y, said, parse_math=False, **{**settings, **how})


def _hatched(patch: Rectangle) -> Rectangle:
    patch.set(facecolor=_MISSING, edgecolor=_HATCH, hatch="////", linewidth=0)
    return patch


def _dashed(patch: Rectangle, ink: str) -> Rectangle:
    patch.set(facecolor="none", edgecolor=ink, linestyle=(0, (3, 2)), linewidth=1)
    return patch


def _bar(page: _Page, scale: Scale, colours: _Colours, top: float, sizes: Sizes) -> None:
    """The scale of colours, below the panels."""
    left = PAD + sizes.label
    across = min(3.0, page.width - left - 3 * PAD)
    axes = page.axes(left, top + 0.06, across, _BAR)
    bar = page.figure.colorbar(
        ScalarMappable(colours.norm, colours.map), cax=axes, orientation="horizontal"
    )
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=SMALL, length=2, pad=1)
    axes.locator_params(nbins=5)
    axes.set_xlabel(scale.label, size=SMALL, labelpad=1)


def _key(page: _Page, panels: Sequence[Panel], top: float) -> None:
    """What hatching and dashes mean, where there are any."""
    spots = [s for p in panels for line in p.spots for s in line if not s.complete]
    axes = page.axes(PAD, top, page.width - 2 * PAD, 0.2)
    axes.set(xlim=(0, page.width - 2 * PAD), ylim=(0.2, 0))
    axes.set_axis_off()
    x = 0.0
    without = _hatched(Rectangle((0, 0), 0, 0))
    partly = _dashed(Rectangle((0, 0), 0, 0), _DARK)
    for there, patch, said in (
        (any(spot.value is None for spot in spots), without, "no value"),
        (any(spot.value is not None for spot in spots), partly, "not all of its seeds"),
    ):
        if there:
            patch.set_bounds(x, 0.04, 0.24, 0.13)
            axes.add_patch(patch)
            _say(axes, x + 0.3, 0.105, said, ha="left", size=SMALL)
            x += 0.5 + width_of(said, SMALL)


def _any_incomplete(panels: Sequence[Panel]) -> bool:
    return any(not spot.complete for panel in panels for line in panel.spots for spot in line)
