"""Where the wall time of a sweep went, and how well its workers were kept busy.

All from the ``trials`` table. Time is counted in slot seconds: wall time times the number of jobs
that ran at once at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

PHASES = ("setup", "data", "compute", "evaluate", "score", "save")
OTHER, LOST, COLD, WAITING = "other", "failed attempts", "cold start", "waiting"

_SAME_SWEEP = 5.0
"""Seconds without any job released or at work that part one run of a sweep from the next."""


@dataclass(frozen=True)
class Attempt:
    """What one row of the ``trials`` table says of time; seconds since 1970."""

    job: str
    worker: str
    released: float
    started: float
    first_batch: float | None
    committed: float
    phases: Mapping[str, float]
    failed: bool = False

    @property
    def seconds(self) -> float:
        """From its start to its commit."""
        return self.committed - self.started


@dataclass(frozen=True)
class Where:
    """Where the time went.

    ``seconds`` are slot seconds: per phase of the jobs that were committed; ``other`` is time
    inside jobs that no phase counts (reporting, committing); ``failed attempts`` all of theirs;
    ``cold start`` the time before a worker's first job; ``waiting`` what is left: workers
    between jobs, and slots at the end of a run. They add up to ``wall`` times the slots.

    ``gaps`` are seconds from a worker's commit to the first batch of its next job, of those jobs
    that had been released by the time of that commit. ``cold_starts`` are seconds from the start
    of a run (or the end of the slot's last worker) to the start of a worker's first job.

    ``busy`` is work / (work + idle), where work is the time that workers spent in jobs, and idle
    the integral over time of min(workers idle between jobs, jobs released and not begun). Cold
    starts count as neither; None if nothing ran.
    """

    runs: int
    slots: int
    wall: float
    seconds: dict[str, float]
    gaps: list[float] = field(default_factory=list)
    cold_starts: list[float] = field(default_factory=list)
    busy: float | None = None

    @property
    def total(self) -> float:
        """All slot seconds."""
        return sum(self.seconds.values())


def where(trials: Iterable[Mapping[str, Any]]) -> Where:
    """Where the time went, from rows of the ``trials`` table (as dictionaries).

    Several runs into one store are told apart by their pauses; each has slots of its own, and
    the time between them counts nowhere. A worker that died without a word left no name, and its
    time is counted as waiting.
    """
    found = [_Run(attempts) for attempts in runs(trials)]
    seconds = dict.fromkeys((*PHASES, OTHER, LOST, COLD, WAITING), 0.0)
    for run in found:
        for name, value in run.seconds().items():
            seconds[name] += value
    work = sum(attempt.seconds for run in found for attempt in run.attempts)
    idle = sum(run.idle_while_ready() for run in found)
    return Where(
        runs=len(found),
        slots=max((run.slots for run in found), default=0),
        wall=sum(run.end - run.start for run in found),
        seconds=seconds,
        gaps=[gap for run in found for gap in run.gaps()],
        cold_starts=[cold for run in found for cold in run.cold_starts()],
        busy=work / (work + idle) if work else None,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _attempt(row: Mapping[str, Any]) -> Attempt:
    first = row["first_batch"]
    return Attempt(
        job=row["job"],
        worker=row["worker"],
        # A clock of another node may be behind; a job is not started before it is released.
        released=min(row["released"], row["started"]),
        started=row["started"],
        first_batch=None if first is None or math.isnan(first) else first,
        committed=row["committed"],
        phases={phase: row[f"seconds_{phase}"] or 0.0 for phase in PHASES},
        failed=row["status"] == "failed",
    )


def runs(trials: Iterable[Mapping[str, Any]]) -> Iterator[list[Attempt]]:
    """The attempts of each run: within one, some job is always released or at work.

    Args:
        trials: Rows of the ``trials`` table; those without a worker's name are left out.
    """
    named = [_attempt(row) for row in trials if row["worker"]]
    group: list[Attempt] = []
    end = -math.inf
    for attempt in sorted(named, key=lambda a: a.released):
        if group and attempt.released > end + _SAME_SWEEP:
            yield group
            group = []
        group.append(attempt)
        end = max(end, attempt.committed)
    if group:
        yield group


class _Run:
    """One run: its attempts by worker, and its workers by slot."""

    def __init__(self, attempts: list[Attempt]) -> None:
        self.attempts = sorted(attempts, key=lambda a: a.started)
        self.start = min(attempt.released for attempt in attempts)
        self.end = max(attempt.committed for attempt in attempts)
        self.workers: dict[str, list[Attempt]] = {}
        for attempt in self.attempts:
            self.workers.setdefault(attempt.worker, []).append(attempt)
        # A worker that died leaves its slot to the next: the one that became free last.
        free: list[float] = []
        self.cold: dict[str, float] = {}  # worker -> since when its slot had none
        for worker, own in self.workers.items():
            ended = [time for time in free if time <= own[0].started]
            if ended:
                free.remove(max(ended))
            self.cold[worker] = max(ended, default=self.start)
            free.append(own[-1].committed)
        self.slots = len(free)

    def cold_starts(self) -> list[float]:
        """Per worker, seconds before its first job."""
        return [own[0].started - self.cold[worker] for worker, own in self.workers.items()]

    def gaps(self) -> Iterator[float]:
        """Seconds from commit to next first batch, where the next job had been released."""
        for own in self.workers.values():
            for before, after in pairwise(own):
                if after.first_batch is not None and after.released <= before.committed:
                    yield after.first_batch - before.committed

    def seconds(self) -> dict[str, float]:
        """Slot seconds by what they were spent on."""
        found = dict.fromkeys((*PHASES, OTHER, LOST, COLD, WAITING), 0.0)
        for attempt in self.attempts:
            if attempt.failed:
                found[LOST] += attempt.seconds
                continue
            for phase, value in attempt.phases.items():
                found[phase] += value
            found[OTHER] += attempt.seconds - sum(attempt.phases.values())
        found[COLD] = sum(self.cold_starts())
        found[WAITING] = self.slots * (self.end - self.start) - sum(found.values())
        return found

    def idle_while_ready(self) -> float:
        """Worker seconds without a job while one that had not begun was ready."""
        changes: list[tuple[float, int, int]] = []  # time, idle workers, ready jobs
        last_end: dict[str, float] = {}
        for attempt in self.attempts:
            # Another attempt at the same job is ready once the one before it has ended.
            ready = max(attempt.released, last_end.get(attempt.job, -math.inf))
            last_end[attempt.job] = attempt.committed
            changes += [(min(ready, attempt.started), 0, 1), (attempt.started, 0, -1)]
        for own in self.workers.values():
            for before, after in pairwise(own):
                changes += [(before.committed, 1, 0), (after.started, -1, 0)]
        total, idle, ready, now = 0.0, 0, 0, self.start
        for time, more_idle, more_ready in sorted(changes):
            total += min(idle, ready) * (time - now)
            idle, ready, now = idle + more_idle, ready + more_ready, time
        return total
