"""Which rows and seeds have a search of their own, and what the others take over from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import Cluster, addresses, cards_like, commit_job, progress_of, small_study
from pydantic import ValidationError
from real_work import Run, small

from sweeper.analysis.store import Store
from sweeper.graph import Plan
from sweeper.jobs import JobSpec
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.spaces import Space
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.tuning.searches import Searches

RATES = [1e-4, 3e-4, 1e-3]
GRID: dict[str, Any] = {"search": {"learning_rate": RATES}}
TPE: dict[str, Any] = {
    "search": {"learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}},
    "sampler": "tpe",
    "trials": 4,
}


def _study(**policy: Any) -> Study:
    return small_study(targets={"tagging": None}, spaces={"tagging": {**GRID, **policy}})


def _follows(planned: Plan) -> dict[str, str]:
    return {key: search.follows for key, search in planned.searches.items() if search.follows}


def _value(files: StoreFiles, spec: JobSpec, best: float) -> dict[str, Any]:
    """An outcome whose dev score is the higher, the nearer the learning rate is to ``best``."""
    rate = spec.inputs["training"]["learning_rate"]
    value = 90.0 - abs(rate - best) * 1e4
    said = {"epoch": 1, "metric": "f1", "value": value, "loss": 1.0, "checkpoint": "epoch=1"}
    names = spec.inputs["selections"]
    return {"status": "done", "message": "", "selections": dict.fromkeys(names, said)}


def _cluster(study: Study | Plan, files: StoreFiles, best: float = 3e-4) -> Cluster:
    progress = progress_of(study, files, failures=False)
    return Cluster(
        progress, outcome=lambda s: _value(files, s, best) if s.kind == "tune" else None
    )


def _rates(progress: Progress) -> dict[str, list[float]]:
    """Search -> the learning rates of its trials."""
    found = {}
    for key, search in progress.plan.searches.items():
        jobs = [progress.plan.jobs[trial] for trial in search.trials]
        found[key] = [progress.addressing.training(job)["learning_rate"] for job in jobs]
    return found


# ---- the plan ---------------------------------------------------------------------------------


def test_by_default_every_row_and_seed_has_the_same_budget() -> None:
    planned = plan(_study())
    assert not _follows(planned)
    assert {len(search.trials) for search in planned.searches.values()} == {3}


def test_tuned_on_the_control_the_other_rows_follow_it_seed_by_seed() -> None:
    planned = plan(_study(tune_rows="none"))
    assert _follows(planned) == {
        f"{row}>tagging/seed={seed}": f"none>tagging/seed={seed}"
        for row in ("supersense", "surface")
        for seed in (0, 1)
    }
    trial = planned.jobs["tune/surface>tagging/seed=1/trial=0"]
    assert set(planned.searches["none>tagging/seed=1"].trials) < set(trial.needs)
    assert "train/surface/seed=1" in trial.needs
    assert planned.searches["surface>tagging/seed=1"].trials == (trial.key,)
    assert len(planned.searches["none>tagging/seed=1"].trials) == 3


def test_tuned_on_the_first_seed_the_others_follow_it_row_by_row() -> None:
    assert _follows(plan(_study(tune_seeds="first"))) == {
        f"{row}>tagging/seed=1": f"{row}>tagging/seed=0"
        for row in ("none", "supersense", "surface")
    }


def test_tuned_once_all_follow_the_first_seed_of_the_control() -> None:
    planned = plan(_study(tune_rows="none", tune_seeds="first"))
    followed = _follows(planned)
    assert len(followed) == 5 and set(followed.values()) == {"none>tagging/seed=0"}


def test_each_selection_split_has_the_trial_that_won_by_it() -> None:
    """Two targets of one training task that select differently: once per target."""
    selection = {"task": "topic", "split": "dev", "language": "qaa"}
    cards = cards_like("topic", 1)
    cards["topic_0"] = cards["topic_0"].model_copy(update={"labels": cards["topic"].labels})
    study = small_study(
        targets={"topic": {"selection": selection}, "topic_0": {"training_task": "topic"}},
        seeds=[0],
        spaces={"topic": {**GRID, "tune_rows": "none"}},
    )
    planned = plan(study, cards=cards)
    search = planned.searches["surface>topic/seed=0"]
    assert search.selections == ("topic/dev/qaa", "topic_0/dev/qaa")
    assert [search.trials_for(name) for name in search.selections] == [(t,) for t in search.trials]


def test_nothing_can_be_taken_over_where_nothing_is_searched() -> None:
    for policy in ({"tune_rows": "none"}, {"tune_seeds": "first"}):
        with pytest.raises(ValidationError, match="nothing is searched: add `search`"):
            Space.model_validate(policy)


# ---- a sweep ----------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [GRID, TPE], ids=["grid", "tpe"])
def test_the_rows_take_over_what_won_on_the_control(
    files: StoreFiles, space: dict[str, Any]
) -> None:
    study = small_study(
        targets={"tagging": None}, spaces={"tagging": {**space, "tune_rows": "none"}}
    )
    cluster = _cluster(study, files)
    cluster.run()
    assert not cluster.progress.left and not cluster.progress.failures
    found = _rates(cluster.progress)
    for key, rates in found.items():
        seed = key[-1]
        best = min(found[f"none>tagging/seed={seed}"], key=lambda rate: abs(rate - 3e-4))
        assert key.startswith("none>") or rates == [best]
    again = progress_of(study, files)
    assert not again.left and addresses(again) == addresses(cluster.progress)


def test_what_was_taken_over_stands_whatever_is_found_later(files: StoreFiles) -> None:
    """A driver that starts anew does not look at the winner again."""
    planned = plan(_study(tune_rows="none", tune_seeds="first"))
    cluster = _cluster(planned, files)
    cluster.run(most=len(planned.jobs) // 2)
    asked = {name: files.read(f"asks/{name}") for name in files.sizes("asks")}
    again = _cluster(planned, files)
    again.run()
    assert not again.progress.left
    for name, data in asked.items():
        assert files.read(f"asks/{name}") == data


def test_a_larger_budget_where_it_is_tuned_may_have_another_winner(files: StoreFiles) -> None:
    _cluster(_study(tune_rows="none", trials=1), files).run()
    cluster = _cluster(_study(tune_rows="none"), files)
    cluster.run()
    assert _rates(cluster.progress)["surface>tagging/seed=0"] == [3e-4]
    assert not any(key.startswith("tune/none") and "trial=0" in key for key in cluster.runs)


def test_without_a_winner_the_followers_fail_with_the_reason(files: StoreFiles) -> None:
    progress = progress_of(_study(tune_rows="none", tune_seeds="first"), files, failures=False)
    diverged = {"status": "diverged", "message": "nan", "selections": {}}
    cluster = Cluster(progress, outcome=lambda s: diverged if s.kind == "tune" else None)
    cluster.run()
    reason = progress.failures["tune/surface>tagging/seed=1/trial=0"]
    assert reason == "no trial of the search none>tagging/seed=0 finished: all diverged"
    assert progress.state("score/surface>tagging/seed=1") == "blocked"


def test_the_addresses_of_a_study_without_a_policy_are_those_of_before(files: StoreFiles) -> None:
    """Recorded before there were policies."""
    progress = progress_of(_study(), files)
    search = progress.plan.searches["surface>tagging/seed=1"]
    assert progress.addressing.search_address(search) == "446d903a197d18c522ea4deaaffacd75"
    key = search.trials[1]
    assert progress.addressing.address(key) == "831cc796f38df9a0aa772450c4eff25b"


# ---- warm starts ------------------------------------------------------------------------------

WARM: dict[str, Any] = {**TPE, "warm_start": 2}


def _end(progress: Progress, name: str, best: float) -> float:
    """End a search whose best point is the nearest to ``best``; that one."""
    found = {}
    for key in progress.plan.searches[name].trials:
        job = progress.plan.jobs[key]
        Searches(progress).ask(job)
        found[key] = rate = progress.addressing.training(job)["learning_rate"]
        value = 90.0 - abs(rate - best) * 1e4
        said = {"epoch": 1, "metric": "f1", "value": value, "loss": 1.0, "checkpoint": "epoch=1"}
        if progress.claim(key):
            outcome = {"status": "done", "message": "", "selections": {"tagging/dev/qaa": said}}
            commit_job(progress, key, outcome)
    return min(found.values(), key=lambda rate: abs(rate - best))


def _first(progress: Progress, name: str, count: int) -> list[float]:
    """The learning rates of the first trials of a search, asked for now."""
    jobs = [progress.plan.jobs[key] for key in progress.plan.searches[name].trials[:count]]
    searches = Searches(progress)
    for job in jobs:
        searches.ask(job)
    return [progress.addressing.training(job)["learning_rate"] for job in jobs]


def _warm(files: StoreFiles, **changes: Any) -> Progress:
    study = small_study(targets={"tagging": None}, spaces={"tagging": {**WARM, **changes}})
    progress = progress_of(study, files)
    while (key := progress.take()) and not key.startswith("tune/"):
        if progress.claim(key):
            commit_job(progress, key)
    return progress


def test_a_warm_search_begins_with_the_best_of_its_nearest_neighbours(files: StoreFiles) -> None:
    progress = _warm(files)
    cold = _first(progress, "none>tagging/seed=0", 3)
    assert len(set(cold)) == 3, "where nothing has ended the sampler draws"
    far = _end(progress, "none>tagging/seed=0", 3e-4)
    near = _end(progress, "surface>tagging/seed=1", 1e-2)
    assert near != far
    found = _first(progress, "surface>tagging/seed=0", 3)
    assert found[:2] == [near, far], "the row's other seed, then the control of the same seed"
    assert found[2] not in (near, far), "no more than was asked for"


def test_a_search_that_has_not_ended_is_no_neighbour_and_what_was_asked_stands(
    files: StoreFiles,
) -> None:
    progress = _warm(files)
    _first(progress, "none>tagging/seed=0", 4)
    before = _first(progress, "surface>tagging/seed=0", 1)
    best = _end(progress, "none>tagging/seed=0", 3e-4)
    assert before != [best]
    again = progress_of(progress.plan, files)
    assert _first(again, "surface>tagging/seed=0", 2) == [*before, best]


def test_one_point_is_not_asked_twice(files: StoreFiles) -> None:
    progress = _warm(files, sampler="random")
    best = _end(progress, "none>tagging/seed=0", 3e-4)
    assert _end(progress, "none>tagging/seed=1", best) == best, "it began with that one"
    found = _first(progress, "surface>tagging/seed=0", 3)
    assert found[0] == best and len(set(found)) == 3


def test_a_warm_search_asks_apart_from_a_cold_one(files: StoreFiles) -> None:
    cold = progress_of(small_study(targets={"tagging": None}, spaces={"tagging": TPE}), files)
    search = cold.plan.searches["surface>tagging/seed=0"]
    warm = _warm(files)
    same = warm.plan.searches[search.key]
    assert warm.addressing.search_address(same) != cold.addressing.search_address(search)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({**GRID, "warm_start": 1}, "a grid's points are all tried"),
        ({**TPE, "warm_start": 5}, "5 are more than all 4"),
        ({**TPE, "warm_start": 0}, "greater than 0"),
    ],
)
def test_warm_starts_that_cannot_be(space: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        Space.model_validate(space)
    assert said in str(error.value)


# ---- for real ---------------------------------------------------------------------------------


def test_a_real_sweep_tuned_once(tmp_path: Path) -> None:
    space = {"search": {"learning_rate": [3e-4, 1e-3]}, "tune_rows": "none", "tune_seeds": "first"}
    run = Run(small(seeds=[0, 1], spaces={"topic": space}), tmp_path / "store").go()
    assert not run.progress.left and not run.progress.failures
    tuned = [key for key in run.ran if key.startswith("tune/")]
    assert len(tuned) == 2 + 3, "one search of two trials, and one trial for each of the others"
    rates = _rates(run.progress)
    source = run.progress.plan.searches["none>topic/seed=0"]
    won = run.progress.addressing.winner(source, source.selections[0])
    assert won
    best = run.progress.addressing.training(won[0])["learning_rate"]
    assert all(found == [best] for key, found in rates.items() if key != source.key)
    why = Store(tmp_path / "store").best("topic", intermediate="surface").why
    assert "its parameters are those that won in the search none>topic/seed=0." in why
    scores = Store(tmp_path / "store").scores()
    assert len(scores)
    for said in scores["parameters"]:
        assert json.loads(said) == {"learning_rate": best, "epoch": 1}


def test_a_real_sweep_with_a_warm_start(tmp_path: Path) -> None:
    rates = {"low": 1e-4, "high": 1e-2, "log": True}
    space = {"search": {"learning_rate": rates}, "sampler": "tpe", "trials": 2, "warm_start": 1}
    run = Run(small(spaces={"topic": space}), tmp_path / "store").go()
    assert not run.progress.left and not run.progress.failures
    found = _rates(run.progress)
    assert found["surface>topic/seed=0"][0] in found["none>topic/seed=0"]
    assert found["surface>topic/seed=0"][1] not in found["none>topic/seed=0"]
