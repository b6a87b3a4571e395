"""What nothing needs is found and removed, and nothing else, beside sweeps that run too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import Clock, commit_job, driven, finish, progress_of, put, small_study, unrelated
from test_cli import Capture, sweeper

from sweeper.collecting import (
    DRIVERS,
    LOSERS,
    UNNEEDED,
    Collected,
    collect,
    remove,
)
from sweeper.errors import StoreError
from sweeper.losers import drop, losers
from sweeper.progress import Progress
from sweeper.store.commits import Commits
from sweeper.store.drivers import Drivers
from sweeper.store.files import StoreFiles
from sweeper.store.leftovers import DEAD, DRAFTS, RESUME

A = unrelated("a")


@pytest.fixture
def files(anywhere: str) -> StoreFiles:
    """A new store in a folder, and one in a bucket."""
    return StoreFiles(anywhere, create=True)


def found(files: StoreFiles, clock: Clock | None = None, **options: bool) -> Collected:
    """What can go, by a clock that a second passes on when somebody waits."""
    own = clock or Clock()

    def wait(seconds: float) -> None:
        own.now += seconds

    return collect(files, drivers=Drivers(files, clock=own), wait=wait, **options)


def names(collected: Collected) -> dict[str, set[str]]:
    made: dict[str, set[str]] = {}
    for one in collected.garbage:
        made.setdefault(one.what, set()).add(one.name)
    return made


def whole(files: StoreFiles) -> bool:
    """Whether every file that a marker names, but a dropped one, is there."""
    commits = Commits(files).by_address.values()
    return all(files.exists(n) for one in commits if not one.dropped for n in one.files)


def losers_of(progress: Progress) -> set[str]:
    return {progress.commits.by_address[address].folder for address in losers(progress)}


def test_a_store_after_a_sweep_is_clean(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    finish(progress)
    drop(progress, list(losers(progress)))
    assert found(files).garbage == []


def test_leftovers_of_every_sort_go_and_nothing_else(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    finish(progress)
    done = next(iter(progress.commits.by_address))
    put(files, f"attempts/{A}/0001-dead/job.json", "{}")
    put(files, f"attempts/{A}/0001-dead/checkpoint/model.safetensors", "12345")
    put(files, f"tables/scores/{A}-0001-dead.parquet", "1")
    put(files, f"resume/{done}/a.json", "12")
    put(files, f"resume/{A}/a.json", "its job is not done")
    put(files, "logs/x/y.log", "a log")
    files.replace("drivers/gone.json", {"ended": True, "machine": "", "running": {}})
    files.create(f"leases/{A}.0", {"driver": "gone", "job": "j", "attempt": "t", "reads": []})
    files.create("stops/gone.json", {"why": "asked"})
    collected = found(files)
    assert names(collected) == {
        DEAD: {f"attempts/{A}/0001-dead", f"tables/scores/{A}-0001-dead.parquet"},
        RESUME: {f"resume/{done}"},
        LOSERS: losers_of(progress),
        DRIVERS: {"drivers/gone.json", f"leases/{A}.0", "stops/gone.json"},
    }
    sizes = {one.name: (one.files, one.bytes) for one in collected.garbage}
    assert sizes[f"attempts/{A}/0001-dead"] == (2, 7)
    before = set(files.sizes(""))
    assert remove(files, collected) == collected.garbage
    gone = {name for one in collected.garbage for name in before if name.startswith(one.name)}
    assert set(files.sizes("")) - before == {
        f"dropped/{commit.name}" for commit in Commits(files).by_address.values() if commit.dropped
    }
    assert before - set(files.sizes("")) == gone
    # Nothing has to be done again, and nothing more is found.
    assert not progress_of(small_study(), files).left
    assert found(files).garbage == []


def test_drafts_of_killed_processes_go(tmp_path: Path) -> None:
    files = StoreFiles(tmp_path / "store", create=True)
    finish(progress_of(small_study(), files))
    (tmp_path / "store/commits/.draft-1").write_text("123")
    assert names(found(files))[DRAFTS] == {"commits/.draft-1"}
    remove(files, found(files))
    assert not (tmp_path / "store/commits/.draft-1").exists()


def test_what_a_living_driver_uses_stays(files: StoreFiles) -> None:
    clock = Clock()
    cluster = driven(small_study(), files, clock, slots=3)
    cluster.run(4)
    cluster.fill()
    put(files, f"attempts/{A}/0001-dead/job.json", "{}")
    at_work = {f"attempts/{spec.address}/{spec.attempt}" for spec in cluster.flying.values()}
    assert len(at_work) == 3 and all(files.sizes(name) for name in at_work)
    watched = Drivers(files, clock=clock)
    # Its heartbeat is seconds old, and does not have them yet: their leases do.
    cluster.dispatcher.driver.running = {}

    def wait(seconds: float) -> None:  # it beats while one waits
        clock.now += seconds
        cluster.dispatcher.driver.beat()

    collected = collect(files, drivers=watched, wait=wait)
    assert [seen.driver for seen in collected.living] == [cluster.dispatcher.driver.id]
    assert names(collected) == {DEAD: {f"attempts/{A}/0001-dead"}}
    remove(files, collected)
    cluster.run()
    assert whole(files) and not progress_of(small_study(), files).left


def test_a_heartbeat_that_stands_still_is_waited_for_and_then_dead(files: StoreFiles) -> None:
    clock = Clock()
    cluster = driven(small_study(), files, clock, slots=2)
    cluster.fill()
    heartbeat = files.read(f"drivers/{cluster.dispatcher.driver.id}.json")
    # Of another machine, where nobody can look whether the process is there.
    files.replace(f"drivers/{cluster.dispatcher.driver.id}.json", heartbeat | {"machine": "x"})
    collected = found(files, clock)
    assert clock.now == 30 and collected.living == []
    at_work = {f"attempts/{spec.address}/{spec.attempt}" for spec in cluster.flying.values()}
    assert names(collected)[DEAD] == at_work


def test_what_was_committed_meanwhile_stays(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    key = progress.take()
    assert key is not None and progress.claim(key)
    address = progress.attempt_address(key)
    put(files, f"attempts/{address}/a0/job.json", "{}")
    collected = found(files)
    assert names(collected)[DEAD] == {f"attempts/{address}/a0"}
    commit_job(progress, key)
    assert remove(files, collected) == []
    assert whole(files) and files.sizes(f"attempts/{address}/a0")


def test_a_sweep_that_begins_meanwhile_is_told(files: StoreFiles) -> None:
    put(files, f"attempts/{A}/0001-dead/job.json", "{}")
    collected = found(files)
    driven(small_study(), files, Clock())
    with pytest.raises(StoreError, match="has begun on this store"):
        remove(files, collected)
    assert files.sizes(f"attempts/{A}/0001-dead")


def test_a_loser_that_another_study_needs_stays(files: StoreFiles) -> None:
    """Another study shares the search, and has not scored all of its languages."""
    narrow = {"tagging": {"languages": ["qaa"]}, "demo_retrieval": None}
    finish(progress_of(small_study(name="narrow", targets=narrow), files))
    assert names(found(files))[LOSERS]
    progress = progress_of(small_study(), files)
    ran = finish(progress, until=lambda key: key.startswith("score/none>tagging"))
    assert not any(key.startswith("tune") for key in ran)
    assert LOSERS not in names(found(files))
    finish(progress_of(small_study(), files))
    assert names(found(files))[LOSERS]


def test_what_no_study_needs_goes_only_if_asked(files: StoreFiles) -> None:
    finish(progress_of(small_study(seeds=[0, 1]), files))
    smaller = progress_of(small_study(seeds=[0]), files)  # the study's new version
    needed = {
        u for key in smaller.plan.jobs for u in (smaller.addressing.units(key) or {}).values()
    }
    assert UNNEEDED not in names(found(files))
    collected = found(files, unneeded=True)
    extra = {
        commit.folder
        for commit in Commits(files).by_address.values()
        if needed.isdisjoint(commit.units.values())
    }
    assert names(collected)[UNNEEDED] | names(collected).get(LOSERS, set()) >= extra > set()
    remove(files, collected)
    assert not progress_of(small_study(seeds=[0]), files).left
    assert whole(files)


def test_what_is_unneeded_cannot_be_told_while_a_sweep_runs(files: StoreFiles) -> None:
    clock = Clock()
    cluster = driven(small_study(), files, clock)
    cluster.fill()
    watched = Drivers(files, clock=clock)

    def wait(seconds: float) -> None:
        clock.now += seconds
        cluster.dispatcher.driver.beat()

    with pytest.raises(StoreError, match="A sweep runs on this store"):
        collect(files, unneeded=True, drivers=watched, wait=wait)


def test_the_command_removes_nothing_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    files = StoreFiles("runs/small", create=True)
    finish(progress_of(small_study(), files))
    put(files, f"attempts/{A}/0001-dead/job.json", "12345")
    assert sweeper("gc") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{DEAD} 1 1 5 B" in said and "nothing was removed" in said
    assert sweeper("gc", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"][DEAD] == 5 and told["removed"] is None
    assert files.sizes(f"attempts/{A}")
    assert sweeper("gc", "--store", "runs/small", "--yes") == 0
    assert "removed." in capsys.readouterr().out and not files.sizes(f"attempts/{A}")
    assert sweeper("gc") == 0
    assert "can go." in " ".join(capsys.readouterr().out.split())
