"""Several drivers on one store, in one process: they share the work, and its ends."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import (
    SMALLEST,
    Clock,
    Cluster,
    committed_units,
    driven,
    files_at,
    progress_of,
    quick_store,
    small_study,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.graph import BASE, TOKENIZER
from sweeper.jobs import JobSpec
from sweeper.losers import drop, losers
from sweeper.states import DONE
from sweeper.store.files import StoreFiles
from sweeper.study import Study

BEAT, PATIENCE = 5.0, 30.0


@pytest.fixture
def files() -> Iterator[StoreFiles]:
    with quick_store() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _calm(study: Study, folder: Path) -> set[str]:
    """What one driver alone commits."""
    files = files_at(folder)
    if not files.names("commits"):
        Cluster(progress_of(study, files, failures=False)).run()
    return committed_units(files)


def _over(cluster: Cluster) -> bool:
    return not (cluster.flying or cluster.holds) and cluster.dispatcher.finished


def _pass(clusters: list[Cluster], clock: Clock, seconds: float) -> None:
    """Time passes; those drivers live."""
    for _ in range(int(seconds / BEAT) + 1):
        clock.now += BEAT
        for cluster in clusters:
            cluster.dispatcher.driver.beat()


def _turn(cluster: Cluster, chance: random.Random) -> None:
    cluster.fill()
    if cluster.flying and chance.random() < 0.6:
        cluster.end(cluster.any())
    cluster.release_holds()
    if _over(cluster):
        cluster.dispatcher.driver.end()


def _run(clusters: list[Cluster], clock: Clock, chance: random.Random, most: int = 3000) -> None:
    """Drivers take turns until all are done; those that are not in the list are dead."""
    for turn in range(most):
        going = [cluster for cluster in clusters if not _over(cluster)]
        if not going:
            return
        _turn(chance.choice(going), chance)
        if turn % 5 == 0:
            _pass(going, clock, 0)
    raise AssertionError("the drivers do not end")


def _attempts(clusters: list[Cluster]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(sorted(s.units.values())) for c in clusters for s in c.specs)


STUDIES = {
    "grid": small_study(),
    "chain": small_study(
        intermediates={
            "one": {"stages": [{"tasks": ["supersense"]}, {"tasks": ["surface"]}]},
            "same": {"stages": [{"tasks": ["supersense"]}, {"tasks": ["surface"]}]},
        },
        seeds=[0],
    ),
    "random": small_study(
        intermediates={"surface": None},
        seeds=[0],
        spaces={
            "tagging": {"search": {"epochs": [2, 3, 4]}, "sampler": "random", "trials": 4}
        },
    ),
}  # fmt: skip


@settings(max_examples=20)
@given(
    st.sampled_from(sorted(STUDIES)), st.integers(2, 3), st.randoms(use_true_random=False)
)  # fmt: skip
def test_drivers_share_a_study_and_each_job_is_begun_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, count: int, chance: random.Random
) -> None:
    expected = _calm(STUDIES[name], tmp_path_factory.getbasetemp() / f"calm-{name}")
    clock = Clock()
    with quick_store() as files:
        clusters = [
            driven(STUDIES[name], files, clock, chance=chance, slots=chance.randint(1, 4))
            for _ in range(count)
        ]
        _run(clusters, clock, chance)
        assert committed_units(files) == expected
        assert max(_attempts(clusters).values()) == 1
        assert not any(cluster.progress.left for cluster in clusters)
        assert not any(cluster.progress.failures for cluster in clusters)
        assert files.names("leases") == []


@settings(max_examples=20)
@given(st.sampled_from(sorted(STUDIES)), st.randoms(use_true_random=False))
def test_what_a_killed_driver_had_in_flight_is_taken_over(
    tmp_path_factory: pytest.TempPathFactory, name: str, chance: random.Random
) -> None:
    expected = _calm(STUDIES[name], tmp_path_factory.getbasetemp() / f"calm-{name}")
    clock = Clock()
    with quick_store() as files:
        one, two = (driven(STUDIES[name], files, clock, chance=chance) for _ in range(2))
        for _ in range(chance.randint(1, 60)):
            _turn(chance.choice([one, two]), chance)
        lost = len(one.flying)
        late = one.any() if lost and chance.random() < 0.5 else None
        for _ in range(int(2 * PATIENCE / BEAT)):  # from now on only the second one's heart beats
            _turn(two, chance)
            _pass([two], clock, 0)
        if late:  # a worker may outlive its driver, and commit what is begun anew
            one.end(late)
        _run([two], clock, chance)
        assert committed_units(files) == expected
        attempts = _attempts([one, two])
        assert attempts.total() <= len(attempts) + lost
        assert not two.progress.left and not two.progress.failures


# -- waiting ------------------------------------------------------------------------------------


def _two(files: StoreFiles, clock: Clock, **options: Any) -> tuple[Cluster, Cluster]:
    study = small_study(**SMALLEST)
    return driven(study, files, clock, **options), driven(study, files, clock, **options)


def _said(cluster: Cluster, what: str) -> list[str]:
    return [event.key for event in cluster.events if event.what == what]


def test_a_driver_waits_for_a_job_in_flight_elsewhere(files: StoreFiles, clock: Clock) -> None:
    one, two = _two(files, clock)
    one.fill()
    two.fill()
    assert [spec.key for spec in one.specs] == [TOKENIZER]
    assert two.specs == [] and _said(two, "elsewhere") == [TOKENIZER]
    # Its slots are held for what follows, and the sweep does not end.
    assert len(two.holds) == 3 and not any(two.dispatcher.yields(hold) for hold in two.holds)
    assert two.dispatcher.waits and not two.dispatcher.finished
    assert two.progress.left == one.progress.left

    one.end(one.any())
    _pass([one, two], clock, 0)
    two.release_holds()
    assert two.progress.state(TOKENIZER) == DONE
    assert two.dispatcher.found_work() and not two.dispatcher.waits
    two.fill()
    assert two.flying and TOKENIZER not in two.runs


def test_an_owner_that_fails_lets_another_try(files: StoreFiles, clock: Clock) -> None:
    one, two = _two(files, clock)
    one.fill()
    two.fill()
    bug = {"status": "failed", "error": "bug", "message": "why"}
    one.end(one.any(), bug, commits=False)
    assert one.progress.failures == {TOKENIZER: "why"}
    _pass([one, two], clock, 0)
    two.run()
    assert not two.progress.left and not two.progress.failures


def test_an_owner_that_stops_lets_another_try(files: StoreFiles, clock: Clock) -> None:
    one, two = _two(files, clock)
    one.fill()
    two.fill()
    one.dispatcher.stop("enough")
    one.end(one.any(), {"status": "stopped"}, commits=False)
    _pass([one, two], clock, 0)
    two.run()
    assert not two.progress.left


def test_an_owner_that_ended_is_not_waited_for(files: StoreFiles, clock: Clock) -> None:
    """Its leases are free at once, whether it let go of them or not."""
    one, two = _two(files, clock)
    one.fill()
    two.fill()
    assert two.dispatcher.waits
    one.dispatcher.driver.end()
    clock.now += BEAT
    two.release_holds()
    two.fill()
    assert two.runs == [TOKENIZER]
    assert files.names("leases") == [f"{two.specs[0].address}.{n}" for n in range(2)]
    two.run()
    assert files.names("leases") == []


def test_an_owner_that_is_silent_is_dead_when_patience_ends(
    files: StoreFiles, clock: Clock
) -> None:
    one, two = _two(files, clock)
    one.fill()
    two.fill()
    _pass([two], clock, PATIENCE - 2 * BEAT)
    two.release_holds()
    assert two.dispatcher.waits
    _pass([two], clock, 2 * BEAT)
    two.release_holds()
    two.fill()
    assert two.runs == [TOKENIZER]
    # It was only slow: what it commits now stands, and is no one's second work.
    one.end(one.any())
    two.end(two.any())
    two.run()
    assert not two.progress.left and not two.progress.failures


def test_a_stage_that_diverged_elsewhere_fails_here_too(files: StoreFiles, clock: Clock) -> None:
    bad = {"status": "diverged", "message": "loss is nan", "selections": {}}

    def outcome(spec: JobSpec) -> dict[str, Any] | None:
        return bad if spec.key == BASE else None

    one = driven(small_study(**SMALLEST), files, clock, outcome=outcome)
    two = driven(small_study(**SMALLEST), files, clock)
    _run([one, two], clock, random.Random(0))
    for cluster in (one, two):
        assert cluster.progress.failures == {BASE: "loss is nan"}
        assert "failed" in {event.what for event in cluster.events if event.key == BASE}
        assert not cluster.progress.left


def test_a_shared_clusters_slots_are_given_back_while_waiting(
    files: StoreFiles, clock: Clock
) -> None:
    one, two = _two(files, clock, shared=True, slots=12)
    one.fill()
    assert one.dispatcher.found_work() is False, "what follows hangs on what runs"
    assert not two.dispatcher.found_work()
    assert two.dispatcher.waits and two.dispatcher.finished
    two.fill()
    assert not two.holds
    one.end(one.any())
    _pass([one, two], clock, 0)
    assert two.dispatcher.found_work() and not two.dispatcher.waits
    assert not two.dispatcher.finished, "what it found is begun"
    two.fill()
    assert two.runs and max(Counter(two.runs + one.runs).values()) == 1
    _pass([], clock, PATIENCE)
    two.fill()
    assert two.holds, "alone again, it holds its slots"
    _pass([one, two], clock, PATIENCE)
    two.fill()
    assert all(two.dispatcher.yields(hold) for hold in two.holds)


# -- two studies --------------------------------------------------------------------------------


def test_studies_with_stages_in_common_train_them_once(files: StoreFiles, clock: Clock) -> None:
    first = small_study(seeds=[0], name="first")
    second = small_study(
        seeds=[0], name="second", intermediates={"surface": None, "topic": None}
    )  # fmt: skip
    clusters = [driven(study, files, clock) for study in (first, second)]
    _run(clusters, clock, random.Random(1))
    assert max(_attempts(clusters).values()) == 1
    ran = Counter(key for cluster in clusters for key in cluster.runs)
    assert ran["train/surface/seed=0"] == ran[BASE] == 1
    assert not any(cluster.progress.left for cluster in clusters)


@pytest.mark.parametrize("seed", range(4))
def test_studies_with_some_languages_in_common_do_no_unit_twice(
    files: StoreFiles, clock: Clock, seed: int
) -> None:
    """Their attempts have other addresses, since other units are missing."""
    clusters = [
        driven(
            small_study(**{**SMALLEST, "targets": {"tagging": {"languages": codes}}}, name=name),
            files,
            clock,
        )
        for name, codes in {"one": ["qaa", "qab", "qac"], "two": ["qab", "qac", "qad"]}.items()
    ]
    _run(clusters, clock, random.Random(seed))
    done = Counter[str]()
    for cluster in clusters:
        done.update(cluster.committed)
        assert not cluster.progress.left
    assert max(done.values()) == 1


WIDE = {**SMALLEST, "targets": {"tagging": {"languages": ["qab"]}}}


def _before_the_score(files: StoreFiles, clock: Clock) -> tuple[Cluster, Study, str]:
    """A study that lacks its score alone; one whose winner is the first one's loser; that one."""
    wide = driven(small_study(**WIDE, name="wide"), files, clock, slots=1)
    wide.run(most=sum(job.kind != "score" for job in wide.progress.plan.jobs.values()))
    search = wide.progress.plan.searches["none>tagging/seed=0"]
    loser = wide.progress.addressing.ranking(search, "tagging/dev/qaa")[1][0]
    rate = wide.progress.addressing.training(loser)["learning_rate"]
    space = {"tagging": {"search": {"learning_rate": [rate]}}}
    narrow = small_study(**WIDE, name="narrow", spaces=space)
    return wide, narrow, wide.progress.addressing.address(loser.key)


