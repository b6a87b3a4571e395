"""A sweep seen from its store alone: who is at work, on what, for how long; asked to stop."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analysis.world import World, study
from helpers import Clock
from rich.console import Console

from sweeper.analysis.view import View
from sweeper.errors import StoreError
from sweeper.report.overview import print_status
from sweeper.report.stopping import stop
from sweeper.report.timeleft import measured, time_left
from sweeper.report.watching import Watched, watch
from sweeper.store.drivers import Driver, Drivers

TRIAL = "tune/none>tagging/seed=0/trial=0"
SCORE = "score/none>tagging/seed=0"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "s", study(seeds=[0], targets={"tagging": None}))


def _far(world: World, name: str = "feedbead" * 4, **said: Any) -> None:
    """The heartbeat of a driver on another host, whose clock is an hour ahead."""
    told = {"driver": name, "study": "tiny", "host": "far", "machine": "another", "pid": 4711,
            "pid_started": "7", "beat": 1, "started": 4600.0, "now": 4600.0 + 600.0, "slots": 2,
            "running": {}, "why": "", "ended": False}  # fmt: skip
    world.files.replace(f"drivers/{name}.json", told | said)


def _running(phase: str, step: int, since: float = 5000.0) -> dict[str, Any]:
    return {"attempt": "a", "host": "node7", "phase": phase, "step": step, "steps": 40,
            "since": since}  # fmt: skip


def _shown(watched: Watched) -> str:
    out = Console(file=io.StringIO(), width=100, highlight=False)
    watched.show(out)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def _watched(world: World, clock: Clock) -> Watched:
    return Watched(world.files, drivers=Drivers(world.files, patience=30.0, clock=clock))


# -- watching -----------------------------------------------------------------------------------


def test_who_is_at_work_on_what_is_shown(world: World, clock: Clock) -> None:
    world.run(leave=lambda key: key in (TRIAL, SCORE))
    _far(world, running={TRIAL: _running("train", 10), SCORE: _running("", 0)})
    watched = _watched(world, clock)
    said = _shown(watched)
    assert "Driver feedbead on far (process 4711), up 10 min: no beat seen yet in 1 s." in said
    (line,) = [line for line in said.splitlines() if TRIAL in line]
    # Running since 200 s by the clock of its own driver.
    assert line.split() == [TRIAL, "train", "10/40", "node7", "3", "min"]
    assert f"  {SCORE}" not in said, "it waits for a worker"
    assert "16/18 jobs, about" in said
    assert "running" in said.split("intermediate")[1], "the cell that lacks"
    assert "45.0" in said.split("intermediate")[1], "those that are there"

    clock.now = 10.0
    _far(world, beat=2, running={TRIAL: _running("train", 20)})
    watched.look()
    clock.now = 14.0
    said = _shown(watched)
    assert "last seen 4 s ago" in said and "train 20/40" in said


def test_the_time_left_comes_from_the_store(world: World, clock: Clock) -> None:
    world.run(leave=lambda key: key in (TRIAL, SCORE))
    _far(world, running={TRIAL: _running("train", 10)}, slots=1)
    watched = _watched(world, clock)
    rates = measured(watched.view)
    jobs = world.plan.jobs
    done = [job.cost for job in jobs.values() if job.kind == "tune" and job.key != TRIAL]
    # Every job of this store took a second.
    assert rates["tune"] == pytest.approx(len(done) / sum(done))
    left = time_left(watched.view.progress, rates, {TRIAL: 0.25}, 1)
    expected = 0.75 * jobs[TRIAL].cost * rates["tune"] + jobs[SCORE].cost * rates["score"]
    assert left == pytest.approx(expected)


def test_a_driver_that_is_silent_seems_dead_and_ends_the_watching(
    world: World, clock: Clock
) -> None:
    world.run(leave=lambda key: key in (TRIAL, SCORE))
    _far(world, running={TRIAL: _running("train", 10)})
    out = Console(file=io.StringIO(), width=100, highlight=False)
    waited = []

    def wait(seconds: float) -> None:
        clock.now += 3.0
        waited.append(seconds)
        if len(waited) == 2:
            _far(world, beat=2, running={TRIAL: _running("train", 20)})

    watch(_watched(world, clock), out, wait)
    assert clock.now == 36.0, "patience after the last beat"
    assert isinstance(out.file, io.StringIO)
    first, last = out.file.getvalue().split("job ")[1:]
    assert TRIAL in first and TRIAL not in last
    assert "seems dead: its last beat has not changed for 30 s." in last
    assert "nobody at work on it" in last
    assert "Left: 2 jobs; `sweeper run` goes on with them." in last


def test_what_changes_is_printed_until_it_is_complete(world: World, clock: Clock) -> None:
    world.run(leave=lambda key: key in (TRIAL, SCORE))
    _far(world)
    out = Console(file=io.StringIO(), width=100, highlight=False)
    steps: list[Callable[[], object]] = [
        lambda: _far(world, beat=2, running={TRIAL: _running("train", 10)}),
        lambda: _far(world, beat=3, running={TRIAL: _running("train", 30)}),
        lambda: [world.progress.give_back(TRIAL), world.run()],
        lambda: _far(world, beat=4, ended=True),
    ]

    def wait(_: float) -> None:
        clock.now += 3.0
        steps.pop(0)()

    watch(_watched(world, clock), out, wait)
    assert steps == []
    assert isinstance(out.file, io.StringIO)
    shown = out.file.getvalue().split("job ")[1:]
    assert len(shown) == 4, "another step of a job is no news"
    assert TRIAL in shown[1] and TRIAL not in shown[2]
    assert "18/18 jobs, complete" in shown[2]
    assert "Driver feedbead on far (process 4711) has ended." in shown[3]


def test_failed_and_blocked_jobs_are_shown_with_the_reason(world: World, clock: Clock) -> None:
    world.run(fail=["train/supersense/seed=0"])
    _far(world, ended=True, why="stopped by SIGTERM")
    said = _shown(_watched(world, clock))
    assert "failed: train/supersense/seed=0" in said and "a row has no label" in said
    assert "3 jobs blocked by it" in said
    assert "jobs, nothing is left, 1 failed" in said
    assert "has ended: stopped by SIGTERM." in said


def test_the_last_driver_is_shown_and_those_of_other_studies_are_counted(
    world: World, clock: Clock
) -> None:
    _far(world, "a" * 32, started=1.0, ended=True)
    _far(world, "b" * 32, started=2.0, ended=True)
    _far(world, "c" * 32, study="another")
    said = _shown(_watched(world, clock))
    assert "Driver bbbbbbbb" in said and "aaaaaaaa" not in said and "cccccccc" not in said
    assert "Drivers of other studies at work on this store: 1." in said


def test_a_process_that_is_gone_is_dead(world: World, clock: Clock) -> None:
    driver = Driver(world.files, "tiny")
    driver.beat()
    assert "up 1 s" in _shown(_watched(world, clock))
    own = world.files.read(f"drivers/{driver.id}.json")
    world.files.replace(f"drivers/{driver.id}.json", own | {"pid_started": "1"})
    assert "is dead: there is no such process on this host" in _shown(_watched(world, clock))


# -- plain status, which looks once ---------------------------------------------------------------


def _status(world: World, clock: Clock) -> str:
    out = Console(file=io.StringIO(), width=300, highlight=False)
    drivers = Drivers(world.files, patience=30.0, clock=clock)
    print_status(out, View(world.files), drivers)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_status_says_whether_somebody_is_at_work(world: World, clock: Clock) -> None:
    world.run(leave=lambda key: key in (TRIAL, SCORE))
    nobody = "2 jobs are left, and nobody is at work on them; `sweeper run` goes on with them."
    assert nobody in _status(world, clock)
    _far(world, ended=True, why="stopped by SIGTERM")
    said = _status(world, clock)
    assert nobody in said and "process 4711) has ended: stopped by SIGTERM." in said
    # One that lives on this host, and the same once its process is gone.
    driver = Driver(world.files, "tiny")
    driver.beat()
    said = _status(world, clock)
    assert "2 jobs are left.\n" in said and "up 1 s: at work." in said and "4711" not in said
    own = world.files.read(f"drivers/{driver.id}.json")
    world.files.replace(f"drivers/{driver.id}.json", own | {"pid_started": "1"})
    said = _status(world, clock)
    assert nobody in said and "is dead: there is no such process on this host" in said


@pytest.mark.parametrize(("age", "said"), [
    (-3600.0, "up 10 min: at work, by its last beat."),
    (7200.0, "old, if its host's clock agrees with this one's"),
])  # fmt: skip
def test_of_a_driver_elsewhere_status_tells_what_can_be_told(
    world: World, clock: Clock, age: float, said: str
) -> None:
    now = time.time() - age
    _far(world, now=now, started=now - 600)
    assert said in _status(world, clock)


def test_what_part_was_asked_for_is_said(world: World, clock: Clock) -> None:
    """By status and by who watches, while it runs and afterwards."""
    world.run(leave=lambda key: key in (TRIAL, SCORE, "score/more>tagging/seed=0"))
    part = {"only": ["score/more*"]}
    told = "It was asked for a part alone: --only score/more* (1 of the 3 jobs left)."
    _far(world, part=part)
    watched = _watched(world, clock)
    assert told in _status(world, clock) and told in _shown(watched)
    assert "of the part asked for" in _shown(watched)
    assert len(watched.wanted.left) == 1
    _far(world, part=part, ended=True)
    assert told in _status(world, clock) and "part asked for" not in _shown(_watched(world, clock))
    _far(world, part={"rows": ["gone"]}, ended=True)
    assert "a part alone: --rows gone.\n" in _status(world, clock), "the study has changed"
    _far(world)
    assert "a part alone" not in _status(world, clock)


def test_a_terminal_is_kept_up_to_date(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    _far(world, running={"prepare/tokenizer": _running("train", 10)})
    out = Console(file=Terminal(), width=100, highlight=False)

    def wait(_: float) -> None:
        clock.now += 3.0
        _far(world, beat=2, ended=True)

    watch(_watched(world, clock), out, wait)
    assert isinstance(out.file, io.StringIO)
    said = out.file.getvalue()
    assert "train 10/40" in said and "has ended" in said


# -- stopping -----------------------------------------------------------------------------------


def _stop(world: World, clock: Clock, name: str | None, *steps: Callable[[], object]) -> list[str]:
    """What is told; a step happens whenever it waits."""
    told: list[str] = []
    todo = list(steps)

    def wait(_: float) -> None:
        clock.now += 10.0
        if todo:
            todo.pop(0)()

    stop(Drivers(world.files, patience=30.0, clock=clock), name, told.append, wait)
    assert not todo
    return told


def test_living_drivers_are_asked_and_awaited(world: World, clock: Clock) -> None:
    _far(world, "a" * 32, running={TRIAL: _running("train", 1), SCORE: _running("", 0)})
    _far(world, "b" * 32, ended=True)
    _far(world, "c" * 32, study="another")
    told = _stop(
        world, clock, "tiny",
        lambda: _far(world, "a" * 32, beat=2, why="stopped by x"),
        lambda: _far(world, "a" * 32, beat=3, why="stopped by x", ended=True),
    )  # fmt: skip
    assert told == [
        "Asked driver aaaaaaaa of tiny on far (process 4711) to save and stop. "
        "By its last beat it ran 1 job, and 1 that waited for a worker.",
        "Ended: driver aaaaaaaa of tiny on far (process 4711) (stopped by x).",
    ]
    assert world.files.names("stops") == ["a" * 32 + ".json"]
    assert "sweeper stop" in world.files.read(f"stops/{'a' * 32}.json")["why"]


def test_a_dead_driver_is_not_awaited_for_ever(world: World, clock: Clock) -> None:
    _far(world)
    told = _stop(world, clock, None)
    assert told[1].startswith("Seems dead: driver feedbead of tiny on far")
    assert "has not changed for 30 s" in told[1]


def test_nothing_to_stop_is_said(world: World, clock: Clock) -> None:
    _far(world, study="another")
    assert _stop(world, clock, "tiny") == [
        "Nothing runs of tiny: no driver of this store is alive."
    ]
    with pytest.raises(StoreError, match="no study 'tinny'. Did you mean 'tiny'"):
        _stop(world, clock, "tinny")
