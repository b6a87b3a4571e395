"""The thread that shows that a driver lives."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import small_study

from sweeper.engine import sweep
from sweeper.engine.heartbeat import beating
from sweeper.errors import EngineError, StoreError
from sweeper.progress import Progress
from sweeper.scope import Scope
from sweeper.store.drivers import Driver, Drivers
from sweeper.store.files import StoreFiles


class Counted(Driver):
    """A driver that can be waited for until it has shown so many signs of life."""

    def __init__(self, files: StoreFiles, fails: bool = False) -> None:
        super().__init__(files, "s")
        self.fails = fails
        self.beats = 0
        self.enough = threading.Event()

    def beat(self) -> None:
        self.beats += 1
        if self.beats == 3:
            self.enough.set()
        if self.fails:
            raise StoreError("the network is down")
        super().beat()


def _said(driver: Driver) -> dict[str, Any]:
    return driver.files.read(f"drivers/{driver.id}.json")


def test_it_beats_from_the_start_to_the_end(files: StoreFiles) -> None:
    driver = Counted(files)
    with beating(driver, lambda why: None, every=0.001):
        assert not _said(driver)["ended"], "seen before the first lease"
        driver.running["a job"] = {"phase": "train"}
        assert driver.enough.wait(60)
        assert _said(driver)["running"] == {"a job": {"phase": "train"}}
        assert _said(driver)["beat"] >= 2
    assert _said(driver)["ended"] and _said(driver)["running"] == {}
    threads = [thread.name for thread in threading.enumerate()]
    assert "heartbeat" not in threads


def test_it_ends_when_the_sweep_breaks(files: StoreFiles) -> None:
    driver = Driver(files, "s")
    with pytest.raises(KeyboardInterrupt), beating(driver, lambda why: None):
        raise KeyboardInterrupt
    assert _said(driver)["ended"]


def test_a_heartbeat_that_cannot_be_written_is_logged_and_no_end(
    files: StoreFiles, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Counted(files, fails=True)
    with caplog.at_level(logging.WARNING), beating(driver, lambda why: None, every=0.001):
        assert driver.enough.wait(60)
    assert "no heartbeat: the network is down" in caplog.text
    assert _said(driver)["ended"], "the network is back"


def test_a_disk_that_fails_for_a_while_ends_no_heartbeat(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else others would take this driver for dead, for good."""
    driver, failed = Counted(files), threading.Event()
    replace = Path.replace

    def stale(self: Path, target: Path) -> Path:
        if failed.is_set():
            return replace(self, target)
        failed.set()
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "replace", stale)
    with beating(driver, lambda why: None, every=0.001):
        assert driver.enough.wait(60)
    assert failed.is_set() and _said(driver)["ended"]


def test_a_stop_marker_is_heard(files: StoreFiles) -> None:
    driver, heard, asked = Driver(files, "s"), list[str](), threading.Event()

    def stop(why: str) -> None:
        heard.append(why)
        asked.set()

    with beating(driver, stop, every=0.001):
        assert heard == []
        files.create(driver.stop_marker, {"why": "enough"})
        assert asked.wait(60)
    assert set(heard) == {"enough"}


def test_a_run_shows_the_part_that_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(progress: Progress, driver: Driver, *_: Any, **__: Any) -> tuple[str, int]:
        driver.beat()
        return "", 0

    monkeypatch.setattr(sweep, "execute", execute)
    for scope, part in ((Scope(columns=["tagging"]), {"columns": ["tagging"]}), (None, {})):
        files = StoreFiles(tmp_path / f"store{len(part)}", create=True)
        sweep.run(small_study(), files.address, scope=scope)
        (name,) = files.names("drivers")
        assert files.read(f"drivers/{name}")["part"] == part


def test_a_sweep_is_seen_and_heard_while_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = StoreFiles(tmp_path / "store", create=True)

    @contextlib.contextmanager
    def connected(address: str | None) -> Iterator[None]:
        (seen,) = Drivers(files).living()
        assert seen.heartbeat["study"] == small_study().name
        raise EngineError("there is no Ray")
        yield

    monkeypatch.setattr(sweep, "connected", connected)
    with pytest.raises(EngineError, match="there is no Ray"):
        sweep.run(small_study(), files.address)
    (seen,) = Drivers(files).all()
    assert seen.ended
