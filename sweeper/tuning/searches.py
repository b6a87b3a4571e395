"""Asking Optuna for a trial's parameters and telling it what became of them.

Studies live in memory. A trial's parameters are in the store before it starts and its outcome is
in its commit, so a driver that starts anew rebuilds every study from those two.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState

from sweeper.graph import Job, Search
from sweeper.progress import Progress
from sweeper.spaces import Range, is_real
from sweeper.store.markers import Commit
from sweeper.tasks import kinds
from sweeper.trainings import derived_seed

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
        if search.follows:
            self._take_over(search, job)
            return
        study = self._study(search)
        if job.trial not in study.trials:
            grid = search.space.sampler == "grid"
            wished: dict[str, Any] | None = search.space.grid[job.trial] if grid else None
            wished = wished or self._best_elsewhere(search, job.trial)
            trial = study.ask(job.trial, wished)
            self.progress.asked(search, job.trial, trial.params)
            study.start(job.trial, trial, self._asked(search)[job.trial])

    def _best_elsewhere(self, search: Search, number: int) -> dict[str, Any] | None:
        """For a warm start: the best point of the nearest ended search that was not asked here."""
        if number >= (search.space.warm_start or 0):
            return None
        asked = list(self._asked(search).values())
        for other in self._neighbours(search):
            if not self.progress.done.union(self.progress.pruned).issuperset(other.trials):
                continue
            study = self._study(other).optuna
            if study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
                best: dict[str, Any] = study.best_trial.params
                if best not in asked:
                    return best
        return None

    def _neighbours(self, search: Search) -> list[Search]:
        """Searches of the same space: the row's other seeds, then the same seed, then the rest."""
        plan = self.progress.plan
        others = [
            other
            for other in plan.searches.values()
            if (other.training_task, bool(other.stage))
            == (search.training_task, bool(search.stage))
            and other.space.search == search.space.search
            and other is not search
            and not other.follows
        ]
        return sorted(
            others,
            key=lambda other: (
                other.intermediate != search.intermediate,
                other.seed != search.seed,
            ),
        )  # fmt: skip

    def _take_over(self, search: Search, job: Job) -> None:
        """Fix the parameters that won in another search; what was taken over before stands."""
        addressing = self.progress.addressing
        if addressing.parameters(job) is not None:
            return
        followed = addressing.followed(job)
        assert followed and job.trial is not None
        won = addressing.winner(*followed)
        assert won, f"{job.key} is ready once {followed[0].key} has a winner"
        self.progress.asked(search, job.trial, addressing.parameters(won[0]) or {})

    def study(self, search: Search) -> optuna.Study:
        """The Optuna study of a search, for inspection."""
        return self._study(search).optuna

    def _study(self, search: Search) -> _Study:
        """The study with every trial that was asked for and every outcome that is committed."""
        if search.key not in self._studies:
            kind = kinds.get(self.progress.plan.cards[search.training_task].kind)
            self._studies[search.key] = _Study(search, kind.higher_is_better)
        study = self._studies[search.key]
        for number, parameters in sorted(self._asked(search).items()):
            if number < len(search.trials) and number not in study.trials:
                study.trials[number] = study.ask(number, parameters)
        for number in sorted(study.open):
            commit = self.progress.addressing.commit(search.trials[number])
            record = self.progress.addressing.pruned(search.trials[number])
            if commit:
                study.finish(number, commit)
            elif record:
                study.prune(number, record["values"])
        return study

    def _asked(self, search: Search) -> dict[int, dict[str, Any]]:
        folder = self.progress.addressing.search_address(search)
        return self.progress.asks.setdefault(folder, {})


class _Study:
    """One search's Optuna study, and which of its trials is which of the plan's."""

    def __init__(self, search: Search, higher_is_better: bool) -> None:
        self.space = distributions(search)
        self.search = search
        self.trials: dict[int, Trial] = {}
        self.told: set[int] = set()
        best = optuna.study.StudyDirection
        direction = best.MAXIMIZE if higher_is_better else best.MINIMIZE
        self.optuna = optuna.create_study(study_name=search.key, direction=direction)

    @property
    def open(self) -> set[int]:
        """The trials whose outcome is not told."""
        return set(self.trials) - self.told

    def ask(self, number: int, wished: dict[str, Any] | None) -> Trial:
        """A running trial: with the parameters wished for, or with those the sampler says."""
        if wished is not None:
            self.optuna.enqueue_trial(wished)
        # Seeded per trial: a driver that starts anew must not draw the first one's numbers again.
        self.optuna.sampler = _sampler(self.search, number)
        return self.optuna.ask(self.space)

    def start(self, number: int, trial: Trial, stored: dict[str, Any]) -> None:
        """Take a trial as the plan's, unless the store says that another driver asked first."""
        if trial.params != stored:
            self.optuna.tell(trial, state=TrialState.FAIL)
            trial = self.ask(number, stored)
        self.trials[number] = trial

    def finish(self, number: int, commit: Commit) -> None:
        """Tell a trial's outcome: complete with its value (percent), or failed if it diverged."""
        outcome, trial = commit.outcome, self.trials[number]
        self._report(number, outcome.get("values", []))
        value = objective(outcome)
        if value is None:
            self.optuna.tell(trial, state=TrialState.FAIL)
        else:
            self.optuna.tell(trial, value)

    def prune(self, number: int, values: list[float]) -> None:
        """Tell that a trial was stopped early, and its values (percent) until then."""
        self._report(number, values)
        self.optuna.tell(self.trials[number], state=TrialState.PRUNED)

    def _report(self, number: int, values: list[float]) -> None:
        self.told.add(number)
        for epoch, value in enumerate(values, 1):
            self.trials[number].report(value, epoch)


def objective(outcome: Mapping[str, Any]) -> float | None:
    """What Optuna is told of a finished trial: the mean over the selection splits of its best.

    None for a trial that diverged, or selected nothing.
    """
    values = [best["value"] for best in outcome["selections"].values()]
    done = outcome["status"] == "done" and values
    return sum(values) / len(values) if done else None


def distributions(search: Search) -> dict[str, BaseDistribution]:
    """A search's space as Optuna has it."""
    return {name: _distribution(name, values) for name, values in search.space.search.items()}


def _sampler(search: Search, number: int) -> optuna.samplers.BaseSampler:
    """The row is no part of the seed: random searches look at the same points in every row.

    But where a row begins with what won in another one, it would draw that very point again.
    """
    row = [search.intermediate] if search.space.warm_start else []
    seed = derived_seed([search.seed, "search", search.training_task, number, *row]) % 2**32
    if search.space.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


def _distribution(name: str, values: Any) -> BaseDistribution:
    if not isinstance(values, Range):
        return CategoricalDistribution(list(values))
    if is_real(name):
        return FloatDistribution(values.low, values.high, log=values.log)
    return IntDistribution(int(values.low), int(values.high), log=values.log)
