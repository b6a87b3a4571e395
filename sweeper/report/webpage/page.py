"""Writes the report: what one study's answers are, put into the page."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeper.analysis.view import View
from sweeper.errors import StoreError
from sweeper.report.watching import Watched
from sweeper.report.webpage.content import Content

SHORTEST, SHARE = 10.0, 0.2
"""A running sweep's page is written anew after so many seconds, or later: writing it takes no more
than this share of the time, since intervals and tests read every example."""


def write(view: View, path: Path, *, refresh: float | None = None) -> None:
    """Write a study's report to a file, which is replaced at once and never half there.

    Args:
        view: The study.
        path: The HTML file.
        refresh: Seconds after which the page reads itself again, since another will have taken
            its place; None for a page that stays.

    Raises:
        StoreError: the file cannot be written.
    """
    text = render(view, refresh=refresh)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise StoreError(
            f"The report {path} could not be written: {error.strerror}. Name another file with "
            "`--output`."
        ) from None


def follow(
    view: View,
    path: Path,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Write a sweep's report anew until nobody is at work on it; then once more, for good.

    Args:
        view: The study.
        path: The HTML file.
        wait: Waits for some seconds.
        clock: Seconds, for what writing takes.
    """
    watched = Watched(view.files, view.plan.study.name)
    pause = SHORTEST
    while not watched.over:
        began = clock()
        write(watched.view, path, refresh=pause)
        pause = max(SHORTEST, (clock() - began) / SHARE)
        wait(pause)
        watched.look()
    write(watched.view, path)


def render(view: View, *, refresh: float | None = None) -> str:
    """A study's report as one HTML document that needs no network; see `write`."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    page = Environment(
        loader=PackageLoader("sweeper.report", "webpage"), autoescape=True, trim_blocks=True
    )
    content = Content(view)
    return page.get_template("page.html").render(
        **content.said(),
        plotly=get_plotlyjs(),
        data=_json(content.drawn()),
        files=_json(content.files()),
        refresh=None if refresh is None else round(refresh),
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
