"""Who is at work on a study by what its store shows, and what part of it they were asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sweeper.errors import StudyError
from sweeper.report.terminal import duration
from sweeper.scope import Scope
from sweeper.store.drivers import Drivers, Seen, machine

if TYPE_CHECKING:
    from sweeper.analysis.view import View
    from sweeper.progress import Progress


class AtWork:
    """The drivers of a study as this process sees them.

    Attributes:
        living: Those that count as alive.
        shown: The same; where there are none the last one, since nobody has followed it.
        strangers: How many living drivers run other studies into this store.

    Args:
        drivers: The store's drivers.
        study: The study's name.
    """

    def __init__(self, drivers: Drivers, study: str) -> None:
        self.drivers = drivers
        every = drivers.all()
        ours = [seen for seen in every if seen.heartbeat.get("study", "") == study]
        self.living = [seen for seen in ours if drivers.lives(seen)]
        self.shown = self.living or ours[:1]
        self.strangers = sum(drivers.lives(seen) for seen in every if seen not in ours)

    def told(self, seen: Seen, *, once: bool = False) -> str:
        """Who drives, and whether it lives, by this process's clock.

        Args:
            seen: A driver.
            once: Whether nobody will look again: then its beat's own time says how old it is.
        """
        said = seen.heartbeat
        name = f"Driver {seen.driver[:8]} on {said['host']} (process {said['pid']})"
        if seen.ended:
            return f"{name} has ended{': ' if said['why'] else ''}{said['why']}."
        if seen.gone:
            return f"{name} is dead: there is no such process on this host any more."
        still = duration(self.drivers.clock() - seen.changed)
        if not self.drivers.lives(seen):
            return f"{name} seems dead: its last beat has not changed for {still}."
        up = duration(said["now"] - said["started"])
        stopping = f"; stopping: {said['why']}" if said["why"] else ""
        if once:
            return f"{name}, up {up}: {self._by_its_beat(said)}{stopping}."
        beat = f"last seen {still} ago" if seen.moved else f"no beat seen yet in {still}"
        return f"{name}, up {up}: {beat}{stopping}."

    def _by_its_beat(self, said: dict[str, Any]) -> str:
        """Whether a driver lives that was looked at once, as far as that can be told."""
        if said["machine"] and said["machine"] == machine():
            return "at work"
        age = time.time() - said["now"]  # of two hosts' clocks: a hint, and told as one
        if age < self.drivers.patience:
            return "at work, by its last beat"
        return (
            f"its last beat is {duration(age)} old, if its host's clock agrees with this one's; "
            "`sweeper status --watch` tells whether it lives"
        )

    def parts(self, view: View) -> list[str]:
        """What part of the study was asked for, and what is left of it; nothing where all was."""
        found = []
        for seen in self.shown:
            part = _part(seen)
            if part:
                who = "It was" if len(self.shown) == 1 else f"Driver {seen.driver[:8]} was"
                found.append(f"{who} asked for a part alone: {part}{_left(view, part)}.")
        return found

    def wanted(self, view: View) -> Progress:
        """The study's progress towards what the living drivers were asked for."""
        parts = [_part(seen) for seen in self.living]
        if not parts or not all(parts):
            return view.progress
        try:
            return view.towards([end for part in parts for end in part.ends(view.plan) or ()])
        except StudyError:  # another version of the study
            return view.progress


def _part(seen: Seen) -> Scope:
    return Scope(**seen.heartbeat.get("part", {}))


def _left(view: View, part: Scope) -> str:
    try:
        ends = part.ends(view.plan)
    except StudyError:  # the study was run again without such a row or column
        return ""
    left = len(view.towards(ends or ()).left)
    return f" ({left} of the {len(view.progress.left)} jobs left)"
