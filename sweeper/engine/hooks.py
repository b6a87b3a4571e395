"""Tune's two hooks, as thin as they can be: what to run next, and which holds end.

An exception in one of them would end the whole sweep, so each is guarded: it stops the handing
out of jobs with the error as the reason, and what runs is saved.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweeper.engine.deaths import death_of
from sweeper.engine.dispatch import Dispatcher
from sweeper.redaction import redacted

log = logging.getLogger("sweeper")
Answer = TypeVar("Answer")


def guarded(default: Answer) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Turn an exception of a hook into a clean stop of the sweep."""

    def decorate(hook: Callable[..., Answer]) -> Callable[..., Answer]:
        @functools.wraps(hook)
        def call(self: Any, *args: Any, **kwargs: Any) -> Answer:
            try:
                return hook(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001  (Tune would end without saving anything)
                log.error("the engine failed:\n%s", redacted(traceback.format_exc()))
                self.dispatcher.stop(f"the engine failed: {type(error).__name__}: {error}")
                return default

        return call

    return decorate


WORDS_PER_SECOND = 80
"""Results that all workers of a cluster together send to the driver, at most."""


class _Unpickled:
    """Tune pickles its hooks to restore a run; a sweep is never restored, so nothing is kept."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PlanSearcher(_Unpickled, Searcher):
    """Gives Tune the next job of the plan as the config of a new trial."""

    def __init__(self, dispatcher: Dispatcher, store: str, threads: dict[str, int]) -> None:
        """Threads are those of a job, per pool."""
        super().__init__(metric=None, mode=None)
        self.dispatcher = dispatcher
        self.store = store
        self.threads = threads

    @guarded(None)
    def suggest(self, trial_id: str) -> Any:
        """The next job's config, a hold's, None for not now, or FINISHED."""
        given = self.dispatcher.next(trial_id)
        # A word of a worker costs the driver a millisecond or two: where there are many, they
        # speak less.
        beat = sum(pool.slots for pool in self.dispatcher.pools.values()) / WORDS_PER_SECOND
        if isinstance(given, str):
            return {"hold": True, "pool": given, "threads": self.threads[given], "beat": beat}
        if given is not None:
            pool = self.dispatcher.pool_of(given.key)
            return {
                "hold": False,
                "pool": pool,
                "store": self.store,
                "job": f"attempts/{given.address}/{given.attempt}/job.json",
                "stop": self.dispatcher.driver.stop_marker,
                "threads": self.threads[pool],
                "beat": beat,
            }
        return Searcher.FINISHED if self.dispatcher.finished else None

    @guarded(None)
    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A sign of life."""
        self.dispatcher.progressed(trial_id, result)

    @guarded(None)
    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The end of a job or of a hold."""
        ended = result if result and result.get("status") and not error else None
        self.dispatcher.ended(trial_id, ended)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is the truth, and Tune's state is thrown away."""

    def restore(self, checkpoint_path: str) -> None:
        """Never: every start derives its state from the store."""

    def get_state(self) -> dict[str, Any]:
        """Nothing to pickle."""
        return {}


class HoldScheduler(_Unpickled, FIFOScheduler):
    """First in, first out; ends a hold when a job wants its slot, and hears why trials died."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self.dispatcher = dispatcher
        self._waiting: dict[str, Trial] = {}

    @guarded(None)
    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember a trial until it has shown a sign of life."""
        self._waiting[trial.trial_id] = trial

    @guarded(None)
    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Who gets the worker that was just set free; Tune starts the others as they come."""
        promoted = self._waiting.get(self.dispatcher.promoted())
        return promoted if promoted and promoted.status == Trial.PENDING else None

    @guarded(TrialScheduler.STOP)
    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """STOP for a hold whose slot is wanted; a job ends by itself, having saved on a stop."""
        self._waiting.pop(trial.trial_id, None)
        stop = trial.config["hold"] and self.dispatcher.yields(trial.trial_id)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE

    @guarded(None)
    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Remember what Ray says of a worker that died; Tune tells the searcher only that."""
        self._waiting.pop(trial.trial_id, None)
        text = Path(trial.error_file).read_text() if trial.error_file else ""
        # Tune counts a trial's failures, all but that of a host which Ray knows to be preempted.
        death = death_of(text, preempted=not trial.num_failures)
        self.dispatcher.died(trial.trial_id, death)
