"""Real drivers: two at once, one of them killed; watched, stopped from outside, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper import Store
from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles
from tests.end_to_end.conftest import TINY, sweeper

Process = subprocess.Popen[bytes]

pytestmark = pytest.mark.usefixtures("one_core")


def start(log: Path, *words: str | Path) -> Process:
    """The command line, in the background, in a process group of its own."""
    command = [sys.executable, "-m", "sweeper", *map(str, words)]
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def until(there: Callable[[], object], *running: Process) -> None:
    """Poll for something that running processes bring about."""
    while not there():
        assert all(process.poll() is None for process in running), "it ended before"
        time.sleep(0.02)


def read_all(files: StoreFiles, folder: str) -> list[dict[str, Any]]:
    """The files of a folder, less those that go away meanwhile."""
    found = []
    for name in files.names(folder):
        try:
            found.append(files.read(f"{folder}/{name}"))
        except StoreError:
            assert not files.exists(f"{folder}/{name}")
    return found


def held(files: StoreFiles, process: Process) -> list[dict[str, Any]]:
    """The leases of a driver; empty before it has a heartbeat."""
    mine = {beat["driver"] for beat in read_all(files, "drivers") if beat["pid"] == process.pid}
    return [lease for lease in read_all(files, "leases") if lease["driver"] in mine]


def scores(store: Path) -> dict[tuple[str, ...], float]:
    """The scores of seed 0."""
    found = Store(store).scores(seed=0)
    names = ["intermediate", "target", "split", "language"]
    return dict(zip(found[names].itertuples(index=False, name=None), found["value"], strict=True))


def test_two_drivers_share_a_sweep_and_one_survives_the_other(
    tiny_store: Path, tmp_path: Path
) -> None:
    study = tmp_path / "tiny.yaml"
    study.write_text(TINY.read_text().replace("seeds: [0, 1]", "seeds: [0]"))
    store = tmp_path / "store"
    # Begun at one time, since the sweep is as short as the start of a driver.
    one, two = (start(tmp_path / name, "run", study, "--store", store) for name in ("1", "2"))
    until((store / "store.json").exists, one, two)
    files = StoreFiles(store)
    until(lambda: len(files.names("drivers")) == 2, one, two)
    before = len(files.names("commits"))
    # Whichever is at work is killed: one may be so late that the other does nearly all.
    until(lambda: len(files.names("commits")) >= before + 2
          and (held(files, one) or held(files, two)), one, two)  # fmt: skip
    killed, other = (one, two) if held(files, one) else (two, one)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    lost = held(files, killed)
    assert other.wait() == 0, "".join((tmp_path / name).read_text() for name in ("1", "2"))

    commits = files.names("commits")
    assert set(commits) <= set(StoreFiles(tiny_store).names("commits"))
    assert len(commits) == len({name.split(".")[0] for name in commits})
    assert not Store(store).progress()[1].left
    assert scores(store) == scores(tiny_store)
    # Losers' attempts are deleted: one each.
    begun = len(list(store.glob("attempts/*/*/job.json"))) + len(files.names("dropped"))
    assert len(commits) <= begun <= len(commits) + len(lost)
    assert files.names("leases") == []


def test_a_sweep_is_watched_and_stopped_from_outside(tmp_path: Path) -> None:
    study, store = tmp_path / "long.yaml", tmp_path / "store"
    study.write_text(TINY.read_text().replace("steps: 30", "steps: 100000"))
    driver = start(tmp_path / "run.log", "run", study, "--store", store)
    until((store / "store.json").exists, driver)
    files = StoreFiles(store)
    until(lambda: any(beat["running"].get("train/base", {}).get("step")
                      for beat in read_all(files, "drivers")), driver)  # fmt: skip
    seen = tmp_path / "watch.log"
    watching = start(seen, "status", "--watch", "tiny", "--store", store)
    until(lambda: b"train/base" in seen.read_bytes(), driver, watching)

    asked = sweeper("stop", "tiny", "--store", store)
    assert asked.returncode == 0, asked.stderr
    assert "Ended: driver" in asked.stdout and "stopped by `sweeper stop`" in asked.stdout
    assert driver.wait() == 0  # whoever starts it again if it fails is not to
    said = (tmp_path / "run.log").read_text()
    assert "stopped by `sweeper stop` on" in said and "The same command goes on from here" in said
    assert list((store / "resume").rglob("*.safetensors"))
    assert watching.wait() == 0
    assert "has ended: stopped by `sweeper stop`" in " ".join(seen.read_text().split())
    assert "Nothing runs of tiny" in sweeper("stop", "tiny", "--store", store).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="Ctrl-C reaches a process group on Linux")
def test_ctrl_c_saves_what_runs_and_the_next_run_goes_on_from_there(tmp_path: Path) -> None:
    """Of the study only its longest training and what needs nothing else."""
    study, store = tmp_path / "study.yaml", tmp_path / "store"
    text = TINY.read_text().replace("steps: 30", "steps: 3000").replace("  topic:\n", "", 1)
    study.write_text(text[: text.index("spaces:")].replace("seeds: [0, 1]", "seeds: [0]"))
    log = tmp_path / "run.log"
    driver = start(log, "run", study, "--store", store)
    logs = store / "logs" / "train" / "base"
    # The training has begun: its log is opened first. A worker trains a second between two looks.
    until(logs.exists, driver)
    os.killpg(driver.pid, signal.SIGINT)
    assert driver.wait() == 130, log.read_text()
    assert "saving what runs" in log.read_text()
    assert list((store / "resume").rglob("*.safetensors"))

    again = sweeper("run", study, "--store", store)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "resumes at step" in "".join(path.read_text() for path in sorted(logs.iterdir()))
    assert not list((store / "resume").rglob("*.safetensors"))
