"""The dispatcher with made-up workers: order, retries, holds, kills; no Ray."""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers import (
    SPACE,
    Clock,
    Cluster,
    cards_like,
    commit_units,
    committed_units,
    files_at,
    leases_of,
    outcome_of,
    progress_of,
    quick_store,
    small_study,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.engine import dispatch, judging
from sweeper.engine.deaths import Death
from sweeper.errors import DataError, UnreachableError
from sweeper.graph import BASE, TOKENIZER, Plan
from sweeper.inputs import Inputs
from sweeper.jobs import JobSpec
from sweeper.planning import plan
from sweeper.progress import BLOCKED, DONE, FAILED, READY
from sweeper.store.commits import withdraw
from sweeper.store.files import StoreFiles, digest
from sweeper.study import Study

SMALLEST: dict[str, Any] = {"intermediates": {}, "seeds": [0], "targets": {"tagging": None}}
RANDOM = {"search": {"epochs": [2, 3]}, "sampler": "random", "trials": 5}
TPE = {"search": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}, "sampler": "tpe",
       "trials": 3}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> StoreFiles:
    return files_at(tmp_path / "store")


def _cluster(study: Study | Plan, files: StoreFiles, **options: Any) -> Cluster:
    return Cluster(progress_of(study, files, failures=False), **options)


def _states(cluster: Cluster) -> Counter[str]:
    return Counter(cluster.progress.state(key) for key in cluster.progress.plan.jobs)


def _said(cluster: Cluster, what: str) -> list[str]:
    return [event.key for event in cluster.events if event.what == what]


def test_every_job_runs_once(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files)
    cluster.run()
    assert set(_states(cluster)) == {DONE}
    assert max(Counter(cluster.runs).values()) == 1
    assert max(cluster.committed.values()) == 1
    assert _said(cluster, "started") == cluster.runs
    assert sorted(_said(cluster, "done")) == sorted(cluster.runs)


def test_a_second_run_does_nothing(files: StoreFiles) -> None:
    _cluster(small_study(), files).run()
    again = _cluster(small_study(), files)
    again.run()
    assert again.runs == [] and again.dispatcher.finished


def test_an_attempt_has_its_spec_in_the_store(files: StoreFiles) -> None:
    cluster = _cluster(small_study(seeds=[0]), files)
    cluster.run()
    dropped = {name.split(".")[0] for name in files.names("dropped")}
    for spec in cluster.specs:
        if spec.address in dropped:
            continue
        kept = JobSpec.from_json(files.read(f"attempts/{spec.address}/{spec.attempt}/job.json"))
        assert kept == spec
        assert {name: digest(said) for name, said in kept.made_from.items()} == spec.units
    trial = next(s for s in cluster.specs if s.key == "tune/surface>tagging/seed=0/trial=1")
    assert (trial.intermediate, trial.target, trial.seed, trial.trial) == (
        "surface", "tagging", 0, 1
    )  # fmt: skip
    assert trial.released > 0 and trial.study == "small"


def test_all_that_a_job_reads_is_vouched_for_and_waited_for(files: StoreFiles) -> None:
    cluster = _cluster(small_study(seeds=[0]), files)
    cluster.run()
    progress = cluster.progress
    for spec in cluster.specs:
        named = set(re.findall(r"attempts/([0-9a-f]{32})/", json.dumps(spec.inputs)))
        assert {name.split(".")[0] for name in spec.reads} == named
        made = {
            progress.commits.by_unit[unit].address
            for need in progress.plan.jobs[spec.key].needs
            for unit in (progress.addressing.units(need) or {}).values()
        }
        assert named <= made, spec.key
    assert any(spec.reads for spec in cluster.specs)


def test_losers_go_and_winners_stay(files: StoreFiles) -> None:
    cluster = _cluster(small_study(seeds=[0]), files)
    cluster.run()
    progress = cluster.progress
    for search in progress.plan.searches.values():
        won = progress.addressing.winner(search, "tagging/dev/qaa")
        assert won
        for key in search.trials:
            commit = progress.addressing.commit(key)
            assert commit
            assert commit.dropped == (key != won[0].key)
            assert files.local(commit.folder).exists() == (key == won[0].key)


# -- any order, any failure, any kill -----------------------------------------------------------

