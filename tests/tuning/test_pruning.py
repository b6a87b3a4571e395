"""Trials that are stopped early: by which rule, what is kept of them, and how they go on."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Cluster, files_at, outcome_of, progress_of, quick_store, small_study
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from rich.console import Console

from sweeper.analysis.view import View
from sweeper.errors import StudyError
from sweeper.graph import Search
from sweeper.jobs import JobSpec
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.report.overview import print_plan, print_status
from sweeper.report.why import print_why
from sweeper.states import DONE, PRUNED
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.tuning.searches import Searches

EPOCHS = 4
SELECTION = "tagging/dev/qaa"
Curves = Callable[[JobSpec], list[float]]


def study(pruning: dict[str, Any] | None, trials: int = 4, **changes: Any) -> Study:
    """A control row, searches of a few random points, and what stops them."""
    space = {
        "search": {"learning_rate": {"low": 1e-6, "high": 1e-3, "log": True}},
        "sampler": "random",
        "trials": trials,
        **({"pruning": pruning} if pruning else {}),
    }
    said: dict[str, Any] = {
        "intermediates": {},
        "seeds": [0],
        "targets": {"tagging": None},
        "training": {"max_length": 48, "epochs": EPOCHS},
        **changes,
    }
    return small_study(**said, spaces={"tagging": space})


MEDIAN = {"rule": "median", "startup": 2}
HALVING = {"rule": "halving", "factor": 2}


class Sweep:
    """A run whose trials' values are given; they end in the order in which they are begun."""

    def __init__(self, said: Study, files: StoreFiles, curves: Curves, slots: int = 1) -> None:
        self.files = files
        self.curves = curves
        self.progress = progress_of(said, files, failures=False)
        self.cluster = Cluster(self.progress, slots=slots, outcome=self._outcome)

    def _outcome(self, spec: JobSpec) -> dict[str, Any] | None:
        if spec.kind != "tune":
            return None
        values = self.curves(spec)
        made = outcome_of(self.progress.plan.jobs[spec.key], spec.address)
        if len(values) < EPOCHS:
            return {"status": "diverged", "message": "nan", "selections": {}, "values": values}
        made["selections"][SELECTION] |= {"value": max(values)}
        return {**made, "values": values}

    def epoch(self, trial: str, number: int) -> bool:
        """What a worker does after an epoch; whether it was stopped."""
        spec = self.cluster.flying[trial]
        values = tuple(self.curves(spec)[:number])
        said = {"phase": "train", "step": number, "steps": EPOCHS, "values": values}
        self.cluster.dispatcher.progressed(trial, said)
        if not (spec.pruned and self.files.exists(spec.pruned)):
            return False
        why = self.files.read(spec.pruned)["why"]
        result = {"status": "pruned", "error": "pruned", "message": why, "seconds": 1.0}
        self.cluster.end(trial, result, commits=False)
        return True

    def train(self, trial: str) -> None:
        """Run a trial to its end."""
        spec = self.cluster.flying[trial]
        if spec.pruned:
            for number in range(1, min(EPOCHS, len(self.curves(spec)) + 1)):
                if self.epoch(trial, number):
                    return
        self.cluster.end(trial)

    def until(self, wanted: Callable[[dict[int | None, str]], bool]) -> dict[int | None, str]:
        """Run on, but for the third trial, until the right ones are in flight."""
        while True:
            self.cluster.release_holds()
            self.cluster.fill()
            flying = {spec.trial: trial for trial, spec in self.cluster.flying.items()}
            if wanted(flying):
                return flying
            self.train(next(t for t in self.cluster.flying if t != flying.get(2)))

    def run(self) -> Sweep:
        """Run until nothing is left."""
        while True:
            self.cluster.release_holds()
            self.cluster.fill()
            if not self.cluster.flying:
                break
            self.train(next(iter(self.cluster.flying)))
        assert self.cluster.dispatcher.finished
        return self

    @property
    def search(self) -> Search:
        (search,) = self.progress.plan.searches.values()
        return search

    def states(self) -> list[str]:
        return [self.progress.state(key) for key in self.search.trials]

    def said(self, what: str) -> dict[str, str]:
        return {e.key: e.message for e in self.cluster.events if e.what == what}


