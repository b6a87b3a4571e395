"""The dispatcher with made-up workers: order, kills, what comes of it; no Ray."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers import (
    SMALLEST,
    SPACE,
    cards_like,
    cluster_of,
    commit_units,
    committed_units,
    files_at,
    keys_of,
    outcome_of,
    progress_of,
    quick_store,
    small_study,
    states_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.graph import Plan
from sweeper.jobs import JobSpec
from sweeper.planning import plan
from sweeper.states import DONE
from sweeper.store.files import StoreFiles, digest
from sweeper.store.markers import withdraw

RANDOM = {"search": {"epochs": [2, 3]}, "sampler": "random", "trials": 5}
TPE = {"search": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}, "sampler": "tpe",
       "trials": 3}  # fmt: skip


def test_every_job_runs_once(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(), files)
    cluster.run()
    assert set(states_of(cluster)) == {DONE}
    assert max(Counter(cluster.runs).values()) == 1
    assert max(cluster.committed.values()) == 1
    assert keys_of(cluster, "started") == cluster.runs
    assert sorted(keys_of(cluster, "done")) == sorted(cluster.runs)


def test_a_second_run_does_nothing(files: StoreFiles) -> None:
    cluster_of(small_study(), files).run()
    again = cluster_of(small_study(), files)
    again.run()
    assert again.runs == [] and again.dispatcher.finished


def test_an_attempt_has_its_spec_in_the_store(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(seeds=[0]), files)
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
    cluster = cluster_of(small_study(seeds=[0]), files)
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
    cluster = cluster_of(small_study(seeds=[0]), files)
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
        cluster_of(STUDIES[name], files).run()
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
        cluster = cluster_of(STUDIES[name], files, slots=slots, chance=chance)
        life = chance.choice([3, 10, 1000])
        while life:
            life -= 1
            trial = cluster.draw()
            if trial is None:
                break
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
        cluster = cluster_of(planned, files, slots=slots, chance=chance)
        left = 5
        while True:
            trial = cluster.draw()
            if trial is None:
                break
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
        again = cluster_of(planned, files)
        again.run()
        assert failed or not again.runs
        assert not again.progress.left and not again.progress.failures
        done = Counter(cluster.runs + again.runs)
        assert sum(done.values()) <= len(done) + 2 * 5, "what is whole is not made again"


def test_a_worker_that_dies_after_its_commit_did_its_job(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(**SMALLEST), files)
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
    one, two = (cluster_of(small_study(), files, chance=random.Random(n)) for n in (1, 2))
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
    cluster = cluster_of(small_study(**SMALLEST, spaces={"tagging": space}), files, slots=8)
    cluster.run()
    assert [key for key in cluster.runs if key.startswith("tune/")] == [
        "tune/none>tagging/seed=0/trial=0"
    ]
    assert set(states_of(cluster)) == {DONE}


@pytest.mark.parametrize("space", [RANDOM, TPE])
def test_rows_of_one_training_and_a_sampler_train_once(
    files: StoreFiles, space: dict[str, Any]
) -> None:
    said = {"one": {"tasks": ["surface"]}, "two": {"tasks": ["surface"]}}
    study = small_study(intermediates=said, seeds=[0], spaces={"tagging": space})
    cluster = cluster_of(study, files, slots=8)
    cluster.run()
    assert set(states_of(cluster)) == {DONE}
    assert max(cluster.committed.values()) == 1
    addressing = cluster.progress.addressing
    one, two = (cluster.progress.plan.searches[f"{row}>tagging/seed=0"] for row in said)
    assert [addressing.units(key) for key in one.trials] == [
        addressing.units(key) for key in two.trials
    ]


def test_priority_is_the_longest_path(files: StoreFiles) -> None:
    cluster = cluster_of(small_study(), files, slots=1)
    cluster.run()
    place = {key: number for number, key in enumerate(cluster.runs)}
    assert place["train/supersense/seed=0"] < place["score/none>demo_retrieval/seed=0"]
    assert cluster.runs[0] == "prepare/tokenizer"


def test_outcomes_are_those_of_the_address_alone(files: StoreFiles, tmp_path: Path) -> None:
    """What these tests rest on: equal addresses have equal made-up outcomes."""
    cluster = cluster_of(small_study(seeds=[0]), files)
    cluster.run()
    spec = next(s for s in cluster.specs if s.kind == "tune")
    job = cluster.progress.plan.jobs[spec.key]
    assert outcome_of(job, spec.address) == outcome_of(job, spec.address)
