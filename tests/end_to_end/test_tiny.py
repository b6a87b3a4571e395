"""A sweep from study to matrix, again, killed, and interrupted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.chaos import Drivers, until
from benchmarks.compare import commits, faults
from sweeper import Store
from tests.end_to_end.conftest import TINY, sweeper


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
    first = sweeper("matrix", tiny_store)
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


@pytest.mark.skipif(sys.platform != "linux", reason="Ctrl-C reaches a process group on Linux")
def test_ctrl_c_saves_what_runs_and_the_next_run_goes_on_from_there(tmp_path: Path) -> None:
    text = TINY.read_text()
    study = tmp_path / "long.yaml"
    study.write_text(text.replace("steps: 30", "steps: 1500"))
    store = tmp_path / "store"
    command = [sys.executable, "-m", "sweeper", "run", str(study), "--store", str(store)]
    driver = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    logs = store / "logs" / "train" / "base"
    while not logs.exists():  # the training has begun: its log is opened first
        assert driver.poll() is None, driver.communicate()[0]
        time.sleep(0.05)
    time.sleep(1.5)  # far enough into the training to have something to save
    os.killpg(driver.pid, signal.SIGINT)
    printed = driver.communicate(timeout=60)[0]
    assert driver.returncode == 130, printed
    assert "saving what runs" in printed
    assert list((store / "resume").rglob("*.safetensors"))

    again = sweeper("run", study, "--store", store)
    assert again.returncode == 0, again.stdout + again.stderr
    log = "".join(path.read_text() for path in sorted(logs.iterdir()))
    assert "resumes at step" in log
    assert not list((store / "resume").rglob("*.safetensors"))
