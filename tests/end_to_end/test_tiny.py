"""A sweep from study to matrix, again, and killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.chaos import Drivers, until
from benchmarks.compare import commits, faults
from sweeper import Store
from tests.end_to_end.conftest import TINY, sweeper

pytestmark = pytest.mark.usefixtures("one_core")


def test_every_job_is_committed_once_and_the_matrix_is_full(tiny_store: Path) -> None:
    store = Store(tiny_store)
    trials = store.trials()
    assert set(trials["status"]) == {"done"}
    assert trials["address"].is_unique
    matrix = store.matrix(value="score")
    assert list(matrix.index) == ["none", "surface", "mixture"]
    assert list(matrix.columns) == ["topic", "demo_retrieval"]
    assert matrix.notna().all().all()


def test_a_second_run_trains_nothing_and_prints_the_same_matrix(tiny_store: Path) -> None:
    before = commits(tiny_store)
    first = sweeper("matrix", "--store", tiny_store)
    again = sweeper("run", TINY, "--store", tiny_store)
    assert again.returncode == 0, again.stderr
    assert commits(tiny_store) == before
    table = first.stdout.split("\n\n")[1]
    assert "none" in table and any(sign.isdigit() for sign in table)
    assert table in again.stdout


def test_a_driver_killed_at_any_commit_loses_and_repeats_nothing(
    tiny_store: Path, tmp_path: Path
) -> None:
    store = tmp_path / "killed"
    total = commits(tiny_store)
    drivers = Drivers([str(TINY), "--store", str(store)], tmp_path / "drivers.log", 1)
    for point in (1, total // 2, total - 1):
        assert until(store, point, drivers), "the driver ended before it was killed"
        drivers.kill(random.Random(0))
    drivers.wait()
    assert faults(tiny_store, store) == []
    assert Store(store).matrix().equals(Store(tiny_store).matrix())