def told(progress: Progress, search: Search) -> list[tuple[TrialState, dict[int, float]]]:
    """What Optuna knows of each trial."""
    study = Searches(progress).study(search)
    return [(t.state, t.intermediate_values) for t in study.get_trials(deepcopy=False)]


def fixed(*curves: list[float]) -> Curves:
    return lambda spec: curves[spec.trial or 0]


GOOD, FAIR, POOR = [50.0, 60.0, 70.0, 80.0], [40.0, 50.0, 60.0, 70.0], [10.0, 55.0, 90.0, 99.0]
LATE = [45.5, 46.0, 47.0, 48.0]


def test_a_median_stops_what_is_worse_than_half_of_the_finished(files: StoreFiles) -> None:
    sweep = Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    # Medians of the first two: 45 after the first epoch, 55 after the second.
    assert sweep.states() == [DONE, DONE, PRUNED, PRUNED]
    _, _, poor, late = sweep.search.trials
    assert sweep.said("pruned") == {
        poor: "10.00 after epoch 1: worse than the median of the finished trials of its search",
        late: "46.00 after epoch 2: worse than the median of the finished trials of its search",
    }
    assert not sweep.progress.left and not sweep.progress.failures
    won = sweep.progress.addressing.winner(sweep.search, SELECTION)
    assert won and won[0].key == sweep.search.trials[0], "among the finished ones"
    assert sweep.progress.state("score/none>tagging/seed=0") == DONE


def test_optuna_is_told_the_truth_by_this_driver_and_the_next(files: StoreFiles) -> None:
    sweep = Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    expected = [
        (TrialState.COMPLETE, dict(enumerate(GOOD, 1))),
        (TrialState.COMPLETE, dict(enumerate(FAIR, 1))),
        (TrialState.PRUNED, {1: 10.0}),
        (TrialState.PRUNED, {1: 45.5, 2: 46.0}),
    ]
    lived = sweep.cluster.dispatcher.searches.study(sweep.search)
    assert [(t.state, t.intermediate_values) for t in lived.trials] == expected
    again = progress_of(study(MEDIAN), files)
    assert told(again, sweep.search) == expected


def test_halving_lets_the_best_share_of_each_rung_go_on(files: StoreFiles) -> None:
    rising = [[10.0 * n + e for e in range(EPOCHS)] for n in (2, 1, 3, 4)]
    sweep = Sweep(study(HALVING), files, fixed(*rising)).run()
    assert sweep.states() == [DONE, PRUNED, DONE, DONE], "1 is the worse half of two"
    (why,) = sweep.said("pruned").values()
    assert why == "10.00 after epoch 1: not among the best 1 in 2 of its search that got so far"


def test_grace_epochs_are_everybodys(files: StoreFiles) -> None:
    sweep = Sweep(study({**MEDIAN, "grace": 3}), files, fixed(GOOD, FAIR, LATE, POOR)).run()
    assert sweep.states() == [DONE, DONE, PRUNED, DONE], "the poor one has caught up by then"
    record = sweep.progress.records[next(iter(sweep.progress.records))]
    assert record["values"] == LATE[:3]


