"""Asking Optuna for a trial's parameters and telling it what became of them.

Studies live in memory. A trial's parameters are in the store before it starts and its outcome is
in its commit, so a driver that starts anew rebuilds every study from those two.
"""

from __future__ import annotations

import logging
from typing import Any, get_args

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState

from sweeper.addressing import derived_seed
from sweeper.planning import Job, Search
from sweeper.progress import Progress
from sweeper.store.commits import Commit
from sweeper.study import Range, Training

optuna.logging.set_verbosity(logging.WARNING)


class Searches:
    """The Optuna studies of a plan."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._studies: dict[str, _Study] = {}

    def ask(self, job: Job) -> None:
        """Fix a trial's parameters, durably, before it starts; what was asked before stands."""
        assert job.trial is not None
        search = self.progress.plan.searches[job.declared["search"]]
        study = self._study(search)
        if job.trial not in study.trials:
            wished = search.space.grid[job.trial] if search.space.sampler == "grid" else None
            trial = study.ask(wished)
            self.progress.asked(search, job.trial, trial.params)
            study.start(job.trial, trial, self._asked(search)[job.trial])

    def tell(self, job: Job, commit: Commit) -> None:
        """Tell a trial's outcome: complete with its value (percent), or failed if it diverged."""
        assert job.trial is not None
        search = self.progress.plan.searches[job.declared["search"]]
        self._study(search).finish(job.trial, commit)

    def study(self, search: Search) -> optuna.Study:
        """The Optuna study of a search, for inspection."""
        return self._study(search).optuna

    def _study(self, search: Search) -> _Study:
        if search.key not in self._studies:
            study = _Study(search)
            for number, parameters in sorted(self._asked(search).items()):
                if number < len(search.trials):
                    study.trials[number] = study.ask(parameters)
                    commit = self.progress.addressing.commit(search.trials[number])
                    if commit:
                        study.finish(number, commit)
            self._studies[search.key] = study
        return self._studies[search.key]

    def _asked(self, search: Search) -> dict[int, dict[str, Any]]:
        folder = self.progress.addressing.search_address(search)
        return self.progress.asks.setdefault(folder, {})


class _Study:
    """One search's Optuna study, and which of its trials is which of the plan's."""

    def __init__(self, search: Search) -> None:
        self.space = {name: _distribution(name, v) for name, v in search.space.search.items()}
        self.trials: dict[int, Trial] = {}
        self.optuna = optuna.create_study(
            study_name=search.key,
            direction="maximize",
            sampler=_sampler(search),
        )

    def ask(self, wished: dict[str, Any] | None) -> Trial:
        """A running trial: with the parameters wished for, or with those the sampler says."""
        if wished is not None:
            self.optuna.enqueue_trial(wished)
        return self.optuna.ask(self.space)

    def start(self, number: int, trial: Trial, stored: dict[str, Any]) -> None:
        """Take a trial as the plan's, unless the store says that another driver asked first."""
        if trial.params != stored:
            self.optuna.tell(trial, state=TrialState.FAIL)
            trial = self.ask(stored)
        self.trials[number] = trial

    def finish(self, number: int, commit: Commit) -> None:
        """Tell a trial's outcome, once."""
        outcome, trial = commit.outcome, self.trials[number]
        values = [best["value"] for best in outcome["selections"].values()]
        if outcome["status"] == "done" and values:
            self.optuna.tell(trial, sum(values) / len(values), skip_if_finished=True)
        else:
            self.optuna.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def _sampler(search: Search) -> optuna.samplers.BaseSampler:
    seed = derived_seed([search.seed, "search", search.key]) % 2**32
    if search.space.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


def _distribution(name: str, values: Any) -> BaseDistribution:
    if not isinstance(values, Range):
        return CategoricalDistribution(list(values))
    annotation = Training.model_fields[name].annotation
    if float in (annotation, *get_args(annotation)):
        return FloatDistribution(values.low, values.high, log=values.log)
    return IntDistribution(int(values.low), int(values.high), log=values.log)