STUDIES = {
    "grid": small_study(),
    "chain": small_study(
        intermediates={
            "one": {"stages": [{"tasks": ["supersense"]}, {"tasks": ["surface"]}]},
            "two": {"stages": [{"tasks": ["supersense"]}, {"tasks": ["topic"]}]},
            "same": {"stages": [{"tasks": ["supersense"]}, {"tasks": ["surface"]}]},
        },
        seeds=[0],
    ),
    "random": small_study(intermediates={"surface": None}, seeds=[0], spaces={"tagging": RANDOM}),
    "taken over": small_study(
        intermediates={"surface": {"space": SPACE}},
        spaces={"tagging": {**SPACE, "tune_rows": "none", "tune_seeds": "first"}},
    ),
}


def _expected(name: str, folder: Path) -> set[str]:
    files = files_at(folder)
    if not files.names("commits"):
        _cluster(STUDIES[name], files).run()
    return committed_units(files)


@settings(max_examples=25)
@given(
    st.sampled_from(sorted(STUDIES)),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_whatever_happens_the_same_is_committed_and_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, name: str, slots: int, chance: random.Random
) -> None:
    """Attempts end in any order, die, lie and are repeated; drivers are thrown away."""
    expected = _expected(name, tmp_path_factory.getbasetemp() / f"whole-{name}")
    with quick_store() as files:
        assert _lives(name, files, slots, chance) == expected


def _lives(name: str, files: StoreFiles, slots: int, chance: random.Random) -> set[str]:
    """What is committed in the end, by drivers of which each lives for a while."""
    done: Counter[str] = Counter()
    deaths: Counter[str] = Counter()
    for _ in range(50):
        cluster = _cluster(STUDIES[name], files, slots=slots, chance=chance)
        life = chance.choice([3, 10, 1000])
        while life:
            life -= 1
            cluster.fill()
            if not cluster.flying:
                cluster.release_holds()
                cluster.fill()
            if not cluster.flying:
                break
            trial = cluster.any()
            key = cluster.flying[trial].key
            fate = chance.random()
            if fate < 0.1 and deaths[key] < 2:
                deaths[key] += 1
                cluster.end(trial, None, commits=False)
            elif fate < 0.2:
                error = {"status": "failed", "error": "out_of_memory", "message": "too large"}
                if deaths[key] < 2:
                    deaths[key] += 1
                    cluster.end(trial, error, commits=False)
                else:
                    cluster.end(trial)
            else:
                cluster.end(trial)
            cluster.release_holds()
        done.update(cluster.committed)
        assert not cluster.progress.failures
        if cluster.dispatcher.finished and not cluster.flying and not cluster.progress.left:
            break
    assert max(done.values()) == 1, "a unit was done twice"
    assert not progress_of(STUDIES[name], files).left
    return committed_units(files)


def _twins() -> Plan:
    """Two targets that are scored on the winners of one search."""
    cards = cards_like("tagging", 0)
    cards["twin"] = cards["tagging"].model_copy(update={"name": "twin"})
    at = {"selection": {"task": "tagging", "split": "dev", "language": "qaa"}}
    targets = {"tagging": at, "twin": at | {"training_task": "tagging"}}
    said = {"intermediates": {"surface": None}, "seeds": [0], "targets": targets}
    return plan(small_study(**said, task_limits={"twin": {"test": 5}}), cards=cards)


@settings(max_examples=40)
@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_damage_that_workers_find_is_made_again_whoever_else_is_at_work(
    slots: int, chance: random.Random
) -> None:
    """A worker withdraws what it finds damaged; others that read the same may end well, or not."""
    planned = _twins()
    with quick_store() as files:
        cluster = _cluster(planned, files, slots=slots, chance=chance)
        left = 5
        while True:
            cluster.fill()
            if not cluster.flying:
                cluster.release_holds()
                cluster.fill()
            if not cluster.flying:
                break
            trial = cluster.any()
            reads = cluster.flying[trial].reads
            if left and reads and chance.random() < 0.3:
                left -= 1
                withdraw(files, chance.choice(reads), "damaged")
                said = {
                    "status": "failed",
                    "error": "damaged",
                    "message": "changed content",
                }
                cluster.end(trial, said, commits=False)
            else:
                cluster.end(trial)
            cluster.release_holds()
        failed = set(cluster.progress.failures)
        assert not cluster.progress.left and not cluster.dispatcher.stopping
        assert all("changed content" in why for why in cluster.progress.failures.values())
        # A job that met damage again and again is given up; the next run makes it.
        again = _cluster(planned, files)
        again.run()
        assert failed or not again.runs
        assert not again.progress.left and not again.progress.failures
        done = Counter(cluster.runs + again.runs)
        assert sum(done.values()) <= len(done) + 2 * 5, "what is whole is not made again"