TRIAL, SCORE = "tune/none>tagging/seed=0/trial=0", "score/none>tagging/seed=0"


def test_a_loser_that_won_in_another_study_stays(files: StoreFiles, clock: Clock) -> None:
    """The winner of a study with a smaller grid has lost in the one with the larger."""
    wide, study, loser = _before_the_score(files, clock)
    folder = wide.progress.commits.by_address[loser].folder
    narrow = driven(study, files, clock, slots=1)
    narrow.fill()
    assert narrow.runs == [SCORE]
    wide.run()
    assert not wide.progress.left and files.names("dropped") == [], "it is read now"
    narrow.run()
    assert not narrow.progress.left and narrow.runs == [SCORE]
    again = driven(small_study(**WIDE, name="wide"), files, clock, slots=1)
    drop(again.progress, list(losers(again.progress)))
    assert files.exists(folder) and files.names("dropped") == [], "it has scores"


def test_a_checkpoint_that_is_deleted_under_a_score_is_made_again(
    files: StoreFiles, clock: Clock
) -> None:
    wide, study, loser = _before_the_score(files, clock)
    narrow = driven(study, files, clock, slots=1)
    narrow.fill()
    wide.progress.commits.drop(loser)  # as one does that looked a moment before
    said = {"status": "failed", "error": "model", "message": "no such folder"}
    narrow.end(narrow.any(), said, commits=False)
    narrow.run()
    assert not narrow.progress.failures and not narrow.progress.left
    assert narrow.runs == [SCORE, TRIAL, SCORE]


