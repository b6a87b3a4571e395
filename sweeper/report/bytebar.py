"""How far a long reading or copying is: bytes, and the time that is left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from sweeper.disk import size
from sweeper.report.terminal import duration, say

_QUIET = 5.0
"""Seconds between two lines where there is no terminal."""


@contextlib.contextmanager
def bytebar(out: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of the bytes done, on a terminal; elsewhere a line every few seconds.

    Args:
        out: Where it is shown.
        what: What was done to the bytes: "read", "copied".
    """
    if out.is_terminal:
        columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=out, transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    began = last = time.monotonic()

    def plain(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _QUIET:
            last = now
            left = f"; {duration((now - began) * (total - done) / done)} left" if done else ""
            say(out, f"{size(done)} of {size(total)} {what}{left}")

    yield plain
