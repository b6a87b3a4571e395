"""What is done, ready, blocked and left, derived from a store and kept up as commits come."""

from __future__ import annotations

import random
from typing import Any

import pytest
from helpers import (
    SMALLEST,
    SPACE,
    cards_like,
    commit_job,
    committed_units,
    finish,
    outcome_of,
    progress_of,
    quick_store,
    small_study,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.errors import StoreError
from sweeper.graph import BASE, TOKENIZER
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.states import BLOCKED, DONE, FAILED, READY, UNNEEDED, WAITING
from sweeper.store.files import StoreFiles
from sweeper.store.markers import withdraw

DIVERGED = {"status": "diverged", "message": "loss is nan", "selections": {}}


def _kinds(keys: Any) -> set[str]:
    return {key.split("/")[0] for key in keys}


# -- from nothing to done -----------------------------------------------------------------------


def test_a_new_store_has_everything_left(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    assert progress.left == set(progress.plan.jobs)
    assert progress.state(TOKENIZER) == READY
    assert progress.state(BASE) == WAITING
    assert progress.take() == TOKENIZER
    assert progress.take() is None, "nothing else can begin"


def test_a_finished_store_asks_for_nothing(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    ran = finish(progress)
    # The control of a retrieval target is the same for every seed: it runs once.
    assert len(ran) == len(progress.plan.jobs) - 1
    for found in (progress, progress_of(small_study(), files)):
        assert found.left == set() and found.take() is None
        assert all(found.state(key) == DONE for key in found.plan.jobs)
        assert found.counts()["score"] == {DONE: 12}
    assert progress.shared() == 4


def test_the_longest_path_goes_first(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    ready = []
    finish(progress, until=lambda key: ready.append(key) or len(ready) > 1)  # type: ignore[func-returns-value]
    waiting = [ready[-1]]
    while (key := progress.take()) is not None:
        waiting.append(key)
    costs = [progress.priority[key] for key in waiting]
    assert costs == sorted(costs, reverse=True) and len(costs) > 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seeds": [0, 1, 2]}, {"seed=2"}),
        ({"intermediates": {"supersense": None, "surface": None, "topic": None}},
         {"topic/", "topic>"}),
        ({"targets": {"tagging": None, "demo_retrieval": None, "topic": None}}, {"topic"}),
        ({"spaces": {"tagging": {"search": {"learning_rate": [3e-4, 1e-3, 3e-3]}}}},
         {"trial=2", "score/none>tagging", "score/supersense>tagging", "score/surface>tagging"}),
    ],
)  # fmt: skip
def test_what_is_added_is_all_that_is_asked_for(
    files: StoreFiles, changes: dict[str, Any], expected: set[str]
) -> None:
    finish(progress_of(small_study(), files))
    before = committed_units(files)
    progress = progress_of(small_study(**changes), files)
    assert progress.left
    assert all(any(part in key for part in expected) for key in progress.left), progress.left
    ran = finish(progress)
    assert set(ran) <= progress.wanted and not progress.left
    assert before < committed_units(files)


def test_a_store_without_markers_of_early_jobs_still_needs_none(files: StoreFiles) -> None:
    """Work is pulled from the ends: who has the scores needs no tokenizer."""
    progress = progress_of(small_study(), files)
    finish(progress)
    for name in files.names("commits"):
        # The trials are needed to know the winners, and so the scores' addresses.
        if files.read(f"commits/{name}")["kind"] not in ("score", "tune"):
            files.local(f"commits/{name}").unlink()
    again = progress_of(small_study(), files)
    assert not again.left
    assert again.state(TOKENIZER) == again.state(BASE) == UNNEEDED


def test_a_language_more_is_all_that_a_score_does_anew(files: StoreFiles) -> None:
    first = {"tagging": {"languages": ["qaa", "qab"]}}
    finish(progress_of(small_study(targets=first, seeds=[0]), files))
    progress = progress_of(small_study(targets={"tagging": None}, seeds=[0]), files)
    assert _kinds(progress.left) == {"prepare", "score"}
    key = "score/none>tagging/seed=0"
    assert set(progress.missing(key)) == {"test/qac", "test/qad", "test/qae"}
    finish(progress)
    assert not progress_of(small_study(targets={"tagging": None}, seeds=[0]), files).left
    assert not progress_of(small_study(targets=first, seeds=[0]), files).left


# -- two keys, one address ----------------------------------------------------------------------


TWINS = {"one": {"tasks": ["surface"]}, "two": {"tasks": ["surface"]}}


def test_two_rows_of_one_training_run_once(files: StoreFiles) -> None:
    progress = progress_of(small_study(intermediates=TWINS, seeds=[0]), files)
    ran = finish(progress)
    assert not progress.left
    done = [progress.addressing.units(key) for key in ran]
    assert len(done) == len({repr(units) for units in done})
    assert len([key for key in ran if key.startswith("tune/")]) == 2 * 2


def _claim_two(files: StoreFiles) -> tuple[Progress, str, str]:
    progress = progress_of(small_study(intermediates=TWINS, seeds=[0]), files)
    finish(progress, until=lambda key: key == "tune/one>tagging/seed=0/trial=0")
    one, two = (f"tune/{row}>tagging/seed=0/trial=0" for row in ("one", "two"))
    assert progress.claim(one)
    assert not progress.claim(two), "the first one is making it"
    return progress, one, two


def test_the_second_key_is_done_with_the_first(files: StoreFiles) -> None:
    progress, one, two = _claim_two(files)
    commit_job(progress, one)
    assert progress.state(one) == progress.state(two) == DONE
    assert not progress.claim(two) or progress.state(two) != DONE


def test_the_second_key_is_ready_again_with_the_first(files: StoreFiles) -> None:
    progress, one, two = _claim_two(files)
    progress.give_back(one)
    assert {progress.take() for _ in range(8)} >= {one, two}
    assert progress.claim(two)
    assert not progress.claim(one)


def test_the_second_key_fails_with_the_first(files: StoreFiles) -> None:
    progress, one, two = _claim_two(files)
    progress.fail(one, "a bug")
    assert progress.failures == {one: "a bug", two: "a bug"}
    assert "score/two>tagging/seed=0" in progress.blocked()


def test_jobs_that_share_some_units_do_none_of_them_twice(files: StoreFiles) -> None:
    """Two tasks over the same rows, in languages that overlap."""
    cards = cards_like("tagging", 0)
    twin = cards["tagging"].model_copy(update={"name": "twin"})
    said = {"tagging": {"languages": ["qaa", "qab"]}, "twin": {"languages": ["qab", "qac"]}}
    planned = plan(
        small_study(targets=said, intermediates={}, seeds=[0]), cards={**cards, "twin": twin}
    )
    progress = progress_of(planned, files)
    finish(progress, until=lambda key: key.endswith("/test/48"))
    one, two = "prepare/tagging/test/48", "prepare/twin/test/48"
    assert progress.claim(one)
    assert not progress.claim(two)
    assert set(progress.missing(one)) == {"qaa", "qab"}
    commit_job(progress, one)
    assert progress.state(two) == READY
    assert progress.claim(two)
    assert set(progress.missing(two)) == {"qac"}


# -- failures -----------------------------------------------------------------------------------


def test_a_failed_job_blocks_what_is_below_and_nothing_else(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    culprit = "train/surface/seed=1"
    finish(progress, until=lambda key: key == culprit)
    progress.fail(culprit, "a bug")
    finish(progress)
    assert progress.left == set()
    assert progress.state(culprit) == FAILED
    below = {key for key in progress.plan.jobs if "surface>" in key and "seed=1" in key}
    assert progress.blocked() == dict.fromkeys(below, culprit)
    assert all(progress.state(key) == BLOCKED for key in below)
    done = set(progress.plan.jobs) - below - {culprit}
    assert progress.done == done
    counts = progress.counts()
    assert counts["train"] == {DONE: 4, FAILED: 1}
    assert counts["tune"] == {DONE: 10, BLOCKED: 2}


def test_a_recorded_failure_is_shown_and_tried_anew(files: StoreFiles) -> None:
    progress = progress_of(small_study(seeds=[0]), files)
    culprit = "train/surface/seed=0"
    finish(progress, until=lambda key: key == culprit)
    address = progress.attempt_address(culprit)
    files.create(f"failed/{address}/001-a.json", {"message": "first"})
    files.create(f"failed/{address}/002-b.json", {"message": "a label is unknown"})
    shown = progress_of(small_study(seeds=[0]), files)
    assert shown.failures == {culprit: "a label is unknown"}
    assert set(shown.blocked().values()) == {culprit}
    fresh = progress_of(small_study(seeds=[0]), files, failures=False)
    assert not fresh.failures and culprit in fresh.left
    finish(fresh)
    assert not progress_of(small_study(seeds=[0]), files).failures, "a success ends a failure"


def test_an_empty_folder_of_failures_is_no_failure(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    files.local(f"failed/{progress.attempt_address(TOKENIZER)}").mkdir(parents=True)
    assert not progress_of(small_study(), files).failures


@pytest.mark.parametrize(
    ("lost", "needed_by"),
    [
        ("prepare/tagging/test/48", "score/surface>tagging/seed=0"),
        ("train/surface/seed=0", "tune/surface>tagging/seed=0/trial=0"),
    ],
)
def test_what_was_deleted_behind_its_marker_is_made_again_when_it_is_needed(
    files: StoreFiles, lost: str, needed_by: str
) -> None:
    study = small_study(seeds=[0])
    progress = progress_of(study, files)
    finish(progress, until=lambda key: key == needed_by)
    units = progress.addressing.units(lost) or {}
    for folder in {progress.commits.by_unit[unit].folder for unit in units.values()}:
        files.remove(folder)
    again = progress_of(study, files)
    assert lost in again.left
    finish(again)
    assert not progress_of(study, files).left
    # Once nothing needs it, its loss is nobody's work.
    for unit in units.values():
        files.remove(again.commits.by_unit[unit].folder)
    assert not progress_of(study, files).left


@pytest.mark.parametrize(
    "lost",
    ["prepare/tagging/test/48", "tune/surface>tagging/seed=0/trial=1", "train/surface/seed=0"],
)
def test_what_is_withdrawn_while_a_sweep_runs_is_made_again(files: StoreFiles, lost: str) -> None:
    """By verify in another process, or by a worker that found the damage."""
    score = "score/surface>tagging/seed=0"
    needed_by = "tune/surface>tagging/seed=0/trial=0" if lost.startswith("train") else score
    progress = progress_of(small_study(seeds=[0]), files)
    finish(progress, until=lambda key: key == needed_by)
    units = progress.addressing.units(lost) or {}
    addresses = {progress.commits.by_unit[unit].address for unit in units.values()}
    for address in addresses:
        withdraw(files, f"{address}.0", "damaged")
    progress.commits.refresh()
    assert not progress.claim(needed_by), "what it needs is not there"
    assert progress.state(needed_by) == WAITING
    ran = finish(progress)
    assert (ran[0], ran.count(lost)) == (lost, 1) and needed_by in ran
    assert not progress.left and progress.done == set(progress.plan.jobs)
    for address in addresses:
        assert f"{address}.1" in files.names("commits")


def test_what_is_withdrawn_of_a_finished_store_is_made_again_and_nothing_else(
    files: StoreFiles,
) -> None:
    study = small_study(seeds=[0])
    finish(progress_of(study, files))
    for lost, left in (
        ("score/surface>tagging/seed=0", {"score/surface>tagging/seed=0"}),
        # Its search is not whole without it; the scores of the winner are there.
        ("tune/surface>tagging/seed=0/trial=1", {"tune/surface>tagging/seed=0/trial=1"}),
        # Nothing needs it any more.
        ("train/surface/seed=0", set()),
    ):
        progress = progress_of(study, files)
        unit = next(iter((progress.addressing.units(lost) or {}).values()))
        withdraw(files, progress.commits.by_unit[unit].name, "damaged")
        again = progress_of(study, files)
        assert again.left >= left
        assert set(finish(again)) == left
        assert not progress_of(study, files).left


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_withdrawals_at_any_time_lose_nothing(chance: random.Random) -> None:
    """Whatever is withdrawn and whenever: the plan is finished, each job with what it needs."""
    with quick_store() as files:
        progress = progress_of(small_study(seeds=[0], intermediates={"surface": None}), files)
        left = 6
        while (key := progress.take()) is not None:
            if left and chance.random() < 0.2 and progress.commits.by_address:
                left -= 1
                lost = chance.choice(sorted(progress.commits.by_address.values(), key=str))
                withdraw(files, lost.name, "damaged")
                progress.commits.refresh()
            if progress.claim(key):
                needs = progress.plan.jobs[key].needs
                assert all(progress.held.has(need) for need in needs), key
                commit_job(progress, key)
        assert not progress.left
        again = progress_of(progress.plan, files)
        finish(again)
        assert not again.left and not progress_of(progress.plan, files).left


def test_a_diverged_trial_fails_no_search(files: StoreFiles) -> None:
    progress = progress_of(small_study(seeds=[0]), files)
    lost = "tune/surface>tagging/seed=0/trial=1"
    finish(progress, until=lambda key: key == lost)
    commit_job(progress, lost, DIVERGED)
    finish(progress)
    assert not progress.left and not progress.failures
    search = progress.plan.searches["surface>tagging/seed=0"]
    won = progress.addressing.winner(search, "tagging/dev/qaa")
    assert won and won[0].trial == 0


def test_a_diverged_trial_wins_nothing_that_it_reached_before(files: StoreFiles) -> None:
    progress = progress_of(small_study(**SMALLEST), files)
    search = progress.plan.searches["none>tagging/seed=0"]
    finish(progress, until=lambda key: key in search.trials)
    for number, key in enumerate(search.trials):
        made = outcome_of(progress.plan.jobs[key], key)
        made["selections"]["tagging/dev/qaa"]["value"] = 90.0 - number
        commit_job(progress, key, {**made, "status": "done" if number else "diverged"})
    won = progress.addressing.winner(search, "tagging/dev/qaa")
    assert won and won[0].trial == 1


@pytest.mark.parametrize("again", [False, True])
def test_a_search_of_diverged_trials_fails_its_score_alone(files: StoreFiles, again: bool) -> None:
    progress = progress_of(small_study(seeds=[0]), files)
    lost = [f"tune/surface>tagging/seed=0/trial={n}" for n in range(2)]
    while (key := progress.take()) is not None:
        if progress.claim(key):
            commit_job(progress, key, DIVERGED if key in lost else None)
    if again:
        progress = progress_of(small_study(seeds=[0]), files)
        assert progress.take() is None
    (failed,) = progress.failures
    assert failed == "score/surface>tagging/seed=0"
    assert "no trial of the search surface>tagging/seed=0 finished" in progress.failures[failed]
    assert not progress.blocked() and not progress.left
    assert progress.done == set(progress.plan.jobs) - {failed}


@pytest.mark.parametrize("again", [False, True])
def test_a_stage_that_diverged_has_no_checkpoint_to_go_on_from(
    files: StoreFiles, again: bool
) -> None:
    progress = progress_of(small_study(seeds=[0]), files)
    culprit = "train/surface/seed=0"
    while (key := progress.take()) is not None:
        if progress.claim(key):
            commit_job(progress, key, DIVERGED if key == culprit else None)
    if again:
        progress = progress_of(small_study(seeds=[0]), files, failures=False)
        assert progress.take() is None
    assert progress.failures == {culprit: "loss is nan"}
    assert set(progress.blocked().values()) == {culprit}
    assert {key for key in progress.plan.jobs if "surface>" in key} == set(progress.blocked())
    assert not progress.left


# -- damage -------------------------------------------------------------------------------------


def test_a_damaged_ask_is_named(files: StoreFiles) -> None:
    progress = progress_of(small_study(**SMALLEST), files)
    search = progress.plan.searches["none>tagging/seed=0"]
    progress.asked(search, 0, {"learning_rate": 3e-4})
    (folder,) = files.names("asks")
    files.local(f"asks/{folder}/0.json").write_text("{")
    with pytest.raises(StoreError, match=r"0\.json is damaged"):
        progress_of(small_study(**SMALLEST), files)


def test_the_first_ask_stands(files: StoreFiles) -> None:
    one = progress_of(small_study(**SMALLEST), files)
    two = progress_of(small_study(**SMALLEST), files)
    search = one.plan.searches["none>tagging/seed=0"]
    one.asked(search, 0, {"learning_rate": 1e-4})
    two.asked(search, 0, {"learning_rate": 2e-4})
    trial = one.plan.jobs[search.trials[0]]
    assert one.addressing.parameters(trial) == {"learning_rate": 1e-4}
    assert two.addressing.parameters(trial) == {"learning_rate": 1e-4}


# -- the invariant: kept up = derived anew ------------------------------------------------------


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_what_is_kept_up_is_what_a_fresh_start_derives(chance: random.Random) -> None:
    with quick_store() as files:
        _lives(files, chance)


def _lives(files: StoreFiles, chance: random.Random) -> None:
    study = small_study(seeds=[0], spaces={"tagging": SPACE})
    progress = progress_of(study, files)
    taken: list[str] = []
    for _ in range(chance.randint(1, 40)):
        while (key := progress.take()) is not None:
            if progress.claim(key):
                taken.append(key)
        if not taken:
            break
        key = taken.pop(chance.randrange(len(taken)))
        if chance.random() < 0.2:
            progress.give_back(key)
        else:
            made = DIVERGED if key.startswith("tune") and chance.random() < 0.2 else None
            commit_job(progress, key, made)
    fresh = progress_of(study, files)
    assert fresh.done == progress.done
    assert fresh.left == progress.left
    assert fresh.failures == progress.failures
    assert fresh.left_by_kind == progress.left_by_kind
    assert fresh.blocked() == progress.blocked()
    for key in progress.plan.jobs:
        # A fresh start wants nothing that is done; a running one remembers that it did.
        if progress.state(key) != DONE:
            assert fresh.state(key) == progress.state(key)