def test_a_worker_that_dies_after_its_commit_did_its_job(files: StoreFiles) -> None:
    cluster = _cluster(small_study(**SMALLEST), files)
    cluster.fill()
    (trial,) = cluster.flying
    spec = cluster.flying[trial]
    job = cluster.progress.plan.jobs[spec.key]
    commit_units(files, job, spec.address, spec.units)
    cluster.end(trial, None, commits=False)
    assert cluster.progress.state(spec.key) == DONE
    cluster.run()
    assert Counter(cluster.runs)[spec.key] == 1


def test_two_drivers_at_once_end_with_the_same(files: StoreFiles) -> None:
    one, two = (_cluster(small_study(), files, chance=random.Random(n)) for n in (1, 2))
    for _ in range(400):
        for cluster in (one, two):
            cluster.fill()
            if cluster.flying:
                cluster.end(cluster.any())
            cluster.release_holds()
    assert not one.progress.left and not two.progress.left
    fresh = progress_of(small_study(), files)
    assert not fresh.left and not fresh.failures


def test_a_sampler_that_draws_the_same_twice_trains_once(files: StoreFiles) -> None:
    space = {**RANDOM, "search": {"epochs": [2]}}
    cluster = _cluster(small_study(**SMALLEST, spaces={"tagging": space}), files, slots=8)
    cluster.run()
    assert [key for key in cluster.runs if key.startswith("tune/")] == [
        "tune/none>tagging/seed=0/trial=0"
    ]
    assert set(_states(cluster)) == {DONE}


@pytest.mark.parametrize("space", [RANDOM, TPE])
def test_rows_of_one_training_and_a_sampler_train_once(
    files: StoreFiles, space: dict[str, Any]
) -> None:
    said = {"one": {"tasks": ["surface"]}, "two": {"tasks": ["surface"]}}
    study = small_study(intermediates=said, seeds=[0], spaces={"tagging": space})
    cluster = _cluster(study, files, slots=8)
    cluster.run()
    assert set(_states(cluster)) == {DONE}
    assert max(cluster.committed.values()) == 1
    addressing = cluster.progress.addressing
    one, two = (cluster.progress.plan.searches[f"{row}>tagging/seed=0"] for row in said)
    assert [addressing.units(key) for key in one.trials] == [
        addressing.units(key) for key in two.trials
    ]


# -- failures -----------------------------------------------------------------------------------


def _fail(cluster: Cluster, culprit: str, result: dict[str, Any] | None, most: int = 50) -> int:
    """Run everything, but let every attempt at one job end with ``result``."""
    tried = 0
    for _ in range(1000):
        cluster.fill()
        if not cluster.flying:
            cluster.release_holds()
            cluster.fill()
        if not cluster.flying:
            break
        trial = cluster.any()
        if cluster.flying[trial].key == culprit and tried < most:
            tried += 1
            cluster.end(trial, result, commits=False)
        else:
            cluster.end(trial)
        cluster.release_holds()
    return tried


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        ("bug", 1),
        ("data", 1),
        ("model", 1),
        ("infrastructure", 3),
        (None, 3),
        ("out_of_memory", 20),
        ("preempted", 100),
    ],
)
def test_a_job_is_tried_as_its_error_deserves(
    files: StoreFiles, error: str | None, attempts: int
) -> None:
    cluster = _cluster(small_study(seeds=[0]), files)
    culprit = "train/surface/seed=0"
    result = {"status": "failed", "error": error, "message": "why"} if error else None
    assert _fail(cluster, culprit, result, most=200) == attempts
    assert _said(cluster, "failed") == [culprit]
    assert len(_said(cluster, "retry")) == attempts - 1
    assert cluster.progress.failures[culprit] == ("why" if error else (
        "its worker died: killed, or out of memory"
    ))  # fmt: skip
    below = {key for key in cluster.progress.plan.jobs if "surface>" in key}
    assert set(cluster.progress.blocked()) == below
    others = set(cluster.progress.plan.jobs) - below - {culprit}
    assert all(cluster.progress.state(key) == DONE for key in others)
    assert _states(cluster) == {DONE: len(others), FAILED: 1, BLOCKED: len(below)}
    assert cluster.dispatcher.finished

    again = _cluster(small_study(seeds=[0]), files)
    again.run()
    assert set(again.runs) == below | {culprit}, "a new run tries it again, and only that"


