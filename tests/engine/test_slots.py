"""The slots and holds of a dispatcher with made-up workers."""

from __future__ import annotations

from helpers import (
    SMALLEST,
    cluster_of,
    progress_of,
    small_study,
)

from sweeper.engine import dispatch
from sweeper.jobs import JobSpec
from sweeper.store.files import StoreFiles


def test_no_more_jobs_than_slots(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(), files, slots=2)
    cluster.run(most=4)
    given = [cluster.dispatcher.next(f"x{n}") for n in range(20)]
    running = [spec for spec in given if isinstance(spec, JobSpec)]
    assert len(running) + len(cluster.flying) == 2


def test_a_job_that_waits_for_a_hold_to_end_gets_its_worker(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(), files, slots=3)
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
    cluster = cluster_of(small_study(), files, slots=3)
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
    cluster = cluster_of(study, files, slots=4)
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
    cluster = cluster_of(small_study(), files, slots=3)
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
