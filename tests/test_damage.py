"""Damage of a store, and what becomes of it: mended by the next run, with nothing else done."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from damaged import DATA, SCORE, STAGE, WINNER, commit_of, cut, flip, job_of
from real_work import Run, small

from sweeper import Store
from sweeper.analysis.where import where
from sweeper.errors import StoreError
from sweeper.jobs import JobSpec, Progress
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.store.markers import withdraw
from sweeper.store.verify import repair, verify
from sweeper.training.work import work


def scores(store: Path) -> pd.DataFrame:
    """Every score of the study, without the names of attempts."""
    return Store(store).scores(metric="all").drop(columns=["attempt", "checkpoint"])


MODEL, FEATURES = "model.safetensors", "qab/features.arrow"


@pytest.mark.parametrize(
    ("made_by", "file", "read_by", "damage"),
    [
        (STAGE, f"checkpoint/{MODEL}", WINNER, flip),
        (STAGE, f"checkpoint/{MODEL}", WINNER, Path.unlink),
        (STAGE, "checkpoint/config.json", WINNER, flip),
        (WINNER, f"epoch=1/{MODEL}", SCORE, flip),
        (WINNER, f"epoch=1/{MODEL}", SCORE, cut),
        (DATA, FEATURES, SCORE, flip),
        (DATA, FEATURES, SCORE, Path.unlink),
        ("prepare/tokenizer", "tokenizer/tokenizer.json", SCORE, cut),
    ],
)
def test_what_is_damaged_is_found_before_it_is_used_and_made_again(
    store: Path, made_by: str, file: str, read_by: str, damage: Callable[[Path], None]
) -> None:
    made_by, read_by = (job_of(store, key) for key in (made_by, read_by))
    before, files = scores(store), StoreFiles(store)
    broken = commit_of(store, made_by)
    damage(Path(files.where(f"{broken.folder}/{file}")))
    # Nothing reads it while all is done; now one job must be done again that does.
    assert Run(small(), store).go().ran == []
    withdraw(files, commit_of(store, read_by).name, "for this test")

    run = Run(small(), store).go()
    assert run.ran == [read_by, made_by, read_by]
    (said,) = run.said("retry")
    assert f"{broken.folder}/{file}, which {made_by} made, is damaged" in said
    assert commit_of(store, made_by).generation == broken.generation + 1
    assert files.names("withdrawn").count(broken.name) == 1
    assert Run(small(), store).go().ran == []
    assert scores(store).equals(before)


def test_what_is_damaged_again_and_again_fails_the_job_that_reads_it(store: Path) -> None:
    files, trial = StoreFiles(store), job_of(store, WINNER)
    withdraw(files, commit_of(store, SCORE).name, "for this test")

    def damage(spec: JobSpec) -> None:
        if spec.key == SCORE:
            flip(Path(files.where(f"{commit_of(store, trial).folder}/epoch=1/model.safetensors")))

    run = Run(small(), store).go(damage)
    assert run.ran == [SCORE, trial, SCORE, trial, SCORE]
    (said,) = run.said("failed")
    assert "is damaged: its content has changed" in said
    assert list(run.progress.failures) == [SCORE]
    assert Run(small(), store).go().ran == [trial, SCORE], "a run afterwards mends it"


def test_what_another_driver_dropped_meanwhile_is_not_taken_for_damage(store: Path) -> None:
    files, trial = StoreFiles(store), job_of(store, WINNER)
    mine = commit_of(store, SCORE).name
    withdraw(files, mine, "for this test")
    left = [commit_of(store, trial).address]

    def drop(spec: JobSpec) -> None:
        if spec.key == SCORE and left:
            Commits(files).drop(left.pop())

    assert Run(small(), store).go(drop).ran == [SCORE, trial, SCORE]
    assert files.names("withdrawn") == [mine]


# -- disks that are full, or cannot be written ---------------------------------------------------


def mounted(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_a_full_disk_stops_the_sweep_and_loses_nothing(finished: Path, small_disk: Path) -> None:
    """The disk grows a little with every run: it is full at one job after another."""
    store, sizes = small_disk / "store", range(256, 4096, 256)
    kept: dict[str, bytes] = {}
    stopped = []
    for size in sizes:
        mounted(small_disk, f"size={size}k")
        run = Run(small(), store).go()
        now = {path.name: path.read_bytes() for path in store.glob("commits/[!.]*")}
        assert kept.items() <= now.items(), "what was committed stays as it is"
        kept = now
        assert verify(StoreFiles(store)).faults == []
        if not run.progress.left:
            break
        assert "disk of the store is full" in run.dispatcher.stopping
        assert "What is committed is safe" in run.dispatcher.stopping
        assert run.progress.failures == {}
        stopped.append(run.ran[-1])
    assert not run.progress.left
    assert len(set(stopped)) >= 3, stopped
    assert scores(store).equals(scores(finished))


@pytest.mark.parametrize(
    ("moment", "kind"),
    [
        ("before", "prepare"),
        ("during", "prepare"),
        ("during", "train"),
        ("during", "tune"),
        ("during", "score"),
    ],
)
def test_a_store_that_turns_read_only_stops_the_sweep_and_loses_nothing(
    finished: Path, small_disk: Path, moment: str, kind: str
) -> None:
    mounted(small_disk, "size=64m")
    store = small_disk / "store"

    def before(spec: JobSpec) -> None:
        if spec.kind == kind and moment == "before":
            mounted(small_disk, "ro")

    def during(spec: JobSpec, files: StoreFiles) -> Iterator[Any]:
        for item in work(spec, files):
            if spec.kind == kind and moment == "during":
                mounted(small_disk, "ro")
            yield item

    run = Run(small(), store).go(before, during)
    assert run.specs[-1].kind == kind
    assert "must be writable" in run.dispatcher.stopping
    assert "Read-only file system" in run.dispatcher.stopping
    assert run.progress.failures == {}
    mounted(small_disk, "rw")
    assert verify(StoreFiles(store)).faults == []
    done = {one.job for one in Commits(StoreFiles(store)).by_address.values()}
    again = Run(small(), store).go()
    assert not again.progress.left
    assert done.isdisjoint(again.ran), "nothing that was committed is done again"
    assert scores(store).equals(scores(finished))


def test_a_store_that_cannot_be_written_answers_all_the_same(
    store: Path, small_disk: Path
) -> None:
    mounted(small_disk, "size=64m")
    copy = Path(shutil.copytree(store, small_disk / "store"))
    mounted(small_disk, "ro")
    assert scores(copy).equals(scores(store))
    assert verify(StoreFiles(copy)).faults == []
    assert Run(small(), copy).go().ran == []


# -- damage that a person meets first ------------------------------------------------------------


@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("table", ["scores", "examples", "trials"])
def test_a_damaged_table_is_named_with_its_remedy_which_works(
    store: Path, table: str, damage: Callable[[Path], None]
) -> None:
    before, files = scores(store), StoreFiles(store)
    broken = Path(files.where(commit_of(store, SCORE).table(table) or ""))
    damage(broken)
    with pytest.raises(
        StoreError, match=rf"{broken}.*`sweeper store verify --repair --store {store}`"
    ):
        getattr(Store(store), table)()
    repair(files, verify(files))
    assert Run(small(), store).go().ran == [SCORE]
    assert len(getattr(Store(store), table)())
    assert scores(store).equals(before)


@pytest.mark.parametrize("damage", [cut, lambda path: path.write_text("")], ids=["half", "empty"])
def test_half_a_marker_is_named_with_its_remedy_which_works(
    store: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    before, files = scores(store), StoreFiles(store)
    marker = Path(files.where(f"commits/{commit_of(store, SCORE).name}"))
    damage(marker)
    told = rf"{marker.name}.*`sweeper store verify --repair"
    with pytest.raises(StoreError, match=told):
        Run(small(), store)
    left = scores(store)
    assert len(left) < len(before) and re.search(told, caplog.text), "who asks is told"
    repair(files, verify(files))
    assert Run(small(), store).go().ran == [SCORE]
    assert scores(store).equals(before)


# -- clocks that are an hour apart ---------------------------------------------------------------


@pytest.mark.parametrize(("worker", "disk"), [(3600, 0), (-3600, 0), (0, 3600), (-3600, 3600)])
def test_clocks_an_hour_apart_change_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: int, disk: int
) -> None:
    """Those of the driver, of the host of the workers, and of the disk that dates the files."""
    here, ahead = time.time, [0]
    monkeypatch.setattr(time, "time", lambda: here() + ahead[0])
    store = tmp_path / "skewed"
    stopped: list[str] = []

    def elsewhere(spec: JobSpec, files: StoreFiles) -> Iterator[Any]:
        ahead[0] = worker
        attempt = work(spec, files)
        for item in attempt:
            if spec.kind == "tune" and isinstance(item, Progress) and spec.key not in stopped:
                stopped.append(spec.key)  # a resume point, which the next attempt finds
                attempt.close()
            yield item
        for path in store.rglob("*"):
            os.utime(path, (here() + disk, here() + disk))
        ahead[0] = 0

    run = Run(small(), store).go(doing=elsewhere)
    assert not run.progress.left and not run.progress.failures
    assert set(stopped) == {key for key in run.ran if key.startswith("tune/")}
    assert scores(store).equals(scores(finished))
    assert verify(StoreFiles(store)).faults == []
    assert Run(small(), store).go().ran == []
    opened = Store(store)
    assert len(opened.trials()) == len(opened.view().plan.jobs) + len(stopped)
    found = where(opened.trials().to_dict("records"))
    assert math.isfinite(found.wall) and all(map(math.isfinite, found.seconds.values()))
    for key in stopped:  # the newest log, by whatever clock
        name = opened.view().newest_log(key)
        assert name and commit_of(store, key).attempt in name