def test_without_pruning_nothing_is_asked_or_kept(files: StoreFiles) -> None:
    sweep = Sweep(study(None), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    assert sweep.states() == [DONE] * 4
    assert {spec.pruned for spec in sweep.cluster.specs} == {""}
    assert files.names("pruned") == []


def test_a_second_run_leaves_pruned_trials_alone(files: StoreFiles) -> None:
    Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    again = Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    assert again.cluster.runs == []
    assert again.states() == [DONE, DONE, PRUNED, PRUNED]


def test_a_study_that_does_not_prune_finishes_what_was_stopped(files: StoreFiles) -> None:
    first = Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    whole = Sweep(study(None), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    stopped = list(first.search.trials[2:])
    assert [key for key in whole.cluster.runs if key.startswith("tune/")] == stopped
    assert whole.states() == [DONE] * 4
    assert len(files.names("asks")) == 1, "they are one search, which asked once"
    won = whole.progress.addressing.winner(whole.search, SELECTION)
    assert won and won[0].key == stopped[0]
    # What is in the store is known to both: the one that prunes has that winner now, scored.
    again = Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE))
    assert again.states() == [DONE] * 4 and not again.progress.left


def test_another_rule_judges_anew(files: StoreFiles) -> None:
    Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    other = Sweep(study({**MEDIAN, "grace": 3}), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    assert other.states() == [DONE, DONE, DONE, PRUNED]


def test_rows_are_compared_on_request_and_each_keeps_its_best(tmp_path: Path) -> None:
    rows = {"none": 60.0, "surface": 20.0}

    def curves(spec: JobSpec) -> list[float]:
        return [rows[spec.intermediate] - (spec.trial or 0) + e for e in range(EPOCHS)]

    def run(within: str, store: StoreFiles) -> dict[str, list[str]]:
        said = study({**MEDIAN, "within": within}, trials=3, intermediates={"surface": None})
        sweep = Sweep(said, store, curves).run()
        assert not sweep.progress.left and not sweep.progress.failures
        assert max(Counter(sweep.cluster.runs).values()) == 1, "none is stopped to go on later"
        return {
            search.intermediate: [sweep.progress.state(key) for key in search.trials]
            for search in sweep.progress.plan.searches.values()
        }

    alone = run("search", files_at(tmp_path / "alone"))
    assert alone == {"none": [DONE, DONE, PRUNED], "surface": [DONE, DONE, PRUNED]}
    together = run("training_task", files_at(tmp_path / "together"))
    # The worse row has a winner, too: the best of a search is never stopped.
    assert together == {"none": [DONE, DONE, PRUNED], "surface": [DONE, PRUNED, PRUNED]}


def test_a_trial_that_diverged_is_nobodys_rival(files: StoreFiles) -> None:
    led = [10.0, 90.0]  # and then it diverged
    sweep = Sweep(study(HALVING, trials=2), files, fixed(led, [20.0, 50.0, 50.0, 50.0])).run()
    assert sweep.states() == [DONE, DONE] and not sweep.said("pruned")


def test_when_all_others_diverged_the_best_of_the_stopped_goes_on(files: StoreFiles) -> None:
    # The first two lead each rung and diverge in the end; the others are stopped meanwhile.
    curves = {0: [50.0, 60.0, 70.0], 1: [60.0, 61.0, 71.0], 2: GOOD, 3: [1.0, 2.0, 3.0, 4.0]}
    sweep = Sweep(study(HALVING), files, fixed(*curves.values()), slots=4)
    trials = sweep.until(lambda flying: len({0, 1, 2, 3} & set(flying)) == 4)
    for number in (1, 2, 3):
        for trial in (0, 1):
            assert not sweep.epoch(trials[trial], number)
        for trial in (2, 3):
            if number == 1:
                assert sweep.epoch(trials[trial], number)
    for trial in (0, 1):
        sweep.cluster.end(trials[trial])
    first, second, third, fourth = sweep.search.trials
    assert [sweep.progress.state(key) for key in (first, second)] == [DONE, DONE], "diverged"
    assert sweep.progress.state(third) == "ready" and sweep.progress.state(fourth) == PRUNED
    sweep.run()
    assert sweep.cluster.runs.count(third) == 2
    assert sweep.cluster.specs[-2].key == third and sweep.cluster.specs[-2].pruned == ""
    assert not sweep.progress.failures and not sweep.progress.left
    won = sweep.progress.addressing.winner(sweep.search, SELECTION)
    assert won and won[0].key == third


def test_a_trial_whose_rivals_diverge_before_it_has_stopped_goes_on(files: StoreFiles) -> None:
    """Saving takes a worker some time, in which the only trial that was better may end."""
    curves = fixed([50.0, 60.0, 70.0], [1.0, 2.0, 3.0, 4.0])
    sweep = Sweep(study(HALVING, trials=2), files, curves, slots=2)
    trials = sweep.until(lambda flying: len({0, 1} & set(flying)) == 2)
    assert not sweep.epoch(trials[0], 1)
    said = {"phase": "train", "step": 1, "steps": EPOCHS, "values": (1.0,)}
    sweep.cluster.dispatcher.progressed(trials[1], said)
    spec = sweep.cluster.flying[trials[1]]
    assert files.exists(spec.pruned)
    sweep.cluster.end(trials[0])
    result = {"status": "pruned", "error": "pruned", "message": "poor", "seconds": 1.0}
    sweep.cluster.end(trials[1], result, commits=False)
    sweep.run()
    assert sweep.states() == [DONE, DONE] and not sweep.progress.left
    assert sweep.cluster.runs.count(spec.key) == 2 and not sweep.progress.failures


def test_a_trial_that_went_on_is_let_go_when_another_study_finished_a_better_one(
    files: StoreFiles,
) -> None:
    # The first diverges, so that the second, stopped, is to win; a study that does not prune
    # finishes the third meanwhile.
    curves = fixed([50.0, 60.0, 70.0], [2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0])
    sweep = Sweep(study(HALVING, trials=3), files, curves, slots=3)
    trials = sweep.until(lambda flying: len({0, 1, 2} & set(flying)) == 3)
    assert not sweep.epoch(trials[0], 1)
    assert sweep.epoch(trials[1], 1) and sweep.epoch(trials[2], 1)
    sweep.cluster.end(trials[0])
    sweep.cluster.fill()
    (trial,) = sweep.cluster.flying
    spec = sweep.cluster.flying[trial]
    assert (spec.trial, spec.pruned) == (1, "")
    other = Sweep(study(None, trials=3), files, curves, slots=3)
    flying = other.until(lambda flying: len({1, 2} & set(flying)) == 2)
    other.cluster.end(flying[2])
    sweep.progress.commits.refresh()
    sweep.cluster.end(trial, None, commits=False)
    sweep.run()
    assert sweep.progress.state(spec.key) == PRUNED and not sweep.progress.left
    assert not sweep.cluster.dispatcher.stopping
    won = sweep.progress.addressing.winner(sweep.search, SELECTION)
    assert won and won[0].trial == 2


def test_a_worker_killed_while_it_was_to_stop_leaves_a_pruned_trial(files: StoreFiles) -> None:
    sweep = Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE))
    trial = sweep.until(lambda flying: set(flying) == {2})[2]
    spec = sweep.cluster.flying[trial]
    said = {"phase": "train", "step": 1, "steps": EPOCHS, "values": (10.0,)}
    sweep.cluster.dispatcher.progressed(trial, said)
    sweep.cluster.end(trial, None, commits=False)
    assert sweep.progress.state(spec.key) == PRUNED and not sweep.said("retry")
    sweep.run()
    (row,) = View(files, "small").trials().query("status == 'pruned' and trial == 2").itertuples()
    assert row.attempt == spec.attempt and "worse than the median" in row.message


