"""Who holds what, and who lives: heartbeats and leases, seen by other drivers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from helpers import Clock, leases_of, put

from sweeper.errors import StoreError, UnreachableError
from sweeper.store import drivers
from sweeper.store.drivers import Driver, Drivers
from sweeper.store.files import StoreFiles
from sweeper.store.leases import Leases

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _beat(files: StoreFiles, name: str, beat: int, **said: Any) -> None:
    """A heartbeat as a driver of another host shows it."""
    told = {"driver": name, "study": "s", "host": "far", "machine": "another", "pid": 1,
            "pid_started": "7", "beat": beat, "started": 0.0, "now": 0.0, "slots": 1,
            "running": {}, "why": "", "ended": False}  # fmt: skip
    files.replace(f"drivers/{name}.json", told | said)


# -- heartbeats ---------------------------------------------------------------------------------


def test_a_driver_lives_as_long_as_its_counter_changes(files: StoreFiles, clock: Clock) -> None:
    seen = Drivers(files, patience=30.0, clock=clock)
    _beat(files, "far", 1)
    assert seen.alive("far") and not seen.look("far").moved
    clock.now = 29.0
    assert seen.alive("far"), "never seen to change: it may be slow"
    _beat(files, "far", 2)
    clock.now = 30.5
    assert seen.alive("far") and seen.look("far").moved
    clock.now = 60.0
    assert seen.alive("far")
    clock.now = 61.0
    assert not seen.alive("far")
    # It was cut off, and is back.
    _beat(files, "far", 3)
    clock.now = 80.0
    assert seen.alive("far")


def test_clocks_an_hour_apart_do_not_matter(files: StoreFiles, clock: Clock) -> None:
    seen = Drivers(files, patience=30.0, clock=clock)
    for beat, shift in enumerate((-HOUR, HOUR, -HOUR)):
        _beat(files, "far", beat + 1, started=shift, now=shift + beat)
        clock.now += 20.0
        assert seen.alive("far")
    clock.now += 40.0
    assert not seen.alive("far")


def test_an_ended_driver_is_dead_at_once(files: StoreFiles, clock: Clock) -> None:
    driver, seen = Driver(files, "s"), Drivers(files, clock=clock)
    driver.beat()
    assert [found.driver for found in seen.living()] == [driver.id]
    driver.why = "enough"
    driver.end()
    clock.now += 2.0
    assert seen.living() == []
    assert seen.look(driver.id).ended and seen.look(driver.id).heartbeat["why"] == "enough"


def _process() -> subprocess.Popen[str]:
    """Another process of this host, that says when it is there and ends when it is told to."""
    made = subprocess.Popen(
        [sys.executable, "-c", "print('here', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert made.stdout and made.stdout.readline() == "here\n"
    return made


def test_a_process_of_this_host_that_is_gone_is_dead_at_once(
    files: StoreFiles, clock: Clock
) -> None:
    process = _process()
    here = {"machine": drivers.machine(), "pid": process.pid}
    here["pid_started"] = drivers.process_start(process.pid)
    _beat(files, "near", 1, **here)
    _beat(files, "far", 1, pid=process.pid)
    _beat(files, "before", 1, **(here | {"pid_started": "1"}))  # its number was given anew
    seen = Drivers(files, clock=clock)
    assert seen.alive("near") and seen.alive("far") and not seen.alive("before")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert drivers.process_start(process.pid) == "", "a zombie runs no sweep"
    process.communicate()
    assert not seen.alive("near")
    assert seen.alive("far"), "the same number on another machine is another process"


def test_a_heartbeat_that_cannot_be_read_is_one_that_stands_still(
    files: StoreFiles, clock: Clock
) -> None:
    seen = Drivers(files, patience=30.0, clock=clock)
    put(files, "drivers/odd.json", "{")
    assert seen.alive("odd") and seen.alive("missing")
    clock.now = 31.0
    assert not seen.alive("odd") and not seen.alive("missing")
    assert [found.driver for found in seen.all()] == ["odd"]


# -- leases -------------------------------------------------------------------------------------


def test_a_lease_is_one_drivers(files: StoreFiles, clock: Clock) -> None:
    one, two = leases_of(files, clock), leases_of(files, clock)
    assert one.acquire("a", job="train/x", attempt="1")
    lease = files.read("leases/a.0")
    assert lease == {"driver": one.driver.id, "job": "train/x", "attempt": "1", "reads": []}
    assert not two.acquire("a", job="train/x")
    assert two.acquire("b", job="train/y")
    assert two.free({"x": "a", "y": "b", "z": "c"}) == ["z"]
    one.release("a")
    assert two.free({"x": "a"}) == ["x"]
    assert two.acquire("a", job="train/x")
    assert sorted(files.names("leases")) == ["a.0", "b.0"]


def test_a_dead_owners_lease_is_taken_over_once(files: StoreFiles, clock: Clock) -> None:
    one, two, three = (leases_of(files, clock) for _ in range(3))
    assert one.acquire("a", job="j")
    assert not two.acquire("a", job="j") and not three.acquire("a", job="j")
    clock.now += 31.0
    for living in (two, three):
        living.driver.beat()
    assert two.free({"j": "a"}) == three.free({"j": "a"}) == ["j"]
    assert two.acquire("a", job="j") and not three.acquire("a", job="j")
    assert files.read("leases/a.1")["driver"] == two.driver.id
    # The first one was not dead; what it lets go of is its own.
    one.driver.beat()
    one.release("a")
    assert files.names("leases") == ["a.1"]
    assert not three.acquire("a", job="j") or files.names("leases") == ["a.0", "a.1"]


def test_nothing_is_left_of_a_lease_that_was_taken_over(files: StoreFiles, clock: Clock) -> None:
    one, two = leases_of(files, clock), leases_of(files, clock)
    assert one.acquire("a", job="j")
    one.driver.end()
    assert two.acquire("a", job="j")
    assert files.names("leases") == ["a.0", "a.1"]
    two.release("a")
    assert files.names("leases") == []


def test_what_a_killed_driver_left_is_removed_when_nobody_lives(
    files: StoreFiles, clock: Clock
) -> None:
    dead, one, two = (leases_of(files, clock) for _ in range(3))
    assert dead.acquire("a", job="j") and two.acquire("b", job="k")
    clock.now += 31.0
    assert one.others() == [False, False], "not seen to be dead yet"
    clock.now += 31.0
    two.driver.beat()
    one.tidy()
    assert files.names("leases") == ["a.0", "b.0"], "the second one may be taking it over now"
    two.release("b")
    two.driver.end()
    clock.now += 2.0
    one.tidy()
    assert files.names("leases") == []


def test_a_lease_that_came_back_with_another_owner_is_seen(
    files: StoreFiles, clock: Clock
) -> None:
    one, two, watching = (leases_of(files, clock) for _ in range(3))
    assert one.acquire("a", job="j")
    assert watching.free({"j": "a"}) == []
    one.release("a")
    assert two.acquire("a", job="j")
    two.driver.end()
    clock.now += 5.0
    one.driver.beat()
    assert watching.free({"j": "a"}) == ["j"]


def test_a_damaged_lease_is_nobodys(files: StoreFiles, clock: Clock) -> None:
    one = leases_of(files, clock)
    put(files, "leases/a.0", "")
    assert one.free({"j": "a"}) == ["j"]
    assert one.acquire("a", job="j")
    assert files.read("leases/a.1")["driver"] == one.driver.id


def test_who_reads_a_checkpoint_in_another_study_is_known(files: StoreFiles, clock: Clock) -> None:
    one = leases_of(files, clock, "one")
    same = leases_of(files, clock, "one")
    assert same.acquire("s", job="score/x", reads=["trial"])
    assert not one.reading("trial")
    same.release("s")
    other = leases_of(files, clock, "other")
    assert other.acquire("t", job="score/x", reads=["trial"])
    assert one.reading("trial") and not one.reading("another")
    assert not other.reading("another")
    other.driver.end()
    clock.now += 2.0
    assert not one.reading("trial")
    assert one.others() == [False]
    unlimited = Leases(Driver(files, "one", "unlimited"), Drivers(files, clock=clock))
    unlimited.driver.beat()
    assert sorted(one.others()) == [False, True]


def test_a_store_that_refuses_to_let_go_stops_nothing(
    files: StoreFiles, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: Leases = leases_of(files, clock)
    assert one.acquire("a", job="j")
    with monkeypatch.context() as patched:
        patched.setattr(StoreFiles, "delete", _refused)
        one.release("a")
    assert files.names("leases") == ["a.0"]
    assert one.acquire("a", job="j"), "it is its own"


def _refused(*_: object, **__: object) -> None:
    raise StoreError("The store must be writable.")


def test_a_lease_that_cannot_be_read_now_is_not_taken_over(
    files: StoreFiles, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = leases_of(files, clock), leases_of(files, clock)
    one.driver.beat()
    assert one.acquire("a", job="j")

    def away(self: StoreFiles, relative: str) -> dict[str, Any]:
        raise UnreachableError("the network is down")

    with monkeypatch.context() as patched:
        patched.setattr(StoreFiles, "read", away)
        with pytest.raises(UnreachableError):
            two.acquire("a", job="j")
    assert files.names("leases") == ["a.0"]
    put(files, "leases/a.0", "{")
    assert two.acquire("a", job="j"), "a damaged one is nobody's"
