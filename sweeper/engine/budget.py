"""What a run may spend: hours of GPUs, until when, how many at once; and a meter of the first."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sweeper.errors import EngineError

USED_UP = "stopped by its budget"
"""What the reason of a stop begins with that a budget is the cause of."""

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?[dhms])+")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Budget:
    """What one run may spend; None is no limit.

    Attributes:
        gpu_hours: What its jobs may take of GPUs, in hours, all together: from when a job is
            handed out until it ends, failed attempts too. Where there are no GPUs: of slots.
        until: When it stops, in seconds since 1970, UTC.
        gpus: How many GPUs (slots, where there are none) its jobs may have at once.
        jobs_per_gpu: How many jobs may share a GPU, where as many fit by measured memory.

    Raises:
        EngineError: a limit that leaves nothing.
    """

    gpu_hours: float | None = None
    until: float | None = None
    gpus: int | None = None
    jobs_per_gpu: int | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("--max-gpu-hours", self.gpu_hours),
            ("--max-gpus", self.gpus),
            ("--jobs-per-gpu", self.jobs_per_gpu),
        ):
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise EngineError(
                    f"{name} must be a number above 0, since nothing can be done with less; it is "
                    f"{value:g}. Raise it, or leave it out for no limit."
                )


def moment(said: str, now: datetime | None = None) -> float:
    """When a person's words are, in seconds since 1970: a duration, a clock time or a date.

    ``90m``, ``1h30m``, ``2d`` count from now; ``18:30`` is the next one of this host's clock;
    ``2027-01-31T18:30`` is that moment of it.

    Raises:
        EngineError: none of these, no time at all, or a moment that is over.
    """
    # Without a zone Python takes this host's, which has another offset in summer.
    zone = now.tzinfo if now else None
    now = now or datetime.now().astimezone()
    try:
        then = _moment(said.strip(), now, zone)
    except (OverflowError, ValueError):
        then = None
    if then is None:
        raise EngineError(
            f"--until takes a duration (90m, 1h30m, 2d), a time (18:30) or a date with a time "
            f"(2027-01-31T18:30); {said!r} is none of these. Mend it."
        )
    if then <= now:
        raise EngineError(
            f"--until must be a moment to come; {said!r} is {then:%Y-%m-%d %H:%M:%S}, and it is "
            f"{now:%Y-%m-%d %H:%M:%S} now. Give a later one."
        )
    return then.timestamp()


def _moment(said: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    if _DURATION.fullmatch(said):
        parts = re.findall(r"([\d.]+)([dhms])", said)
        return now + timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in parts))
    if clock := _CLOCK.fullmatch(said):
        here = now.replace(tzinfo=None, second=0, microsecond=0)
        today = here.replace(hour=int(clock[1]), minute=int(clock[2]))
        then = _in(today, zone)
        return then if then > now else _in(today + timedelta(days=1), zone)
    if "T" not in said and " " not in said:
        return None  # a date alone does not say when on that day
    then = datetime.fromisoformat(said)
    return then if then.tzinfo else _in(then, zone)


def _in(then: datetime, zone: tzinfo | None) -> datetime:
    return then.replace(tzinfo=zone) if zone else then.astimezone()


class Meter:
    """Counts what the jobs of a run take, and says when its budget is used up.

    Args:
        budget: What the run may spend.
        unit: What is counted: "GPU", or "slot" where there are no GPUs.
        clock: Seconds since 1970, for tests.

    Attributes:
        share: How many jobs share what is counted.
    """

    def __init__(
        self, budget: Budget, unit: str = "GPU", clock: Callable[[], float] = time.time
    ) -> None:
        self.budget = budget
        self.unit = unit
        self.share = 1
        self._clock = clock
        self._running: dict[Any, float] = {}
        self._ended = 0.0

    def begin(self, trial: str) -> None:
        """A job got a GPU."""
        self._running[trial] = self._clock()

    def end(self, trial: str) -> None:
        """A job let go of its GPU; of others nothing is counted."""
        began = self._running.pop(trial, None)
        if began is not None:
            self._ended += self._clock() - began

    @property
    def hours(self) -> float:
        """What was spent by now, running jobs included."""
        now = self._clock()
        spent = self._ended + sum(now - began for began in self._running.values())
        return spent / 3600 / self.share

    def used_up(self) -> str:
        """Why nothing more may be spent; "" as long as something may."""
        budget = self.budget
        if budget.gpu_hours is not None and self.hours >= budget.gpu_hours:
            return f"{USED_UP} of {budget.gpu_hours:g} {self.unit}-hours"
        if budget.until is not None and self._clock() >= budget.until:
            then = datetime.fromtimestamp(budget.until, UTC).astimezone()
            return f"{USED_UP}, --until {then:%Y-%m-%d %H:%M:%S}"
        return ""
