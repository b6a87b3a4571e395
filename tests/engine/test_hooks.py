"""Tune's hooks, called as Tune calls them; no cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from helpers import commit_job, progress_of, quick_store, small_study

from sweeper.engine.dispatch import Dispatcher
from sweeper.tuning.searches import Searches

hooks = pytest.importorskip("sweeper.engine.hooks")


def _trial(name: str, config: dict[str, Any], status: str = "PENDING") -> Any:
    return SimpleNamespace(trial_id=name, config=config, status=status)


def test_a_worker_set_free_goes_to_the_job_that_waits_for_it() -> None:
    """And to no older trial, whose own worker may be about to start."""
    with quick_store() as files:
        progress = progress_of(small_study(), files)
        dispatcher = Dispatcher(
            progress, Searches(progress), pool_of=lambda job: "training",
            slots=lambda: {"training": 3}, listener=lambda event: None,
        )  # fmt: skip
        searcher = hooks.PlanSearcher(dispatcher, "store", {"training": 1})
        scheduler = hooks.HoldScheduler(dispatcher)
        trials: dict[str, Any] = {}

        def suggest(*names: str) -> None:
            for name in names:
                trials[name] = _trial(name, searcher.suggest(name))
                scheduler.on_trial_add(None, trials[name])

        suggest("job", "early", "late")
        assert [trial.config["hold"] for trial in trials.values()] == [False, True, True]
        trials["job"].status = trials["early"].status = "RUNNING"
        assert scheduler.on_trial_result(None, trials["early"], {}) == "CONTINUE"

        commit_job(progress, "prepare/tokenizer")
        searcher.on_trial_complete("job", {"status": "done", "seconds": 1.0})
        suggest("a", "b", "c")
        assert scheduler.choose_trial_to_run(None) is None, (
            "a takes the worker of the job as it comes"
        )
        assert scheduler.on_trial_result(None, trials["early"], {}) == "STOP"
        searcher.on_trial_complete("early", {})
        assert scheduler.choose_trial_to_run(None) is trials["b"], "not late, which is older"
        assert scheduler.choose_trial_to_run(None) is None, "once"
        trials["c"].status = "RUNNING"
        searcher.on_trial_complete("late", {})
        assert scheduler.choose_trial_to_run(None) is None, "c has found a worker by itself"


@pytest.mark.parametrize(("slots", "beat"), [(8, 0.1), (80, 1.0), (640, 8.0)])
def test_workers_of_a_large_cluster_speak_less(slots: int, beat: float) -> None:
    with quick_store() as files:
        progress = progress_of(small_study(), files)
        dispatcher = Dispatcher(
            progress, Searches(progress), pool_of=lambda job: "training",
            slots=lambda: {"training": slots}, listener=lambda event: None,
        )  # fmt: skip
        searcher = hooks.PlanSearcher(dispatcher, "store", {"training": 1})
        job, hold = searcher.suggest("a"), searcher.suggest("b")
        assert not job["hold"] and hold["hold"]
        assert job["beat"] == hold["beat"] == pytest.approx(beat)
