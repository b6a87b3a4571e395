"""Writes the report: what one study's answers are, put into the page."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeper.analysis.view import View
from sweeper.report.watching import Watched
from sweeper.report.webpage.content import Content

REFRESH_SECONDS = 10
"""How often a page of a running sweep is written anew, and reads itself anew."""


def write(view: View, path: Path, *, live: bool = False) -> None:
    """Write a study's report to a file, which is replaced at once and never half there.

    Args:
        view: The study.
        path: The HTML file.
        live: Whether the page is to reload itself, since another will take its place; it has no
            intervals and tests.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(render(view, live=live), encoding="utf-8")
    draft.replace(path)


def follow(view: View, path: Path, wait: Callable[[float], None]) -> None:
    """Write a sweep's report anew until nobody is at work on it; then once more, for good.

    Args:
        view: The study.
        path: The HTML file.
        wait: Waits for some seconds.
    """
    watched = Watched(view.files, view.plan.study.name)
    while not watched.over:
        write(watched.view, path, live=True)
        wait(REFRESH_SECONDS)
        watched.look()
    write(watched.view, path)


def render(view: View, *, live: bool = False) -> str:
    """A study's report as one HTML document that needs no network."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    page = Environment(
        loader=PackageLoader("sweeper.report", "webpage"), autoescape=True, trim_blocks=True
    )
    content = Content(view, quick=live)
    return page.get_template("page.html").render(
        **content.said(),
        plotly=get_plotlyjs(),
        data=_json(content.drawn()),
        files=_json(content.files()),
        refresh=REFRESH_SECONDS if live else None,
    )


def _json(data: Any) -> str:
    """JSON for a script element, which no text in it can end."""
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(data: Any) -> Any:
    """Data in which what is no number is null, for JSON has no NaN."""
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data.item() if hasattr(data, "item") else data
