"""Live progress of a run: a bar and the running jobs on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeper.progress import Progress
from sweeper.report.terminal import console, duration
from sweeper.report.timeleft import share, time_left

if TYPE_CHECKING:
    from sweeper.engine.events import Event

ENDED = ("done", "diverged", "pruned", "failed")
_SHOWN = 8
"""Running jobs that have a line each; of a large cluster the others are counted."""


@contextlib.contextmanager
def watch(progress: Progress, stream: IO[str] | None = None) -> Iterator[Callable[[Event], None]]:
    """Show a run on a stream (standard error by default) while the ``with`` block lasts.

    Yields:
        The listener that the run's events are given to.
    """
    out = console(stream or sys.stderr)
    watcher = Watcher(progress)
    if not out.is_terminal:

        def plain(event: Event) -> None:
            watcher.hear(event)
            line = watcher.line(event)
            if line:
                out.print(Text(line), soft_wrap=True)

        yield plain
        return
    with Live(
        console=out, get_renderable=watcher.render, refresh_per_second=4, transient=True
    ) as live:

        def drawn(event: Event) -> None:
            watcher.hear(event)
            if event.what in ("retry", "failed", "diverged"):
                live.console.print(Text(watcher.line(event)), soft_wrap=True)

        yield drawn


@dataclass
class _Running:
    """A job that a worker shows signs of, since its first one."""

    since: float
    phase: str = ""
    step: int = 0
    steps: int = 0
    first_step: int = 0
    training_since: float = 0.0
    share: float = 0.0


class Watcher:
    """Keeps what a person wants to know of a run, from its events.

    Args:
        progress: The plan against the store, which the engine keeps up to date.
        clock: Seconds, for tests.
    """

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress = progress
        self.clock = clock
        self.began = clock()
        self.running: dict[str, _Running] = {}
        self.slots = 0
        self._lock = threading.RLock()
        self._started: dict[str, float] = {}
        self._seconds: dict[str, float] = {}  # kind -> seconds of the jobs done in this run
        self._cost: dict[str, float] = {}  # kind -> their planned cost

    # -- hearing -------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """Take an event in."""
        with self._lock:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        now = self.clock()
        if event.what == "started":
            self._started[event.key] = now
        elif event.what == "progress":
            self._progressed(event, now)
        elif event.what in (*ENDED, "retry"):
            running = self.running.pop(event.key, None)
            since = running.since if running else self._started.get(event.key, now)
            if event.what in ("done", "diverged"):
                job = self.progress.plan.jobs[event.key]
                spent = event.seconds or now - since
                self._seconds[job.kind] = self._seconds.get(job.kind, 0.0) + spent
                self._cost[job.kind] = self._cost.get(job.kind, 0.0) + job.cost

    def _progressed(self, event: Event, now: float) -> None:
        found = self.running.setdefault(event.key, _Running(now))
        if event.message == "train" and found.phase != "train":
            found.training_since, found.first_step = now, event.step
        found.phase, found.step, found.steps = event.message, event.step, event.steps
        # What an epoch's evaluation between two stretches of training does not undo.
        done = share(event.message, event.step, event.steps)
        found.share = found.share if done is None else done
        # A job handed out beyond the slots shows no sign of life before it has one.
        self.slots = max(self.slots, len(self.running))

    # -- telling -------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many jobs this run is about."""
        return len(self.progress.wanted)

    @property
    def done(self) -> int:
        """How many of them are over, with a result or pruned."""
        return len(self.progress.wanted & (self.progress.done | self.progress.pruned))

    def time_left(self) -> float | None:
        """Seconds till the end, about; None before anything can be measured."""
        shares = {key: running.share for key, running in self.running.items()}
        return time_left(self.progress, self._rates(), shares, self.slots)

    def _rates(self) -> dict[str, float]:
        """Kind -> seconds per cost: of the jobs that are done, else of those at work."""
        found = {kind: self._seconds[kind] / cost for kind, cost in self._cost.items() if cost > 0}
        now = self.clock()
        for key, running in self.running.items():
            job = self.progress.plan.jobs[key]
            made = running.step - running.first_step
            if job.kind in found or job.cost <= 0 or running.phase != "train" or made <= 0:
                continue
            found[job.kind] = (now - running.training_since) * running.steps / made / job.cost
        return found

    def status(self) -> str:
        """``12/129, about 2 min left``."""
        return f"{self.done}/{self.total}, {about(self.time_left())}"

    def line(self, event: Event) -> str:
        """An event as a plain line; empty for those that would only fill a log."""
        if event.what not in (*ENDED, "retry", "elsewhere"):
            return ""
        seconds = f" ({event.seconds:.1f} s)" if event.seconds else ""
        message = f": {event.message}" if event.message else ""
        return f"[{self.status()}] {event.what} {event.key}{seconds}{message}"

    def render(self) -> Group:
        """The live display; rich calls it from a thread of its own."""
        with self._lock:
            return self._render()

    def _render(self) -> Group:
        failed, elsewhere = len(self.progress.failures), len(self.progress.claims.elsewhere)
        head = bar(self.done, self.total, about(self.time_left()), failed)
        rows = [(key, step(r.phase, r.step, r.steps)) for key, r in self.running.items()]
        notes = []
        if elsewhere:
            said = f"  waits for jobs at work with other drivers: {elsewhere}"
            notes.append(Text(said, "dim"))
        elif not rows:
            spent = duration(self.clock() - self.began)
            notes.append(Text(f"  workers are starting ({spent})"))
        return Group(head, *notes, running_table(rows))


def about(seconds: float | None) -> str:
    """A time left, in words."""
    return "time left not known yet" if seconds is None else f"about {duration(seconds)} left"


def bar(done: int, total: int, said: str, failed: int, width: int = 40) -> Text:
    """How far a sweep is."""
    filled = width * done // max(1, total)
    return Text.assemble(
        ("━" * filled, "green"),
        ("─" * (width - filled), "dim"),
        f" {done}/{total} jobs, {said}",
        (f", {failed} failed" if failed else "", "red"),
    )


def step(phase: str, number: int, of: int) -> str:
    """Where in a job its worker is."""
    return f"{phase} {number}/{of}" if of else phase


def running_table(rows: Sequence[tuple[str, ...]]) -> Table:
    """Jobs at work, a line each: the key, and what is said of it."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(overflow="ellipsis", no_wrap=True)
    for _ in rows[0][1:] if rows else ():
        made.add_column(style="dim", no_wrap=True)
    for key, *said in rows[:_SHOWN]:
        made.add_row(Text(f"  {key}"), *map(Text, said))
    if len(rows) > _SHOWN:
        made.add_row(Text(f"  and {len(rows) - _SHOWN} more"))
    return made