def test_what_one_driver_stopped_another_one_does_not_start(files: StoreFiles) -> None:
    said = study(MEDIAN)
    early = Sweep(said, files, fixed(GOOD, FAIR, POOR, LATE))
    Sweep(said, files, fixed(GOOD, FAIR, POOR, LATE)).run()
    early.run()  # it knows of nothing that happened since it was made
    assert early.states() == [DONE, DONE, PRUNED, PRUNED]
    assert not early.cluster.runs and not early.progress.left


def test_pruned_trials_are_counted_and_told(files: StoreFiles) -> None:
    sweep = Sweep(study(MEDIAN), files, fixed(GOOD, FAIR, POOR, LATE)).run()
    assert sweep.progress.counts()["tune"] == {DONE: 2, PRUNED: 2}
    out = Console(file=io.StringIO(), width=200)
    view = View(files, "small")
    print_status(out, view)
    print_plan(out, view.plan, view.progress, files.address)
    printed = out.file.getvalue()
    assert "Complete: every cell of the matrix is scored." in printed
    rows = [line.split() for line in printed.splitlines() if line.strip().startswith("tune")]
    assert rows[0] == ["tune", "2", "2", "4"], "done, pruned, all"
    assert rows[1][-4:] == ["4", "2", "0", "2"], "all, done, left, pruned"
    assert "nothing is left." in printed
    stopped = sweep.search.trials[2]
    print_why(out, view, stopped)
    said = out.file.getvalue().removeprefix(printed)
    assert said.startswith(f"{stopped} is pruned: 10.00 after epoch 1: worse than the median")
    assert "without `pruning` finishes it" in said