@pytest.mark.parametrize("shared", [False, True])
def test_what_a_host_may_have_done_is_tried_again_after_growing_pauses(
    files: StoreFiles, shared: bool
) -> None:
    """Others are handed out meanwhile; where other drivers live nothing is held for it."""
    clock, still = Clock(), Clock()
    if shared:
        leases_of(files, still, "another")
    leases = leases_of(files, still)
    progress = progress_of(small_study(seeds=[0]), files, failures=False, leases=leases)
    cluster = Cluster(progress, driver=leases.driver, clock=clock, shared=True)
    dispatcher, culprit = cluster.dispatcher, "train/surface/seed=0"
    while culprit not in [spec.key for spec in cluster.flying.values()]:
        cluster.release_holds()
        cluster.fill()
        trial = next((t for t, s in cluster.flying.items() if s.key == culprit), None)
        if trial is None:
            cluster.end(cluster.any())
    told = {"status": "failed", "error": "infrastructure", "message": "no answer"}
    for pause in (3.0, 30.0):
        (trial,) = [t for t, spec in cluster.flying.items() if spec.key == culprit]
        cluster.end(trial, told, commits=False)
        assert dispatcher.resting == {culprit: clock.now + pause}
        assert cluster.events[-1].message.endswith(f"ended; again in {pause:g} s: no answer")
        cluster.release_holds()
        cluster.fill()
        while cluster.flying:  # all that does not need it
            assert culprit not in [spec.key for spec in cluster.flying.values()]
            cluster.end(cluster.any())
            cluster.release_holds()
            cluster.fill()
        assert all("surface" in key for key in progress.left)
        assert dispatcher.waits and dispatcher.finished == shared
        assert bool(cluster.holds) != shared, "a warm worker is kept where that costs nobody"
        clock.now += pause - 0.1
        assert not dispatcher.found_work()
        clock.now += 0.1
        cluster.release_holds()
        assert dispatcher.found_work() and not dispatcher.resting
        cluster.fill()
    cluster.run()
    assert set(_states(cluster)) == {DONE} and cluster.runs.count(culprit) == 3


def test_a_stop_does_not_wait_for_what_rests(files: StoreFiles) -> None:
    cluster = _cluster(small_study(**SMALLEST), files, clock=Clock())
    cluster.fill()
    cluster.end(cluster.any(), None, commits=False)
    assert cluster.dispatcher.resting
    cluster.dispatcher.stop("stopped by a test")
    cluster.release_holds()
    assert cluster.dispatcher.finished and not cluster.dispatcher.waits


def test_a_failed_job_that_is_tried_again_is_seen_to_be(files: StoreFiles) -> None:
    """From elsewhere, too, where the store alone says what a sweep is at."""
    study = small_study(**SMALLEST)
    bug = {"status": "failed", "error": "bug", "message": "why"}
    _fail(_cluster(study, files), TOKENIZER, bug, most=1)
    seen = progress_of(study, files)
    assert (seen.state(TOKENIZER), seen.failures) == (FAILED, {TOKENIZER: "why"})
    again = _cluster(study, files)
    again.fill()
    seen = progress_of(study, files)
    assert seen.state(TOKENIZER) == READY and not seen.blocked()
    again.end(again.any(), bug, commits=False)
    assert progress_of(study, files).state(TOKENIZER) == FAILED


def test_a_job_that_failed_too_seldom_is_done(files: StoreFiles) -> None:
    cluster = _cluster(small_study(seeds=[0]), files)
    assert _fail(cluster, "train/surface/seed=0", None, most=2) == 2
    assert not cluster.progress.failures and not cluster.progress.left


