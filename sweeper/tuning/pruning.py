"""Stopping trials early: Optuna's own pruners, over the trials of one search or training task.

The trials that are compared make one study of their own, in memory, beside those that pick points:
its trials are told what each was worth after every epoch and how it ended, and a pruner looks at
them. It is rebuilt from commits and records, and from what workers say as they go on.
"""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import Trial, TrialState

from sweeper.graph import Job, Search
from sweeper.progress import Progress
from sweeper.spaces import FACTOR, STARTUP, Pruning
from sweeper.tasks import kinds


class Prunings:
    """Judges the running trials of a plan, in the driver.

    Args:
        progress: The plan against the store.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._groups: dict[str, _Group] = {}

    def verdict(self, job: Job, values: Sequence[float]) -> str:
        """Why a trial is to be stopped, for its values after each epoch so far; "" if it is not.

        The best of its search after that epoch is never stopped, so that every search has a
        winner: only trials that finished or may do so count for that.
        """
        search = self.progress.plan.searches[job.declared["search"]]
        pruning = search.space.pruning
        if pruning is None or not values:
            return ""
        group = self._group(search, pruning)
        address = self.progress.addressing.address(job.key)
        if address in group.ended:
            return ""
        stop = group.report(address, values)
        rivals = [self.progress.addressing.address(key) for key in self._living(search)]
        if not stop or group.is_best(address, rivals, len(values)):
            return ""
        over = "its search" if pruning.within == "search" else search.training_task
        value = f"{values[-1]:.2f} after epoch {len(values)}"
        if pruning.rule == "median":
            return f"{value}: worse than the median of the finished trials of {over}"
        share = f"1 in {pruning.factor or FACTOR}"
        return f"{value}: not among the best {share} of {over} that got so far"

    def _group(self, search: Search, pruning: Pruning) -> _Group:
        """The trials that one is compared with, all that is in the store of them told."""
        plan = self.progress.plan
        task = search.training_task
        name = search.key if pruning.within == "search" else f"{task} {bool(search.stage)}"
        if name not in self._groups:
            higher = kinds.get(plan.cards[task].kind).higher_is_better
            self._groups[name] = _Group(pruning, higher_is_better=higher)
        group = self._groups[name]
        for other in plan.searches.values():
            alike = (other.training_task, bool(other.stage)) == (task, bool(search.stage))
            if other is search or (pruning.within != "search" and alike):
                self._tell(group, other)
        return group

    def _tell(self, group: _Group, search: Search) -> None:
        addressing = self.progress.addressing
        for key in search.trials:
            units = addressing.units(key)
            address = addressing.address(key) if units else ""
            if not address or address in group.ended:
                continue
            commit, record = addressing.commit(key), addressing.pruned(key)
            if commit:
                values = commit.outcome.get("values", [])
                finished = commit.outcome["status"] == "done"
                group.end(address, values, TrialState.COMPLETE if finished else TrialState.FAIL)
            elif record:
                group.end(address, record["values"], TrialState.PRUNED)

    def _living(self, search: Search) -> list[str]:
        """The trials of a search that finished or may yet finish, as far as they are asked for."""
        addressing = self.progress.addressing
        found = []
        for key in search.trials:
            if addressing.units(key) is None or addressing.pruned(key):
                continue
            commit = addressing.commit(key)
            if commit is None or commit.outcome["status"] == "done":
                found.append(key)
        return found


class _Group:
    """The trials that are compared with one another, as one study."""

    def __init__(self, pruning: Pruning, *, higher_is_better: bool) -> None:
        best = optuna.study.StudyDirection
        self._sign = 1 if higher_is_better else -1
        self._study = optuna.create_study(
            direction=best.MAXIMIZE if higher_is_better else best.MINIMIZE,
            sampler=optuna.samplers.RandomSampler(seed=0),  # asked for nothing
            pruner=_pruner(pruning),
        )
        self._trials: dict[str, Trial] = {}
        self._values: dict[str, list[float]] = {}
        self.ended: set[str] = set()

    def report(self, address: str, values: Sequence[float]) -> bool:
        """Tell what a trial was worth after each epoch so far; whether the rule stops it."""
        if address not in self._trials:
            self._trials[address] = self._study.ask()
        trial, known = self._trials[address], self._values.setdefault(address, [])
        stop = False
        for value in values[len(known) :]:
            known.append(value)
            trial.report(value, len(known))
            # A rung is noted when it is judged, so each epoch is, those of long ago too.
            stop = trial.should_prune()
        return stop

    def end(self, address: str, values: Sequence[float], state: TrialState) -> None:
        """Tell how a trial ended."""
        self.report(address, values)
        self.ended.add(address)
        trial = self._trials[address]
        if state != TrialState.COMPLETE:
            self._study.tell(trial, state=state)
        elif values:
            self._study.tell(trial, max(values, key=lambda value: self._sign * value))
        else:  # of a store of before values were kept: nothing can be compared with it
            self._study.tell(trial, state=TrialState.FAIL)

    def is_best(self, address: str, rivals: Sequence[str], epoch: int) -> bool:
        """Whether no rival that got to an epoch was worth more after it."""
        own = self._sign * self._values[address][epoch - 1]
        others = (self._values.get(rival, []) for rival in rivals)
        return all(self._sign * v[epoch - 1] <= own for v in others if len(v) >= epoch)


def _pruner(pruning: Pruning) -> optuna.pruners.BasePruner:
    """Optuna's pruner for a rule; epochs are its steps, from 1."""
    if pruning.rule == "median":
        return optuna.pruners.MedianPruner(
            n_startup_trials=pruning.startup or STARTUP, n_warmup_steps=pruning.grace
        )
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=pruning.grace, reduction_factor=pruning.factor or FACTOR
    )