def test_pruning_that_stops_nothing_is_refused() -> None:
    said = study({**MEDIAN, "grace": EPOCHS})
    with pytest.raises(StudyError, match="trials have 4 epochs, and 4 of them are their grace"):
        plan(said)


@settings(max_examples=30)
@given(
    st.sampled_from([MEDIAN, HALVING, {**MEDIAN, "startup": 1, "within": "training_task"},
                     {**HALVING, "grace": 2, "within": "training_task"}]),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_whatever_happens_every_search_ends(
    pruning: dict[str, Any], slots: int, chance: random.Random
) -> None:
    """Trials advance in any order, diverge, die; drivers are thrown away; none is stuck."""
    drawn: dict[str, list[float]] = {}

    def curves(spec: JobSpec) -> list[float]:
        length = EPOCHS if chance.random() < 0.5 else chance.randint(1, EPOCHS - 1)
        return drawn.setdefault(spec.address, [100 * chance.random() for _ in range(length)])

    with quick_store() as files:
        said = study(pruning, intermediates={"surface": None})
        for life in (5, 9, 400):
            sweep = Sweep(said, files, curves, slots=slots)
            _live(sweep, chance, life)
        assert sweep.cluster.dispatcher.finished and not sweep.progress.left
        fresh = progress_of(said, files)
        assert not fresh.left
        for search in fresh.plan.searches.values():
            commits = [fresh.addressing.commit(key) for key in search.trials]
            finished = [c for c in commits if c and c.outcome["status"] == "done"]
            pruned = [key for key in search.trials if fresh.state(key) == PRUNED]
            assert finished or not pruned, "a search with a pruned trial has a winner"
            assert len(pruned) + sum(c is not None for c in commits) == len(search.trials)
            states = {c and c.outcome["status"]: None for c in commits}
            expected = [
                TrialState.PRUNED if c is None
                else TrialState.COMPLETE if c.outcome["status"] == "done" else TrialState.FAIL
                for c in commits
            ]  # fmt: skip
            assert [state for state, _ in told(fresh, search)] == expected, states


def _live(sweep: Sweep, chance: random.Random, life: int) -> None:
    at: dict[str, int] = {}
    for _ in range(life):
        sweep.cluster.release_holds()
        sweep.cluster.fill()
        if not sweep.cluster.flying:
            return
        trial = sweep.cluster.any()
        spec = sweep.cluster.flying[trial]
        if spec.kind == "tune" and chance.random() < 0.1 and at.get(spec.key, 0) < 2:
            at[spec.key] = at.get(spec.key, 0) + 1
            sweep.cluster.end(trial, None, commits=False)
            continue
        number = at[trial] = at.get(trial, 0) + 1
        if spec.kind != "tune" or number >= min(EPOCHS, len(sweep.curves(spec)) + 1):
            sweep.cluster.end(trial)
        elif spec.pruned:
            sweep.epoch(trial, number)