def test_errors_of_different_classes_are_counted_apart(files: StoreFiles) -> None:
    cluster = _cluster(small_study(**SMALLEST), files)
    for error in ["infrastructure", "out_of_memory", "preempted"] * 2:
        cluster.fill()
        (trial,) = cluster.flying
        cluster.end(trial, {"status": "failed", "error": error, "message": ""}, commits=False)
    assert not cluster.progress.failures
    cluster.run()
    assert not cluster.progress.left


def test_a_host_that_is_taken_away_is_not_held_against_its_jobs(files: StoreFiles) -> None:
    cluster = _cluster(small_study(**SMALLEST), files)
    for _ in range(judging.LIMITS["infrastructure"] + 2):
        cluster.fill()
        (trial,) = cluster.flying
        spec = cluster.flying[trial]
        cluster.dispatcher.died(trial, Death("its node was preempted: spot", preempted=True))
        cluster.end(trial, None, commits=False)
    kept = files.read(f"failures/{spec.address}/{spec.attempt}.json")
    said = "its worker died: its node was preempted: spot"
    assert (kept["error"], kept["message"]) == ("preempted", said)
    cluster.run()
    assert not cluster.progress.left


def test_a_word_that_says_nothing_is_no_engine_failure(files: StoreFiles) -> None:
    """A worker says that it is done, and its marker is not to be seen."""
    cluster = _cluster(small_study(**SMALLEST), files)
    cluster.fill()
    (trial,) = cluster.flying
    said = {"status": "done", "error": "", "message": "", "seconds": 1.0}
    cluster.end(trial, said, commits=False)
    assert len(_said(cluster, "retry")) == 1
    cluster.run()
    assert not cluster.progress.left


def test_the_last_words_of_a_worker_that_threw_itself_away(files: StoreFiles) -> None:
    cluster = _cluster(small_study(**SMALLEST), files)
    cluster.fill()
    (trial,) = cluster.flying
    spec = cluster.flying[trial]
    record = {"job": spec.key, "error": "bug", "message": "CUDA error: illegal access"}
    files.create(f"failures/{spec.address}/{spec.attempt}.json", record)
    cluster.end(trial, None, commits=False)
    assert cluster.progress.failures == {spec.key: "CUDA error: illegal access"}


def test_a_diverged_trial_is_said_and_its_search_goes_on(files: StoreFiles) -> None:
    lost = "tune/surface>tagging/seed=0/trial=0"

    def outcome(spec: JobSpec) -> dict[str, Any] | None:
        bad = {"status": "diverged", "message": "nan at step 3", "selections": {}}
        return bad if spec.key == lost else None

    cluster = _cluster(small_study(seeds=[0]), files, outcome=outcome)
    cluster.run()
    assert _said(cluster, "diverged") == [lost] and not _said(cluster, "failed")
    assert set(_states(cluster)) == {DONE}


def test_a_search_that_diverged_whole_is_said(files: StoreFiles) -> None:
    def outcome(spec: JobSpec) -> dict[str, Any] | None:
        bad = {"status": "diverged", "message": "nan", "selections": {}}
        return bad if spec.key.startswith("tune/surface>") else None

    cluster = _cluster(small_study(seeds=[0]), files, outcome=outcome)
    cluster.run()
    assert _said(cluster, "failed") == ["score/surface>tagging/seed=0"]
    assert _states(cluster)[FAILED] == 1 and _states(cluster)[BLOCKED] == 0