def test_a_checkpoint_that_is_deleted_before_a_score_begins_is_made_again(
    files: StoreFiles, clock: Clock
) -> None:
    wide, study, loser = _before_the_score(files, clock)
    narrow = driven(study, files, clock, slots=1)
    assert narrow.progress.take() == SCORE
    wide.run()
    assert not narrow.progress.commits.by_address[loser].dropped, "not seen yet"
    assert not narrow.progress.claim(SCORE)
    narrow.run()
    assert narrow.runs == [TRIAL, SCORE] and not narrow.progress.left


def test_a_redone_checkpoint_is_made_by_one_of_two_drivers(
    files: StoreFiles, clock: Clock
) -> None:
    wide, study, _ = _before_the_score(files, clock)
    wide.run()
    wide.dispatcher.driver.end()
    one, two = (driven(study, files, clock) for _ in range(2))
    _run([one, two], clock, random.Random(0))
    assert Counter(one.runs + two.runs) == {TRIAL: 1, SCORE: 1}
    assert not one.progress.left and not two.progress.left


# -- stopping -----------------------------------------------------------------------------------


def test_a_worker_that_was_asked_to_stop_stops_its_driver(files: StoreFiles, clock: Clock) -> None:
    (cluster, _) = _two(files, clock)
    cluster.fill()
    cluster.end(cluster.any(), {"status": "stopped"}, commits=False)
    assert not cluster.dispatcher.stopping, "it was preempted, and alone"
    cluster.fill()
    assert cluster.runs == [TOKENIZER, TOKENIZER]
    files.create(cluster.dispatcher.driver.stop_marker, {"why": "stopped from elsewhere"})
    cluster.end(cluster.any(), {"status": "stopped"}, commits=False)
    assert cluster.dispatcher.stopping == "stopped from elsewhere"
    assert cluster.dispatcher.next("x") is None
    cluster.release_holds()
    assert _over(cluster) and not cluster.progress.failures


