"""What becomes of attempts that fail, with made-up workers: tried again, given up, a stop."""

from __future__ import annotations

import os
from typing import Any

import pytest
from helpers import (
    SMALLEST,
    Clock,
    Cluster,
    cluster_of,
    committed_units,
    keys_of,
    leases_of,
    progress_of,
    small_study,
    states_of,
)

from sweeper.engine import judging
from sweeper.engine.deaths import Death
from sweeper.errors import DataError, UnreachableError
from sweeper.graph import BASE, TOKENIZER
from sweeper.inputs import Inputs
from sweeper.jobs import JobSpec
from sweeper.states import BLOCKED, DONE, FAILED, READY
from sweeper.store.files import StoreFiles


def _fail(cluster: Cluster, culprit: str, result: dict[str, Any] | None, most: int = 50) -> int:
    """Run everything, but let every attempt at one job end with ``result``."""
    tried = 0
    for _ in range(1000):
        trial = cluster.draw()
        if trial is None:
            break
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
    cluster = cluster_of(small_study(seeds=[0]), files)
    culprit = "train/surface/seed=0"
    result = {"status": "failed", "error": error, "message": "why"} if error else None
    assert _fail(cluster, culprit, result, most=200) == attempts
    assert keys_of(cluster, "failed") == [culprit]
    assert len(keys_of(cluster, "retry")) == attempts - 1
    assert cluster.progress.failures[culprit] == ("why" if error else (
        "its worker died: killed, or out of memory"
    ))  # fmt: skip
    below = {key for key in cluster.progress.plan.jobs if "surface>" in key}
    assert set(cluster.progress.blocked()) == below
    others = set(cluster.progress.plan.jobs) - below - {culprit}
    assert all(cluster.progress.state(key) == DONE for key in others)
    assert states_of(cluster) == {DONE: len(others), FAILED: 1, BLOCKED: len(below)}
    assert cluster.dispatcher.finished

    again = cluster_of(small_study(seeds=[0]), files)
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
    assert set(states_of(cluster)) == {DONE} and cluster.runs.count(culprit) == 3


def test_a_stop_does_not_wait_for_what_rests(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(**SMALLEST), files, clock=Clock())
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
    _fail(cluster_of(study, files), TOKENIZER, bug, most=1)
    seen = progress_of(study, files)
    assert (seen.state(TOKENIZER), seen.failures) == (FAILED, {TOKENIZER: "why"})
    again = cluster_of(study, files)
    again.fill()
    seen = progress_of(study, files)
    assert seen.state(TOKENIZER) == READY and not seen.blocked()
    again.end(again.any(), bug, commits=False)
    assert progress_of(study, files).state(TOKENIZER) == FAILED


def test_a_job_that_failed_too_seldom_is_done(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(seeds=[0]), files)
    assert _fail(cluster, "train/surface/seed=0", None, most=2) == 2
    assert not cluster.progress.failures and not cluster.progress.left


def test_errors_of_different_classes_are_counted_apart(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(**SMALLEST), files)
    for error in ["infrastructure", "out_of_memory", "preempted"] * 2:
        cluster.fill()
        (trial,) = cluster.flying
        cluster.end(trial, {"status": "failed", "error": error, "message": ""}, commits=False)
    assert not cluster.progress.failures
    cluster.run()
    assert not cluster.progress.left


def test_a_host_that_is_taken_away_is_not_held_against_its_jobs(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(**SMALLEST), files)
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
    cluster = cluster_of(small_study(**SMALLEST), files)
    cluster.fill()
    (trial,) = cluster.flying
    said = {"status": "done", "error": "", "message": "", "seconds": 1.0}
    cluster.end(trial, said, commits=False)
    assert len(keys_of(cluster, "retry")) == 1
    cluster.run()
    assert not cluster.progress.left


def test_the_last_words_of_a_worker_that_threw_itself_away(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(**SMALLEST), files)
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

    cluster = cluster_of(small_study(seeds=[0]), files, outcome=outcome)
    cluster.run()
    assert keys_of(cluster, "diverged") == [lost] and not keys_of(cluster, "failed")
    assert set(states_of(cluster)) == {DONE}


def test_a_search_that_diverged_whole_is_said(files: StoreFiles) -> None:
    def outcome(spec: JobSpec) -> dict[str, Any] | None:
        bad = {"status": "diverged", "message": "nan", "selections": {}}
        return bad if spec.key.startswith("tune/surface>") else None

    cluster = cluster_of(small_study(seeds=[0]), files, outcome=outcome)
    cluster.run()
    assert keys_of(cluster, "failed") == ["score/surface>tagging/seed=0"]
    assert states_of(cluster)[FAILED] == 1 and states_of(cluster)[BLOCKED] == 0


def test_many_failures_in_a_row_are_no_recursion(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(seeds=list(range(400)), targets={"demo_retrieval": None})
    cluster = cluster_of(study, files, slots=8)
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
    cluster = cluster_of(small_study(), files)
    cluster.run(most=4)
    cluster.fill()
    trial = cluster.any()
    result = {"status": "failed", "error": "store", "message": "The disk is full"}
    cluster.end(trial, result, commits=False)
    assert cluster.dispatcher.stopping == "The disk is full"
    assert not cluster.progress.failures, "no job is to blame"
    assert cluster.dispatcher.next("x") is None
    committed = committed_units(files)
    again = cluster_of(small_study(), files)
    again.run()
    assert not again.progress.left and committed < committed_units(files)
    assert not set(again.committed) & committed


def test_a_disk_that_is_full_for_the_driver_stops_the_sweep(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = cluster_of(small_study(), files)
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
    cluster = cluster_of(small_study(), files)
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
    again = cluster_of(small_study(), files)
    again.run()
    assert not again.progress.left and spec.key not in again.runs, "its marker was there"


def test_a_loser_that_cannot_be_deleted_costs_room_alone(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(self: StoreFiles, relative: str) -> None:
        raise UnreachableError("Device or resource busy")

    monkeypatch.setattr(StoreFiles, "remove", busy)
    cluster = cluster_of(small_study(), files)
    cluster.run()
    assert not cluster.progress.left and not cluster.dispatcher.stopping
    assert "is kept: Device or resource busy" in caplog.text


def test_a_stop_hands_out_nothing_and_waits_for_what_runs(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(), files)
    cluster.run(most=8)
    cluster.fill()
    assert len(cluster.flying) > 1
    cluster.dispatcher.stop("stopped by SIGINT")
    assert cluster.dispatcher.next("x") is None
    assert not cluster.dispatcher.finished
    while cluster.flying:
        cluster.end(cluster.any(), None, commits=False)
    assert cluster.dispatcher.finished
    assert not cluster.progress.failures and not keys_of(cluster, "retry")
    again = cluster_of(small_study(), files)
    again.run()
    assert not again.progress.left