def test_many_failures_in_a_row_are_no_recursion(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(seeds=list(range(400)), targets={"demo_retrieval": None})
    cluster = _cluster(study, files, slots=8)
    texts = ("demo_text", "supersense", "surface")
    early = {"prepare/tokenizer", BASE, *(f"prepare/{task}/train/48" for task in texts)}
    while not early <= cluster.progress.done:
        cluster.fill()
        cluster.end(next(iter(cluster.flying)))
        cluster.release_holds()

    def broken(*_: object) -> None:
        raise DataError("gone")

    monkeypatch.setattr(Inputs, "of", broken)
    cluster.run()
    assert len(cluster.progress.failures) > 350
    assert not cluster.progress.left


# -- stops --------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written_stops_the_sweep(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files)
    cluster.run(most=4)
    cluster.fill()
    trial = cluster.any()
    result = {"status": "failed", "error": "store", "message": "The disk is full"}
    cluster.end(trial, result, commits=False)
    assert cluster.dispatcher.stopping == "The disk is full"
    assert not cluster.progress.failures, "no job is to blame"
    assert cluster.dispatcher.next("x") is None
    committed = committed_units(files)
    again = _cluster(small_study(), files)
    again.run()
    assert not again.progress.left and committed < committed_units(files)
    assert not set(again.committed) & committed


def test_a_disk_that_is_full_for_the_driver_stops_the_sweep(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = _cluster(small_study(), files)
    cluster.run(most=4)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", full)
        while cluster.flying:
            cluster.end(cluster.any(), None, commits=False)
        cluster.fill()
    assert not cluster.flying
    assert "disk of the store is full" in cluster.dispatcher.stopping
    assert not cluster.progress.failures
    assert cluster.dispatcher.finished


def test_a_store_that_cannot_be_read_stops_the_sweep_with_a_sentence(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = _cluster(small_study(), files)
    cluster.run(most=4)
    cluster.fill()
    spec = cluster.flying[trial := cluster.any()]

    def away(self: StoreFiles, relative: str) -> bytes:
        raise UnreachableError("The bucket does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(StoreFiles, "content", away)
        cluster.end(trial)
    assert cluster.dispatcher.stopping == "The bucket does not answer."
    assert not cluster.progress.failures
    again = _cluster(small_study(), files)
    again.run()
    assert not again.progress.left and spec.key not in again.runs, "its marker was there"


def test_a_loser_that_cannot_be_deleted_costs_room_alone(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(self: StoreFiles, relative: str) -> None:
        raise UnreachableError("Device or resource busy")

    monkeypatch.setattr(StoreFiles, "remove", busy)
    cluster = _cluster(small_study(), files)
    cluster.run()
    assert not cluster.progress.left and not cluster.dispatcher.stopping
    assert "is kept: Device or resource busy" in caplog.text


def test_a_stop_hands_out_nothing_and_waits_for_what_runs(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files)
    cluster.run(most=8)
    cluster.fill()
    assert len(cluster.flying) > 1
    cluster.dispatcher.stop("stopped by SIGINT")
    assert cluster.dispatcher.next("x") is None
    assert not cluster.dispatcher.finished
    while cluster.flying:
        cluster.end(cluster.any(), None, commits=False)
    assert cluster.dispatcher.finished
    assert not cluster.progress.failures and not _said(cluster, "retry")
    again = _cluster(small_study(), files)
    again.run()
    assert not again.progress.left


# -- slots and holds ----------------------------------------------------------------------------


def test_no_more_jobs_than_slots(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files, slots=2)
    cluster.run(most=4)
    given = [cluster.dispatcher.next(f"x{n}") for n in range(20)]
    running = [spec for spec in given if isinstance(spec, JobSpec)]
    assert len(running) + len(cluster.flying) == 2


def test_a_job_that_waits_for_a_hold_to_end_gets_its_worker(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files, slots=3)
    dispatcher = cluster.dispatcher
    cluster.fill()
    one, two = cluster.holds
    assert dispatcher.promoted() == "", "their own workers start"
    cluster.end(cluster.any())
    assert dispatcher.promoted() == "", "nobody waits for the worker of the job that ended"
    given = [trial for trial in "abcd" if isinstance(dispatcher.next(trial), JobSpec)]
    assert given == ["a", "b", "c"], "a takes the free worker; b and c wait for the holds'"
    assert dispatcher.yields(one) and dispatcher.yields(two)
    dispatcher.ended(two, None)
    assert dispatcher.promoted() == "b"
    assert dispatcher.promoted() == "", "told once"
    dispatcher.ended("c", {"status": "stopped"})
    dispatcher.ended(one, None)
    assert dispatcher.promoted() == "", "c, which waited, is gone"


def test_holds_keep_slots_warm_until_a_job_wants_them(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files, slots=3)
    cluster.fill()
    # One job is ready (the tokenizer), so two slots are held for what follows.
    assert len(cluster.flying) == 1 and len(cluster.holds) == 2
    assert not any(cluster.dispatcher.yields(trial) for trial in cluster.holds)
    cluster.end(cluster.any())
    leaving = [trial for trial in cluster.holds if cluster.dispatcher.yields(trial)]
    assert len(leaving) == 2, "eight splits are ready to be prepared"
    for trial in leaving:
        cluster.holds.remove(trial)
        cluster.dispatcher.ended(trial, None)
    cluster.fill()
    assert len(cluster.flying) == 3


def test_no_holds_where_nothing_more_can_come(files: StoreFiles) -> None:
    study = small_study(**SMALLEST)
    cluster = _cluster(study, files, slots=4)
    held = 0
    while not cluster.dispatcher.finished:
        for _ in range(3):
            cluster.fill()
            cluster.release_holds()
        left = len(cluster.progress.left)
        assert len(cluster.holds) == min(4, left) - len(cluster.flying), "one per job to come"
        held = max(held, len(cluster.holds))
        cluster.end(cluster.any())
    cluster.release_holds()
    assert held > 0 and not cluster.holds
    assert cluster.dispatcher.next("x") is None


def test_holds_end_with_a_stop(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files, slots=3)
    cluster.fill()
    cluster.dispatcher.stop("enough")
    assert all(cluster.dispatcher.yields(trial) for trial in cluster.holds)


def test_slots_may_come_and_go(files: StoreFiles) -> None:
    slots = {"training": 1}
    progress = progress_of(small_study(), files)
    dispatcher = dispatch.Dispatcher(
        progress, dispatch.Searches(progress), pool_of=lambda job: "training",
        slots=lambda: dict(slots), listener=lambda event: None,
    )  # fmt: skip
    assert isinstance(dispatcher.next("a"), JobSpec)
    assert dispatcher.next("b") is None
    slots["training"] = 2
    assert dispatcher.next("b") == "training"
    assert not dispatcher.yields("b")
    slots["training"] = 1
    assert dispatcher.next("c") is None
    assert dispatcher.yields("b")


def test_work_without_a_slot_is_waited_for(files: StoreFiles) -> None:
    """All hosts of a cluster may be gone for a while."""
    slots = {"training": 0}
    dispatcher = dispatch.Dispatcher(
        progress := progress_of(small_study(), files), dispatch.Searches(progress),
        pool_of=lambda job: "training", slots=lambda: dict(slots), listener=lambda event: None,
    )  # fmt: skip
    assert not dispatcher.found_work()
    assert dispatcher.waits and not dispatcher.finished
    slots["training"] = 1
    assert dispatcher.found_work() and not dispatcher.waits


def test_pools_are_filled_apart(files: StoreFiles) -> None:
    progress = progress_of(small_study(base={"scratch": small_study().base.scratch}), files)
    dispatcher = dispatch.Dispatcher(
        progress, dispatch.Searches(progress),
        pool_of=lambda job: "data" if job.kind == "prepare" else "training",
        slots=lambda: {"training": 1, "data": 2}, listener=lambda event: None,
    )  # fmt: skip
    given = {name: dispatcher.next(name) for name in "abcd"}
    jobs = [spec.kind for spec in given.values() if isinstance(spec, JobSpec)]
    assert jobs == ["prepare"]
    assert sorted(x for x in given.values() if isinstance(x, str)) == ["data", "training"]
    assert given["d"] is None


def test_priority_is_the_longest_path(files: StoreFiles) -> None:
    cluster = _cluster(small_study(), files, slots=1)
    cluster.run()
    place = {key: number for number, key in enumerate(cluster.runs)}
    assert place["train/supersense/seed=0"] < place["score/none>demo_retrieval/seed=0"]
    assert cluster.runs[0] == "prepare/tokenizer"


def test_outcomes_are_those_of_the_address_alone(files: StoreFiles, tmp_path: Path) -> None:
    """What these tests rest on: equal addresses have equal made-up outcomes."""
    cluster = _cluster(small_study(seeds=[0]), files)
    cluster.run()
    spec = next(s for s in cluster.specs if s.kind == "tune")
    job = cluster.progress.plan.jobs[spec.key]
    assert outcome_of(job, spec.address) == outcome_of(job, spec.address)
