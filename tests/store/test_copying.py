"""A copy of a store is a whole store at every moment, wherever both lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from analysis.world import World, study
from damaged import DATA, SCORE, STAGE, WINNER, commit_of, flip
from helpers import Clock, driven, put, small_study, unrelated
from real_work import Run, small
from test_cli import Capture, sweeper

from benchmarks.s3 import new_address
from sweeper import Store
from sweeper.analysis.kept import keep
from sweeper.errors import StoreError
from sweeper.store.compacting import compact
from sweeper.store.contents import DEAD, DRIVERS
from sweeper.store.copying import copy
from sweeper.store.drivers import Driver
from sweeper.store.files import StoreFiles
from sweeper.store.markers import withdraw
from sweeper.store.verify import repair, verify

A = unrelated("a")


def same(one: Path | str, other: Path | str) -> None:
    """Both stores answer alike."""
    for store in (one, other):
        assert verify(StoreFiles(store)).faults == []
    ours, theirs = Store(one), Store(other)
    pd.testing.assert_frame_equal(ours.scores(metric="all"), theirs.scores(metric="all"))
    pd.testing.assert_frame_equal(ours.examples(), theirs.examples())
    pd.testing.assert_frame_equal(ours.trials(), theirs.trials())
    assert ours.transfer("gain").to_frame().equals(theirs.transfer("gain").to_frame())


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_to_a_bucket_and_back(finished: Path, tmp_path: Path, scheme: str, request: Any) -> None:
    request.getfixturevalue(scheme)
    address, back = new_address(scheme), tmp_path / "back"
    there = copy(StoreFiles(finished), address)
    assert there.markers == len(StoreFiles(finished).names("commits")) and not there.faults
    ours, theirs = (Store(one).matrix("score") for one in (finished, address))
    assert ours.equals(theirs)
    copy(StoreFiles(address), back)
    same(finished, back)
    assert {name: (back / name).read_bytes() for name in StoreFiles(back).sizes("")} == {
        name: (finished / name).read_bytes() for name in StoreFiles(finished).sizes("")
    }
    assert Run(small(), back).go().ran == []
    assert copy(StoreFiles(finished), address).files == 0


def test_a_copy_goes_on_by_itself_and_is_brought_up_to_date(tmp_path: Path) -> None:
    world = World(tmp_path / "s").run(leave=lambda key: key.startswith("score/more"))
    copy(world.files, tmp_path / "c")
    World(tmp_path / "s").run()
    done = copy(world.files, tmp_path / "c")
    assert done.markers == 6
    assert Store(tmp_path / "c").transfer().complete
    assert World(tmp_path / "c").run().ran == []


def test_it_is_whole_wherever_it_is_interrupted(store: Path, tmp_path: Path) -> None:
    source, whole = StoreFiles(store), len(StoreFiles(store).sizes(""))
    steps: list[int] = []
    copy(source, tmp_path / "all", lambda done, total: steps.append(done))
    assert len(steps) >= whole - 1
    for number in range(0, len(steps), 16):
        target = tmp_path / f"c{number}"
        seen: list[int] = []

        def stop(done: int, total: int, seen: list[int] = seen, last: int = number) -> None:
            seen.append(done)
            if len(seen) > last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            copy(source, target, stop)
        # A loser's marker may be there a moment before the record that its files are gone.
        dropped = {f"attempts/{name.partition('.')[0]}" for name in source.names("dropped")}
        faults = verify(StoreFiles(target)).faults
        assert all(fault.name.startswith(tuple(dropped)) for fault in faults)
        copy(source, target)
        assert StoreFiles(target).sizes("") == source.sizes("")


def test_what_is_no_part_of_a_copy(store: Path, tmp_path: Path) -> None:
    files = StoreFiles(store)
    driver = Driver(files, "small")
    driver.beat()
    files.create(f"leases/{A}.0", {"driver": driver.id, "job": "j", "attempt": "t", "reads": []})
    files.create("stops/gone.json", {"why": "asked"})
    put(files, f"attempts/{A}/0001-dead/checkpoint/model.safetensors", "12345")
    put(files, f"tables/scores/{A}-0001-dead.parquet", "1")
    put(files, f"resume/{A}/slot-a.json", "{}")
    put(files, f"resume/{A}/slot-a.safetensors", "tensors")
    put(files, "logs/x/y.log", "a log")
    (store / "commits/.draft-1").write_text("half a marker")
    files.create("limits/shape/cpu.8", {"size": 8})
    files.create(f"failures/{A}/0001-dead.json", {"table": f"tables/trials/{A}-0001-dead.parquet"})
    put(files, f"tables/trials/{A}-0001-dead.parquet", "its row")
    files.create(f"failed/{A}/0000-before.json", {"job": "j", "message": "begun anew since"})
    files.create("failed/other/0001-dead.json", {"job": "j", "message": "given up"})
    done = copy(files, tmp_path / "c")
    assert done.left_out[DRIVERS] == 3 and done.left_out[DEAD] == 2
    lacking = set(files.sizes("")) - set(StoreFiles(tmp_path / "c").sizes(""))
    assert lacking == {
        f"drivers/{driver.id}.json", f"leases/{A}.0", "stops/gone.json",
        f"attempts/{A}/0001-dead/checkpoint/model.safetensors",
        f"tables/scores/{A}-0001-dead.parquet", f"failed/{A}/0000-before.json",
    }  # fmt: skip
    assert not list((tmp_path / "c").rglob(".draft-*"))


def test_beside_a_sweep(tmp_path: Path) -> None:
    clock = Clock()
    files = StoreFiles(tmp_path / "s", create=True)
    cluster = driven(small_study(), files, clock, slots=3)
    while not cluster.dispatcher.finished:
        cluster.run(7)
        copy(files, tmp_path / "c")
        there = StoreFiles(tmp_path / "c")
        # Each committed trial was asked for, each file that a marker names is there.
        markers = [there.read(f"commits/{name}") for name in there.names("commits")]
        dropped = set(there.names("dropped"))
        for marker in markers:
            if f"{marker['address']}.{marker['generation']}" not in dropped:
                assert all(there.exists(name) for name in marker["files"])
        assert set(there.names("asks")) == set(files.names("asks"))
    assert set(there.names("commits")) == set(files.names("commits"))


def test_what_is_dropped_or_withdrawn_later_is_so_in_the_copy(store: Path, tmp_path: Path) -> None:
    files, target = StoreFiles(store), tmp_path / "c"
    copy(files, target)
    lost = commit_of(store, SCORE)
    withdraw(files, lost.name, "for this test")
    Run(small(), store).go()
    copy(files, target)
    same(store, target)
    assert StoreFiles(target).names("withdrawn") == [lost.name]
    # A copy made from scratch has the marker that does not count, and not its files.
    copy(files, tmp_path / "d")
    same(store, tmp_path / "d")
    assert not any(StoreFiles(tmp_path / "d").exists(name) for name in lost.files)


def test_what_is_damaged_is_told_and_not_copied(store: Path, tmp_path: Path) -> None:
    files, target = StoreFiles(store), tmp_path / "c"
    stage, winner = commit_of(store, STAGE), commit_of(store, WINNER)
    flip(store / stage.folder / "checkpoint/model.safetensors")
    (store / winner.folder / "epoch=1/model.safetensors").unlink()
    lost = {stage.name, winner.name, commit_of(store, DATA).name}
    (store / "commits" / commit_of(store, DATA).name).write_text("{")
    done = copy(files, target)
    assert {fault.withdraws for fault in done.faults} == lost
    assert set(files.names("commits")) - set(StoreFiles(target).names("commits")) == lost
    repair(files, verify(files))
    assert copy(files, target).faults == []
    Run(small(), store).go()
    copy(files, target)
    same(store, target)


def test_compacted_files_come_along(tmp_path: Path) -> None:
    world = World(tmp_path / "s", study(seeds=[0])).run()
    compact(world.files)
    compact(StoreFiles(tmp_path / "s"))
    copy(StoreFiles(tmp_path / "s"), tmp_path / "c")
    shutil.rmtree(tmp_path / "c/tables")
    assert len(Store(tmp_path / "c").scores()) == len(Store(tmp_path / "s").scores())
    assert StoreFiles(tmp_path / "c").names("compacted") == ["000001", "000001.json"]
    # Of no authority: one that is damaged is left out, and the copy is whole.
    put(world.files, "compacted/000001/scores.parquet", "?" * 9)
    done = copy(StoreFiles(tmp_path / "s"), tmp_path / "d")
    assert [fault.name for fault in done.faults] == ["compacted/000001/scores.parquet"]
    assert Store(tmp_path / "d").transfer().complete


def test_compacted_files_that_came_in_part_come_whole(tmp_path: Path) -> None:
    world = World(tmp_path / "s", study(seeds=[0])).run()
    compact(world.files)
    keep(StoreFiles(tmp_path / "s"))
    copy(StoreFiles(tmp_path / "s"), tmp_path / "c")
    (tmp_path / "c/compacted/000000.json").unlink()  # it comes last
    copy(StoreFiles(tmp_path / "s"), tmp_path / "c")
    assert StoreFiles(tmp_path / "c").sizes("") == StoreFiles(tmp_path / "s").sizes("")


def test_places_that_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path / "s", study(seeds=[0])).run()
    copy(world.files, tmp_path / "c")
    for inside in (tmp_path / "s", tmp_path / "s/backup"):
        with pytest.raises(StoreError, match="is inside"):
            copy(world.files, inside)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").write_text("mine")
    with pytest.raises(StoreError, match="holds files and is not a store"):
        copy(world.files, tmp_path / "full")
    World(tmp_path / "other", study(seeds=[0]))
    with pytest.raises(StoreError, match=r"another store.*sweeper store merge"):
        copy(world.files, tmp_path / "other")
    with pytest.raises(StoreError, match="There is no store"):
        copy(StoreFiles(tmp_path / "nothing"), tmp_path / "d")
    World(tmp_path / "s", study(seeds=[0], description="a"))
    World(tmp_path / "c", study(seeds=[0], description="b"))
    with pytest.raises(StoreError, match=r"studies/tiny/000001\.json says something else.*merge"):
        copy(StoreFiles(tmp_path / "s"), tmp_path / "c")


def test_the_command(store: Path, tmp_path: Path, capsys: Capture) -> None:
    target = str(tmp_path / "c")
    assert sweeper("store", "copy", str(store), target) == 0
    assert "markers copied to" in " ".join(capsys.readouterr().out.split())
    assert sweeper("store", "copy", str(store), target) == 0
    assert "nothing was copied" in " ".join(capsys.readouterr().out.split())
    flip(store / commit_of(store, STAGE).folder / "checkpoint/model.safetensors")
    assert sweeper("store", "copy", str(store), str(tmp_path / "d"), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["faults"][0]["job"] == STAGE and told["markers"] > 5
