from __future__ import annotations

import io
from pathlib import Path

import pytest
from analysis.world import World, study
from rich.console import Console

from sweeper.engine.dispatch import Event
from sweeper.report.live import Watcher, watch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "s", study(seeds=[0], targets={"tagging": None}))


def test_the_time_left_is_cost_times_measured_speed_over_slots(world: World) -> None:
    clock = Clock()
    watcher = Watcher(world.progress, clock)
    assert watcher.time_left() is None
    jobs, tune = world.plan.jobs, "tune/none>tagging/seed=0/trial=0"
    for key in (tune, "tune/none>tagging/seed=0/trial=1"):
        watcher.hear(Event("started", key))
        watcher.hear(Event("progress", key, "load"))
    assert watcher.slots == 2
    watcher.hear(Event("done", tune, seconds=jobs[tune].cost / 100))
    world.progress.done.add(tune)
    # All costs run at 100 per second: what is left is shared by two slots ...
    left = [jobs[key].cost for key in world.progress.left]
    costs = sum(left) / 100
    longest = max(world.progress.priority.values()) / 100
    assert watcher.time_left() == pytest.approx(max(costs / 2, longest))
    # ... and a kind that is measured itself has its own speed, half of which is done here.
    watcher.hear(Event("started", "train/base"))
    watcher.hear(Event("progress", "train/base", "train", 0, 100))
    clock.now = 5.0
    watcher.hear(Event("progress", "train/base", "train", 50, 100))
    assert watcher._rates()["train"] == pytest.approx(10.0 / jobs["train/base"].cost)
    watcher.hear(Event("progress", "train/base", "evaluate", 1, 10))
    assert watcher.running["train/base"].share == 0.5


def test_the_time_left_is_at_least_the_longest_chain(world: World) -> None:
    watcher = Watcher(world.progress, Clock())
    watcher.slots = 1000
    watcher.hear(Event("done", "train/base", seconds=world.plan.jobs["train/base"].cost))
    assert watcher.time_left() == pytest.approx(max(world.progress.priority.values()), rel=0.01)


def test_nothing_left_is_no_time_left(world: World) -> None:
    watcher = Watcher(world.progress, Clock())
    world.run()
    assert watcher.time_left() == 0.0
    assert watcher.done == watcher.total == len(world.progress.wanted)


def test_without_a_terminal_there_is_a_line_per_finished_job(world: World) -> None:
    stream = io.StringIO()
    with watch(world.progress, stream) as listener:
        listener(Event("started", "train/base"))
        listener(Event("progress", "train/base", "train", 1, 10))
        world.progress.done.add("train/base")
        listener(Event("done", "train/base", seconds=3.25))
        listener(Event("retry", "prepare/tokenizer", "attempt 1 ended: the disk"))
        listener(Event("failed", "prepare/tokenizer", "no [text]"))
    total = len(world.progress.wanted)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"[1/{total}, about ")
    assert lines[0].endswith(" left] done train/base (3.2 s)")
    assert lines[1].endswith("retry prepare/tokenizer: attempt 1 ended: the disk")
    assert lines[2].endswith("failed prepare/tokenizer: no [text]")


def test_the_live_display_has_a_bar_and_the_running_jobs(world: World) -> None:
    watcher = Watcher(world.progress, Clock())
    out = Console(file=io.StringIO(), width=80, highlight=False)
    out.print(watcher.render())
    keys = [key for key in world.plan.jobs if key.startswith(("prepare", "tune"))][-10:]
    for number, key in enumerate(keys):
        watcher.hear(Event("progress", key, "train", number, 20))
    out.print(watcher.render())
    assert isinstance(out.file, io.StringIO)
    said = out.file.getvalue()
    assert "workers are starting" in said
    assert f"0/{len(world.progress.wanted)} jobs, time left not known yet" in said
    assert f"{keys[3]}  " in said and "train 3/20" in said
    assert keys[9] not in said and "and 2 more" in said


def test_jobs_of_other_drivers_are_counted(world: World) -> None:
    watcher = Watcher(world.progress, Clock())
    world.progress.claims.elsewhere["prepare/tokenizer"] = "a"
    out = Console(file=io.StringIO(), width=80, highlight=False)
    out.print(watcher.render())
    assert isinstance(out.file, io.StringIO)
    said = out.file.getvalue()
    assert "at work with other drivers: 1" in said and "workers are starting" not in said
    event = Event("elsewhere", "prepare/tokenizer", "another driver")
    assert watcher.line(event).endswith("] elsewhere prepare/tokenizer: another driver")


def test_a_terminal_gets_the_live_display(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with watch(world.progress, stream) as listener:
        listener(Event("progress", "train/base", "train", 3, 10))
        listener(Event("failed", "prepare/tokenizer", "no text"))
    assert "train/base" in stream.getvalue()
    assert "failed prepare/tokenizer: no text" in stream.getvalue()
