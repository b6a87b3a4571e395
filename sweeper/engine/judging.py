"""What to make of the end of an attempt: done, pruned, tried again, or given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sweeper import failures
from sweeper.engine.deaths import Death
from sweeper.errors import StoreError
from sweeper.jobs import JobSpec
from sweeper.losers import drop, losers_after
from sweeper.progress import Progress
from sweeper.redaction import redacted
from sweeper.store.drivers import Driver

LIMITS = {
    "data": 1,  # what the job reads is missing or breaks a rule: repeating it only repeats it
    "model": 1,  # the same of a base model or checkpoint
    "bug": 1,  # the same of our code
    "out_of_memory": 20,  # each time with half as much on the device at once: it ends by itself
    "damaged": 3,  # what another job made is not what was committed: it is made again first
    "infrastructure": 3,  # system, network, or a worker that vanished: passes, or the job's doing
    "preempted": 100,  # the process or its host was taken away: says nothing about the job
}
"""Attempts at a job, per class of the error that ended them; each class is counted apart. A full
or unwritable store is no job's fault: it stops the sweep. A divergence is an outcome."""

FIRST_PAUSE, LONGER = 3.0, 10.0
"""Seconds before the second attempt after an error of class "infrastructure", and how many times
longer each further pause is: what failed may pass, and a host that is ill be healed or gone."""


def pause_after(kind: str, tried: int) -> float:
    """Seconds before the next attempt, after so many that ended with an error of a class."""
    return FIRST_PAUSE * LONGER ** (tried - 1) if kind == "infrastructure" else 0.0


class Judge:
    """Judges attempts that ended, and keeps count of them.

    Args:
        progress: The plan against the store.
        driver: Whose attempts they are.
        say: Called with what happened, a job, and words.
        rest: Called with a job that is to be tried again in so many seconds.
        stop: Called with why, where nothing more can be done.

    Attributes:
        done: How many attempts of this driver were committed.
    """

    def __init__(
        self,
        progress: Progress,
        driver: Driver,
        say: Callable[..., None],
        rest: Callable[[str, float], None],
        stop: Callable[[str], None],
    ) -> None:
        self.done = 0
        self._progress = progress
        self._driver = driver
        self._say = say
        self._rest = rest
        self._stop = stop
        self._told = len(progress.failures)
        self._attempts: Counter[tuple[str, str]] = Counter()

    def settle(self, spec: JobSpec, result: dict[str, Any], death: Death) -> None:
        """Take in how an attempt ended; a store that does not let us stops the sweep."""
        try:
            self._judge(spec, result, death)
        except StoreError as error:
            self._stop(str(error))
            self._progress.give_back(spec.key)

    def _judge(self, spec: JobSpec, result: dict[str, Any], death: Death) -> None:
        """Judge an attempt by the store first: a worker may die after its commit."""
        if self._progress.committed(spec.key, spec.address, spec.generation):
            self._committed(spec, result)
            # A search of which all trials diverged fails its scores with its last commit.
            self.tell_failures()
        elif why := self._progress.stopped_early(spec.key):
            self._pruned(spec, result, why)
        elif result.get("status") == "stopped" or (self._driver.why and not result):
            # The worker may have seen first that its driver is asked to stop; or it was preempted.
            if why := self._driver.why or self._driver.asked_to_stop():
                self._stop(why)
            self._progress.give_back(spec.key)
        else:
            self._retry(spec, result, death)

    def _committed(self, spec: JobSpec, result: dict[str, Any]) -> None:
        self.done += 1
        commit = self._progress.commits.by_address[spec.address]
        if spec.kind in ("score", "train"):
            drop(self._progress, list(losers_after(self._progress, spec.key)))
        outcome = commit.outcome
        what = "diverged" if outcome["status"] == "diverged" else "done"
        self._say(what, spec.key, outcome.get("message", ""), seconds=result.get("seconds", 0.0))

    def _pruned(self, spec: JobSpec, result: dict[str, Any], why: str) -> None:
        if not (result or failures.last_words(self._progress.files, spec)):
            failures.record(self._progress.files, spec, "pruned", why)  # its worker was killed
        self._say("pruned", spec.key, why, seconds=result.get("seconds", 0.0))
        self.tell_failures()

    def _retry(self, spec: JobSpec, result: dict[str, Any], death: Death) -> None:
        files = self._progress.files
        if self._progress.undermined(spec.key):
            self._say("retry", spec.key, "its checkpoint was deleted: it lost in another study")
            self._progress.give_back(spec.key)
            return
        said = result or failures.last_words(files, spec)
        kind = said.get("error") or ("preempted" if death.preempted else "infrastructure")
        message = redacted(said.get("message") or f"its worker died: {death.message}")
        if not said:
            failures.record(files, spec, kind, message)
        self._attempts[spec.key, kind] += 1
        if kind == "store":
            self._stop(message)
            self._progress.give_back(spec.key)
            return
        if kind == "pruned":  # and all others of its search diverged before it had stopped
            self._say("retry", spec.key, "no other trial of its search can win: it goes on")
            self._progress.give_back(spec.key)
            return
        if kind == "damaged":  # the worker withdrew what it found
            self._progress.commits.refresh()
        tried = self._attempts[spec.key, kind]
        if tried >= LIMITS[kind]:
            failures.give_up(files, spec, message)
            self.fail(spec.key, message)
            return
        pause = pause_after(kind, tried)
        later = f"; again in {pause:g} s" if pause else ""
        self._say("retry", spec.key, f"attempt {tried} ended{later}: {message}")
        self._rest(spec.key, pause)

    def fail(self, key: str, message: str) -> None:
        """Fail a job for good, as far as this run is concerned."""
        self._progress.fail(key, message)
        self.tell_failures()

    def tell_failures(self) -> None:
        """Say which jobs failed since last time, here or by what another driver committed."""
        new = list(self._progress.failures.items())[self._told :]
        self._told += len(new)
        for key, message in new:
            self._say("failed", key, message)
