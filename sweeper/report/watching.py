"""A sweep as it is seen from elsewhere: by its store alone, while it runs and after it died."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeper.analysis.view import View
from sweeper.report.atwork import AtWork
from sweeper.report.live import about, bar, running_table, step
from sweeper.report.overview import print_failures, print_states
from sweeper.report.terminal import duration, print_matrix, say
from sweeper.report.timeleft import measured, share, time_left
from sweeper.store.drivers import Drivers, Seen
from sweeper.store.files import StoreFiles

if TYPE_CHECKING:
    from sweeper.analysis.matrix import TransferMatrix

REFRESH_SECONDS = 3.0


def watch(watched: Watched, out: Console, wait: Callable[[float], None] = time.sleep) -> None:
    """Show a sweep until it is complete or nobody is at work on it any more.

    On a terminal what is shown is kept up to date in place; elsewhere it is printed anew when
    something other than the steps of running jobs has changed.

    Args:
        watched: The sweep.
        out: Where it is shown.
        wait: Waits for some seconds, for tests.
    """
    if not out.is_terminal:
        before = None
        for _ in _looks(watched, wait):
            if watched.state != before:
                watched.show(out)
            before = watched.state
        return
    with Live(console=out, auto_refresh=False, transient=True) as live:
        for _ in _looks(watched, wait):
            drawn = Console(
                file=io.StringIO(), width=out.width, force_terminal=True, highlight=False
            )
            with drawn.capture() as text:
                watched.show(drawn)
            live.update(Text.from_ansi(text.get()), refresh=True)
    watched.show(out)


def _looks(watched: Watched, wait: Callable[[float], None]) -> Iterator[None]:
    yield
    while not watched.over:
        wait(REFRESH_SECONDS)
        watched.look()
        yield


class Watched:
    """A study of a store, its drivers, and what they run.

    Args:
        files: The store.
        study: The study's name; default: the only one.
        drivers: The store's drivers as this process sees them.
    """

    def __init__(
        self, files: StoreFiles, study: str | None = None, drivers: Drivers | None = None
    ) -> None:
        self.view = View(files, study)
        self.drivers = drivers or Drivers(files)
        self._known: Any = None
        self._rates: dict[str, float] = {}
        self._matrix: TransferMatrix | None = None
        self._take_in()

    def look(self) -> None:
        """Read what is new."""
        self.view = self.view.again()
        self._take_in()

    def _take_in(self) -> None:
        self.at_work = AtWork(self.drivers, self.view.plan.study.name)
        self.wanted = self.at_work.wanted(self.view)
        known = (self.view.progress.done, self.view.progress.failures)
        if self._known != known:
            from sweeper.analysis.averaging import transfer

            self._known = known
            self._rates, self._matrix = measured(self.view), transfer(self.view)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be seen: it is complete, or nobody is at work on it."""
        return not self.at_work.living

    @property
    def state(self) -> Any:
        """What is shown, less the steps and times of what runs: equal if nothing happened."""
        progress = self.view.progress
        drivers = [(seen.driver, self.drivers.lives(seen)) for seen in self.at_work.shown]
        return (
            progress.done,
            progress.failures,
            {*self._running()},
            drivers,
            self.at_work.strangers,
        )

    def _running(self) -> dict[str, tuple[Seen, dict[str, Any]]]:
        """Job key -> the living driver that runs it, and what that says of it."""
        return {
            key: (seen, said)
            for seen in self.at_work.living
            for key, said in seen.heartbeat.get("running", {}).items()
            # One without a phase waits for a worker; one that is done was so after the beat.
            if said["phase"] and key not in self.view.progress.done
        }

    # -- showing -------------------------------------------------------------------------------

    def show(self, out: Console) -> None:
        """Print how far it is, who is at work on what, what failed, and the matrix so far."""
        progress = self.view.progress
        print_states(out, self.view)
        out.print()
        left, failed = len(progress.left), len(progress.failures)
        total = len(progress.done) + left + failed + len(progress.blocked())
        out.print(bar(len(progress.done), total, self._outlook(), failed))
        for seen in self.at_work.shown:
            say(out, f"  {self.at_work.told(seen)}")
        for part in self.at_work.parts(self.view):
            say(out, f"  {part}")
        if left and not self.at_work.living:
            say(out, f"  Left: {left} jobs; `sweeper run` goes on with them.")
        strangers = self.at_work.strangers
        if strangers:
            say(out, f"  Drivers of other studies at work on this store: {strangers}.")
        rows = [self._row(key, *running) for key, running in self._running().items()]
        if rows:
            out.print(running_table(rows))
        print_failures(out, self.view)
        out.print()
        if self._matrix is not None:
            print_matrix(out, self._matrix, with_notes=False)

    def _outlook(self) -> str:
        progress = self.view.progress
        if not progress.left:
            return "nothing is left" if progress.failures else "complete"
        if not self.at_work.living:
            return "nobody at work on it"
        running = self._running()
        shares = {
            key: done
            for key, (_, said) in running.items()
            if (done := share(said["phase"], said["step"], said["steps"])) is not None
        }
        slots = sum(seen.heartbeat.get("slots", 0) for seen in self.at_work.living)
        said = about(time_left(self.wanted, self._rates, shares, slots))
        return said if self.wanted is progress else f"{said} of the part asked for"

    def _row(self, key: str, seen: Seen, said: dict[str, Any]) -> tuple[str, ...]:
        # Both times are of the driver's clock; what passed since it wrote them is of ours.
        ran = seen.heartbeat["now"] - said["since"] + self.drivers.clock() - seen.changed
        place = said["host"] or seen.heartbeat["host"]
        return key, step(said["phase"], said["step"], said["steps"]), place, duration(ran)
