"""Live progress of a run: a bar and the running jobs on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeper.graph import Plan
from sweeper.progress import Progress
from sweeper.report.terminal import console, duration

if TYPE_CHECKING:
    from sweeper.engine.events import Event

ENDED = ("done", "diverged", "failed")
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
        self._counted = _counted(progress.plan)
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
        if found.phase in ("train", "score") and event.steps:
            # What an epoch's evaluation between two stretches of training does not undo.
            found.share = min(1.0, event.step / event.steps)
        # A job handed out beyond the slots shows no sign of life before it has one.
        self.slots = max(self.slots, len(self.running))

    # -- telling -------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many jobs this run is about."""
        return len(self.progress.wanted)

    @property
    def done(self) -> int:
        """How many of them are done."""
        return len(self.progress.wanted & self.progress.done)

    def time_left(self) -> float | None:
        """Seconds till the end, about; None before anything can be measured.

        Costs of the jobs left times the measured seconds per cost of their kind (of any kind
        before one of it is done, if all cards say how many rows their tasks have), shared among
        the slots, but at least the longest chain.
        """
        left = set(self.progress.left)
        if not left:
            return 0.0
        rates = self._rates()
        known = {kind: rate for kind, rate in rates.items() if kind != "prepare"}
        kinds = {self.progress.plan.jobs[key].kind for key in left}
        if not known or not (self._counted or kinds - {"prepare", "score"} <= set(known)):
            return None
        usual = sum(known.values()) / len(known)
        jobs = self.progress.plan.jobs
        needs = {}
        for key in left:
            seconds = jobs[key].cost * rates.get(jobs[key].kind, usual)
            running = self.running.get(key)
            needs[key] = seconds * (1 - running.share) if running else seconds
        longest = 0.0
        chain: dict[str, float] = {}
        for key in reversed(jobs):
            if key in needs:
                below = [chain[child] for child in self.progress.children[key] if child in chain]
                chain[key] = needs[key] + max(below, default=0.0)
                longest = max(longest, chain[key])
        return max(longest, sum(needs.values()) / max(1, self.slots))

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
        left = self.time_left()
        said = "time left not known yet" if left is None else f"about {duration(left)} left"
        return f"{self.done}/{self.total}, {said}"

    def line(self, event: Event) -> str:
        """An event as a plain line; empty for those that would only fill a log."""
        if event.what not in (*ENDED, "retry"):
            return ""
        seconds = f" ({event.seconds:.1f} s)" if event.seconds else ""
        message = f": {event.message}" if event.message else ""
        return f"[{self.status()}] {event.what} {event.key}{seconds}{message}"

    def render(self) -> Group:
        """The live display; rich calls it from a thread of its own."""
        with self._lock:
            return self._render()

    def _render(self) -> Group:
        total, done = max(1, self.total), self.done
        failed = len(self.progress.failures)
        width = 40
        filled = width * done // total
        left = self.time_left()
        said = "estimating the time left" if left is None else f"about {duration(left)} left"
        head = Text.assemble(
            ("━" * filled, "green"),
            ("─" * (width - filled), "dim"),
            f" {done}/{self.total} jobs, {said}",
            (f", {failed} failed" if failed else "", "red"),
        )
        return Group(head, self._running_table())

    def _running_table(self) -> Table:
        made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        made.add_column(overflow="ellipsis", no_wrap=True)
        made.add_column(style="dim", no_wrap=True)
        for key, running in list(self.running.items())[:_SHOWN]:
            steps = f"{running.step}/{running.steps}" if running.steps else ""
            made.add_row(Text(f"  {key}"), Text(f"{running.phase} {steps}"))
        if not self.running:
            spent = duration(self.clock() - self.began)
            made.add_row(Text(f"  workers are starting ({spent})"), "")
        if len(self.running) > _SHOWN:
            made.add_row(Text(f"  and {len(self.running) - _SHOWN} more"), "")
        return made


def _counted(plan: Plan) -> bool:
    """Whether the cards of a plan say how many rows each split has: costs are no guess then."""
    tasks = {job.target for job in plan.jobs.values()}
    tasks |= {task for job in plan.jobs.values() for task in job.declared.get("tasks", ())}
    cards = [plan.cards[task] for task in tasks if task in plan.cards]
    return all(split.rows is not None for card in cards for split in card.splits.values())
