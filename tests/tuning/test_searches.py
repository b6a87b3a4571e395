"""Optuna's studies: rebuilt from asks and outcomes, the same for every driver."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import pytest
from helpers import (
    commit_job,
    files_at,
    finish,
    outcome_of,
    progress_of,
    quick_store,
    small_study,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeper.graph import Search
from sweeper.progress import Progress
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.tuning.searches import Searches

RATES = {"learning_rate": {"low": 1e-6, "high": 1e-3, "log": True}}
TPE: dict[str, Any] = {"search": RATES, "sampler": "tpe", "trials": 14}
RANDOM: dict[str, Any] = {"search": RATES, "sampler": "random", "trials": 6}


def _study(space: dict[str, Any], **changes: Any) -> Study:
    said = {"intermediates": {}, "seeds": [0], "targets": {"tagging": None}}
    return small_study(**{**said, **changes}, spaces={"tagging": space})


def _ready(files: StoreFiles, study: Study) -> Progress:
    """Everything but the trials is done."""
    progress = progress_of(study, files)
    first = progress.take()
    while first and not first.startswith("tune/"):
        if progress.claim(first):
            commit_job(progress, first)
        first = progress.take()
    return progress


def _the(progress: Progress) -> Search:
    (search,) = progress.plan.searches.values()
    return search


def _run(progress: Progress, searches: Searches, number: int) -> dict[str, Any]:
    """Ask for a trial and commit it; its value is best at 1e-4."""
    key = _the(progress).trials[number]
    job = progress.plan.jobs[key]
    searches.ask(job)
    parameters = progress.addressing.parameters(job)
    assert parameters is not None
    if progress.claim(key):
        made = outcome_of(job, key)
        rate = parameters["learning_rate"]
        made["selections"]["tagging/dev/qaa"]["value"] = 50.0 - abs(rate - 1e-4) * 1e4
        commit_job(progress, key, made)
    return parameters


def _values(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [(t.params, t.values, t.state) for t in study.get_trials(deepcopy=False)]


def test_a_grid_is_walked_in_its_order(files: StoreFiles) -> None:
    grid = {"search": {"learning_rate": [1e-3, 1e-4], "epochs": [2, 3]}, "trials": 3}
    progress = _ready(files, _study(grid))
    searches = Searches(progress)
    asked = [_run(progress, searches, number) for number in range(3)]
    assert asked == [
        {"learning_rate": 1e-3, "epochs": 2},
        {"learning_rate": 1e-3, "epochs": 3},
        {"learning_rate": 1e-4, "epochs": 2},
    ]
    assert [t.params for t in searches.study(_the(progress)).trials] == asked


def test_without_a_space_there_is_one_trial_of_the_defaults(files: StoreFiles) -> None:
    progress = _ready(files, _study({}))
    job = progress.plan.jobs[_the(progress).trials[0]]
    Searches(progress).ask(job)
    assert progress.addressing.parameters(job) == {}
    assert progress.addressing.training(job)["epochs"] == 2


@pytest.mark.parametrize("space", [TPE, RANDOM])
def test_parameters_are_in_the_store_before_a_trial_starts(
    files: StoreFiles, space: dict[str, Any]
) -> None:
    progress = _ready(files, _study(space))
    job = progress.plan.jobs[_the(progress).trials[0]]
    assert progress.addressing.units(job.key) is None, "no address before it is asked"
    Searches(progress).ask(job)
    (folder,) = files.names("asks")
    asked = files.read(f"asks/{folder}/0.json")
    assert asked["number"] == 0 and asked["search"] == _the(progress).key
    assert 1e-6 <= asked["parameters"]["learning_rate"] <= 1e-3
    assert (
        progress.addressing.training(job)["learning_rate"]
        == (asked["parameters"]["learning_rate"])
    )
    assert progress.addressing.units(job.key) is not None


def test_asking_twice_is_asking_once(files: StoreFiles) -> None:
    progress = _ready(files, _study(RANDOM))
    searches = Searches(progress)
    job = progress.plan.jobs[_the(progress).trials[0]]
    searches.ask(job)
    before = progress.addressing.parameters(job)
    searches.ask(job)
    assert progress.addressing.parameters(job) == before
    assert len(searches.study(_the(progress)).trials) == 1


@pytest.mark.parametrize("space", [TPE, RANDOM])
def test_a_driver_that_starts_anew_goes_on_where_the_other_was(
    tmp_path: Path, space: dict[str, Any]
) -> None:
    """The same parameters, whether a driver is killed after each trial or never."""
    study = _study(space)
    whole = _ready(files_at(tmp_path / "whole"), study)
    searches = Searches(whole)
    expected = [_run(whole, searches, number) for number in range(space["trials"])]
    assert len({found["learning_rate"] for found in expected}) == len(expected), "no draw twice"

    files = files_at(tmp_path / "killed")
    _ready(files, study)
    found = []
    for number in range(space["trials"]):
        progress = progress_of(study, files)
        found.append(_run(progress, Searches(progress), number))
    assert found == expected


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_a_rebuilt_study_agrees_with_the_one_that_lived(chance: random.Random) -> None:
    with quick_store() as files:
        _lives(files, chance)


def _lives(files: StoreFiles, chance: random.Random) -> None:
    study = _study({**TPE, "trials": 6})
    progress = _ready(files, study)
    searches = Searches(progress)
    trials = list(_the(progress).trials)
    for key in trials[: chance.randint(1, 6)]:
        job = progress.plan.jobs[key]
        searches.ask(job)
        fate = chance.choice(["done", "diverged", "running"])
        if fate != "running" and progress.claim(key):
            made = outcome_of(job, key)
            commit_job(progress, key, made if fate == "done" else
                       {"status": "diverged", "message": "", "selections": {}})  # fmt: skip
    fresh = progress_of(study, files)
    lived, rebuilt = (s.study(_the(p)) for s, p in
                      ((searches, progress), (Searches(fresh), fresh)))  # fmt: skip
    assert _values(rebuilt) == _values(lived)
    states = {t.state for t in lived.trials}
    assert states <= {TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING}


def test_outcomes_are_told(files: StoreFiles) -> None:
    progress = _ready(files, _study(RANDOM))
    searches = Searches(progress)
    _run(progress, searches, 0)
    job = progress.plan.jobs[_the(progress).trials[1]]
    searches.ask(job)
    assert progress.claim(job.key)
    commit_job(progress, job.key, {"status": "diverged", "message": "nan", "selections": {}})
    searches.ask(progress.plan.jobs[_the(progress).trials[2]])
    states = [t.state for t in searches.study(_the(progress)).trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING]
    assert searches.study(_the(progress)).best_trial.number == 0


def test_asks_are_exclusive(files: StoreFiles) -> None:
    """Two drivers at once: the one that asks second takes what the first one asked for."""
    study = _study({**TPE, "trials": 4})
    one = _ready(files, study)
    two = progress_of(study, files)
    first, second = Searches(one), Searches(two)
    _run(one, first, 0)
    _run(one, first, 1)
    job = two.plan.jobs[_the(two).trials[1]]
    second.ask(job)  # knows of neither trial, so its sampler would say something else
    assert two.addressing.parameters(job) == one.addressing.parameters(
        one.plan.jobs[_the(one).trials[1]]
    )
    told = [t for t in second.study(_the(two)).trials if t.state == TrialState.RUNNING]
    assert [t.params for t in told] == [two.addressing.parameters(job)]


def test_random_search_looks_at_the_same_points_in_every_row(files: StoreFiles) -> None:
    study = _study({**RANDOM, "trials": 3}, intermediates={"surface": None}, seeds=[0, 1])
    progress = progress_of(study, files)
    finish(progress, until=lambda key: key.startswith("tune/"))
    searches = Searches(progress)
    found: dict[tuple[str, int], list[Any]] = {}
    for search in progress.plan.searches.values():
        for key in search.trials:
            job = progress.plan.jobs[key]
            searches.ask(job)
            at = (search.intermediate, search.seed)
            found.setdefault(at, []).append(progress.addressing.parameters(job))
    assert found["none", 0] == found["surface", 0]
    assert found["none", 0] != found["none", 1]


def test_more_trials_keep_those_that_are_there(files: StoreFiles) -> None:
    progress = _ready(files, _study(RANDOM))
    searches = Searches(progress)
    before = [_run(progress, searches, number) for number in range(6)]
    more = progress_of(_study({**RANDOM, "trials": 8}), files)
    assert [more.addressing.parameters(more.plan.jobs[key]) for key in _the(more).trials] == [
        *before, None, None
    ]  # fmt: skip
    fewer = progress_of(_study({**RANDOM, "trials": 2}), files)
    assert len(Searches(fewer).study(_the(fewer)).trials) == 2


def test_every_kind_of_value_is_searched(files: StoreFiles) -> None:
    space = {
        "sampler": "random",
        "trials": 8,
        "search": {
            "learning_rate": {"low": 1e-5, "high": 1e-3},
            "batch": {"low": 4, "high": 64, "log": True},
            "group_by_length": [True, False],
            "dropout": [None, 0.1],
            "steps": {"low": 10, "high": 20},
        },
    }
    progress = _ready(files, _study(space))
    searches = Searches(progress)
    for key in _the(progress).trials:
        job = progress.plan.jobs[key]
        searches.ask(job)
        training = progress.addressing.training(job)
        assert isinstance(training["batch"], int) and 4 <= training["batch"] <= 64
        assert isinstance(training["steps"], int) and 10 <= training["steps"] <= 20
        assert training["group_by_length"] in (True, False)
        assert training["dropout"] in (None, 0.1)


def test_tpe_moves_towards_what_was_good(files: StoreFiles) -> None:
    progress = _ready(files, _study({**TPE, "trials": 30}))
    searches = Searches(progress)
    rates = [_run(progress, searches, n)["learning_rate"] for n in range(30)]

    def off(found: list[float]) -> float:
        return median(abs(rate - 1e-4) for rate in found)

    assert off(rates[15:]) < off(rates[:10])