def test_a_heartbeat_says_what_runs(files: StoreFiles, clock: Clock) -> None:
    (cluster, _) = _two(files, clock)
    cluster.fill()
    driver, trial = cluster.dispatcher.driver, cluster.any()
    driver.beat()
    (said,) = files.read(f"drivers/{driver.id}.json")["running"].values()
    assert (said["phase"], said["host"], said["attempt"]) == ("", "", cluster.specs[0].attempt)
    item = {"phase": "train", "step": 3, "steps": 9, "hostname": "node7", "done": False}
    cluster.dispatcher.progressed(trial, item)
    driver.beat()
    heartbeat = files.read(f"drivers/{driver.id}.json")
    assert heartbeat["slots"] == 3 and heartbeat["study"] == "small"
    (said,) = heartbeat["running"].values()
    began = said.pop("since")
    assert began <= heartbeat["now"]
    assert said == {"attempt": cluster.specs[0].attempt, "host": "node7",
                    "phase": "train", "step": 3, "steps": 9}  # fmt: skip
    cluster.dispatcher.progressed(trial, item | {"step": 4})
    driver.beat()
    assert driver.running[TOKENIZER]["since"] == began
    cluster.end(trial)
    driver.beat()
    assert files.read(f"drivers/{driver.id}.json")["running"] == {}
