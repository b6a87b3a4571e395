"""What to start next, and what to make of an end. Knows no Ray: Tune's hooks call it.

A *hold* keeps a warm worker on a slot for which no job is ready yet: without it Tune would throw
away all warm workers but one whenever the plan has a narrow place (and start them anew, 4-5 s of
imports each).
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from sweeper.engine.beginning import begun
from sweeper.engine.budget import Budget, Meter
from sweeper.engine.deaths import Death
from sweeper.engine.events import Event, log_event
from sweeper.engine.judging import Judge
from sweeper.engine.pools import Pool
from sweeper.engine.queues import Queue, columns_in_order
from sweeper.errors import StoreError, SweeperError
from sweeper.graph import Job
from sweeper.jobs import JobSpec
from sweeper.progress import Progress
from sweeper.redaction import redacted
from sweeper.store.drivers import Driver
from sweeper.tuning.pruning import Prunings
from sweeper.tuning.searches import Searches

log = logging.getLogger("sweeper")


class Dispatcher:
    """Hands out jobs by priority, retries what deserves it, and keeps the counts.

    Args:
        progress: The plan against the store.
        searches: The Optuna studies.
        pool_of: Which pool a job runs in; jobs of one kind run in one pool.
        slots: Pool name -> number of slots, read anew at every turn (clusters grow and shrink).
        driver: Whose heartbeat shows what runs; default: one that nobody sees.
        shared: Whether other drivers may want the slots: then none is held for what may come.
        listener: Called with every `Event`; it must not raise.
        meter: Counts what the jobs of the pool "training" take, and stops them in time.
        clock: Seconds, by which pauses before another attempt are measured.

    Attributes:
        resting: Jobs that are to be tried again, not yet -> when, by the clock.
    """

    def __init__(
        self,
        progress: Progress,
        searches: Searches,
        *,
        pool_of: Callable[[Job], str],
        slots: Callable[[], dict[str, int]],
        driver: Driver | None = None,
        shared: Callable[[], bool] = lambda: False,
        listener: Callable[[Event], None] | None = None,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.progress = progress
        self.meter = meter or Meter(Budget())
        self.searches = searches
        self.prunings = Prunings(progress)
        self.driver = driver or Driver(progress.files, progress.plan.study.name)
        self.listener = listener or log_event
        self.pools: dict[str, Pool] = {}
        self.resting: dict[str, float] = {}
        self.stopping = ""  # why no more jobs are handed out
        self._pool_of = pool_of
        self._pool_of_kind = {job.kind: pool_of(job) for job in progress.plan.jobs.values()}
        self._slots = slots
        self._shared = shared
        self._clock = clock
        self._judge = Judge(progress, self.driver, self._say, self._rest, self.stop)
        self._queued: dict[str, Queue] = {}
        self._column = columns_in_order(progress.plan, progress.done)
        self._turn: dict[str, int] = {}  # job -> when it was first ready, counted
        self._released: dict[str, float] = {}
        self._promoted = ""  # see `promoted`
        self._deaths: dict[str, Death] = {}  # trial id -> what Ray says of its worker's death

    # -- handing out ---------------------------------------------------------------------------

    def next(self, trial_id: str) -> JobSpec | str | None:
        """A job for a new trial; a pool's name to hold a slot of it; None: nothing for now."""
        self._update_slots()
        self._mind_budget()
        if self.stopping:
            return None
        self._drain_ready()
        for name, pool in self.pools.items():
            spec = self._next_of(name, pool)
            if spec is not None:
                if len(pool.running) + len(pool.holds) >= pool.slots:
                    pool.line.append(trial_id)
                pool.running[trial_id] = spec
                if name == "training":
                    self.meter.begin(trial_id)
                self.driver.show(spec.key, spec.attempt)
                self._say("started", spec.key)
                return spec
        if self._shared():
            return None
        for name, pool in self.pools.items():
            free = len(pool.running) + len(pool.holds) < pool.slots
            if free and self._to_come(name) > pool.staying:
                pool.holds.add(trial_id)
                return name
        return None

    def found_work(self) -> bool:
        """Whether a job is this driver's to do now; it is kept for `next`."""
        self._update_slots()
        self._mind_budget()
        self._drain_ready()
        for name, pool in self.pools.items():
            pool.kept = pool.kept or self._next_of(name, pool)
        return not self.stopping and any(pool.kept for pool in self.pools.values())

    def _next_of(self, name: str, pool: Pool) -> JobSpec | None:
        kept, pool.kept = pool.kept, None
        if kept:
            return kept
        queued = self._queued.get(name)
        while queued and not self.stopping and len(pool.running) < pool.slots:
            spec = self._start(queued.pop(self._time_left(name)))
            if spec is not None:
                return spec
            # It needed no attempt of its own; what it led to may be ready now.
            self._drain_ready()
        return None

    @property
    def done(self) -> int:
        """How many attempts of this driver were committed."""
        return self._judge.done

    @property
    def finished(self) -> bool:
        """Whether nothing runs, and nothing more will or it `waits` where that costs others."""
        if self._busy or self.stopping:
            return not self._busy
        return not self._any_ready() and (not self._expects or self._shared())

    @property
    def waits(self) -> bool:
        """Whether what is left, `found_work` having found none, hangs on others or on hosts.

        Other drivers are at work on it, it rests, or there is no slot for it now.
        """
        if self._busy or self.stopping or any(pool.kept for pool in self.pools.values()):
            return False
        return self._any_ready() or self._expects

    @property
    def _expects(self) -> bool:
        """Whether something will be ready that no job of this driver leads to."""
        return self.progress.waiting or bool(self.resting)

    @property
    def _busy(self) -> bool:
        return any(pool.running for pool in self.pools.values())

    def _any_ready(self) -> bool:
        self._drain_ready()
        kept = any(pool.kept for pool in self.pools.values())
        return kept or any(self._queued.values())

    def yields(self, trial_id: str) -> bool:
        """Whether a hold should end now, since a job wants its slot or nothing ever will."""
        for name, pool in self.pools.items():
            if trial_id not in pool.holds:
                continue
            self._drain_ready()
            free = pool.slots - len(pool.running) - len(self._queued.get(name, ()))
            wanted = 0 if self._shared() else max(0, min(free, self._to_come(name)))
            if self.stopping or pool.staying > wanted:
                pool.stopping.add(trial_id)
            return trial_id in pool.stopping
        return False

    def _to_come(self, name: str) -> int:
        """How many jobs of a pool do not run yet, ready or not."""
        left = sum(n for kind, n in self.progress.left_by_kind.items()
                   if self._pool_of_kind[kind] == name)  # fmt: skip
        return left - len(self.pools[name].running)

    def _time_left(self, name: str) -> float:
        """How long the work left to a pool will take it, in the unit of the jobs' costs."""
        left = sum(cost for kind, cost in self.progress.cost_by_kind.items()
                   if self._pool_of_kind[kind] == name)  # fmt: skip
        return left / max(1, self.pools[name].slots)

    def pool_of(self, key: str) -> str:
        """The name of the pool that a job runs in."""
        return self._pool_of(self.progress.plan.jobs[key])

    def _mind_budget(self) -> None:
        why = "" if self.stopping else self.meter.used_up()
        if why:
            self.stop(why)

    def _update_slots(self) -> None:
        for name, slots in self._slots().items():
            self.pools.setdefault(name, Pool(slots)).slots = slots
        self.driver.slots = max((pool.slots for pool in self.pools.values()), default=0)

    def _drain_ready(self) -> None:
        """Move what the progress says is ready to the queues of the pools, in its order."""
        for rested in [key for key, when in self.resting.items() if when <= self._clock()]:
            del self.resting[rested]
            self.progress.give_back(rested)
        try:
            while (key := self.progress.take()) is not None:
                self._released[key] = time.time()
                name = self._pool_of(self.progress.plan.jobs[key])
                turn = self._turn.setdefault(key, len(self._turn))
                queue = self._queued.setdefault(name, Queue())
                path, column = self.progress.urgency[key], self._column[key]
                queue.push(key, path=path, column=column, turn=turn)
        except StoreError as error:  # what other drivers did cannot be read
            self.stop(str(error))
        self._judge.tell_failures()

    def _start(self, key: str) -> JobSpec | None:
        """The spec of a job's next attempt; None where it turns out to need none."""
        job = self.progress.plan.jobs[key]
        attempt = f"{int(time.time() * 1000):012x}-{uuid.uuid4().hex[:6]}"
        try:
            if job.kind == "tune":
                self.searches.ask(job)
            if self.progress.claim(key, attempt):
                return begun(self.progress, job, attempt, self._released[key])
            if key in self.progress.claims.elsewhere:
                self._say("elsewhere", key, "another driver of this store is at work on it")
        except StoreError as error:
            # No job could be started or end: what is committed is safe, so stop here.
            self.stop(str(error))
            self.progress.give_back(key)
        except SweeperError as error:
            self._judge.fail(key, redacted(str(error)))
        return None

    # -- taking back ---------------------------------------------------------------------------

    def progressed(self, trial_id: str, result: dict[str, Any]) -> None:
        """A worker shows a sign of life."""
        self._mind_budget()
        spec = self._spec_of(trial_id)
        if spec and "step" in result:
            said = {name: result[name] for name in ("phase", "step", "steps")}
            host = result.get("hostname", "")
            self.driver.show(spec.key, spec.attempt, host=host, **said)
            self._say("progress", spec.key, said["phase"], said["step"], said["steps"])
            if result.get("values"):
                self._compare(spec, list(result["values"]))

    def _compare(self, spec: JobSpec, values: list[float]) -> None:
        """Stop a trial that its study's rule prunes; its worker looks before it goes on."""
        why = self.prunings.verdict(self.progress.plan.jobs[spec.key], values)
        try:
            if why:
                self.progress.prune(spec.key, values, why)
        except StoreError as error:
            self.stop(str(error))

    def ended(self, trial_id: str, result: dict[str, Any] | None) -> None:
        """A trial is over: ``result`` is its worker's last word, None if the worker vanished."""
        for pool in self.pools.values():
            if trial_id not in pool.running and trial_id not in pool.holds:
                continue
            pool.holds.discard(trial_id)
            pool.stopping.discard(trial_id)
            spec = pool.running.pop(trial_id, None)
            self.meter.end(trial_id)
            if trial_id in pool.line:
                pool.line.remove(trial_id)
            elif pool.line:
                self._promoted = pool.line.popleft()
            if spec is not None:
                self.driver.running.pop(spec.key, None)
                self._judge.settle(spec, result or {}, self._deaths.pop(trial_id, Death()))

    def _rest(self, key: str, seconds: float) -> None:
        """Hand a job out again after a pause; others are handed out meanwhile."""
        self.resting[key] = self._clock() + seconds

    def promoted(self) -> str:
        """The trial that is to have the worker that was set free last; "" once it is told.

        By itself Tune gives that worker to the oldest trial without one, and ends the worker that
        may be starting for it: then slots stay empty while jobs are shorter than such a start.
        """
        told, self._promoted = self._promoted, ""
        return told

    def died(self, trial_id: str, death: Death) -> None:
        """Ray's own word on why a trial's worker died; `ended` follows."""
        self._deaths[trial_id] = death

    def stop(self, why: str) -> None:
        """Hand out nothing more; what runs saves, as soon as it next looks."""
        if self.stopping:
            return
        self.stopping = self.driver.why = redacted(why)
        try:
            self.progress.files.create(self.driver.stop_marker, {"why": self.stopping})
        except StoreError as error:  # what runs then goes on to its end, or fails as this did
            log.error("%s", error)

    def _spec_of(self, trial_id: str) -> JobSpec | None:
        for pool in self.pools.values():
            if trial_id in pool.running:
                return pool.running[trial_id]
        return None

    def _say(
        self, what: str, key: str, message: str = "", step: int = 0, steps: int = 0,
        seconds: float = 0.0,
    ) -> None:  # fmt: skip
        self.listener(Event(what, key, message, step, steps, seconds))
