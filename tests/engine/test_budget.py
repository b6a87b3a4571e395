"""What a run may spend: said by a person, counted, and kept to."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from helpers import Clock, Cluster, files_at, progress_of, small_study

from sweeper.engine.budget import Budget, Meter, moment
from sweeper.errors import EngineError

NOW = datetime(2027, 3, 1, 18, 30, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("said", "then"),
    [
        ("90m", NOW + timedelta(minutes=90)),
        ("1h30m", NOW + timedelta(minutes=90)),
        ("1.5h", NOW + timedelta(minutes=90)),
        ("2d", NOW + timedelta(days=2)),
        ("45s", NOW + timedelta(seconds=45)),
        ("18:31", NOW + timedelta(minutes=1)),
        ("18:30", NOW + timedelta(days=1)),
        ("6:00", datetime(2027, 3, 2, 6, 0, tzinfo=NOW.tzinfo)),
        ("2027-03-05T06:00", datetime(2027, 3, 5, 6, 0, tzinfo=NOW.tzinfo)),
        ("2027-03-01T17:00+00:00", NOW + timedelta(minutes=30)),
    ],
)
def test_a_moment(said: str, then: datetime) -> None:
    assert moment(said, NOW) == then.timestamp()


def test_a_moment_of_this_host_knows_its_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        winter, summer = moment("2099-01-15T12:00"), moment("2099-07-15T12:00")
        assert datetime.fromtimestamp(winter, UTC).hour == 11
        assert datetime.fromtimestamp(summer, UTC).hour == 10
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "said", ["", "soon", "24:00", "-1h", "1", "2027-03-05", "h", f"{10**99}d"]
)
def test_no_moment(said: str) -> None:
    with pytest.raises(EngineError, match=r"takes a duration \(90m, 1h30m, 2d\)"):
        moment(said, NOW)


@pytest.mark.parametrize("said", ["0s", "0h", "2027-03-01T18:30", "2026-01-01T00:00"])
def test_a_moment_that_is_over(said: str) -> None:
    with pytest.raises(EngineError, match="must be a moment to come"):
        moment(said, NOW)


@pytest.mark.parametrize("hours", [0.0, -1.0, math.nan, math.inf])
def test_no_hours(hours: float) -> None:
    with pytest.raises(EngineError, match=r"--max-gpu-hours must be a number above 0.*it is"):
        Budget(gpu_hours=hours)


@pytest.mark.parametrize("gpus", [0, -2])
def test_no_gpus(gpus: int) -> None:
    with pytest.raises(EngineError, match="--max-gpus must be a number above 0"):
        Budget(gpus=gpus)
    with pytest.raises(EngineError, match="--jobs-per-gpu must be a number above 0"):
        Budget(jobs_per_gpu=gpus)


def test_the_hours_of_all_jobs_are_counted_together_running_ones_too() -> None:
    clock = Clock(1000.0)
    meter = Meter(Budget(gpu_hours=3), clock=clock)
    meter.begin("a")
    meter.begin("b")
    clock.now += 3600
    assert meter.hours == 2 and not meter.used_up()
    meter.end("a")
    meter.end("never begun")
    clock.now += 1800
    assert meter.hours == 2.5 and not meter.used_up()
    clock.now += 1800
    assert meter.used_up() == "stopped by its budget of 3 GPU-hours"


def _cluster(tmp_path: Path, clock: Clock, budget: Budget) -> Cluster:
    progress = progress_of(small_study(), files_at(tmp_path / "store"), failures=False)
    return Cluster(progress, slots=4, meter=Meter(budget, "slot", clock))


@pytest.mark.parametrize(
    "budget", [Budget(gpu_hours=8.0), Budget(until=4 * 3600.0)], ids=["hours", "until"]
)
def test_a_used_up_budget_stops_all_workers_and_a_larger_one_goes_on(
    tmp_path: Path, budget: Budget
) -> None:
    """Four slots, jobs of an hour each, ending together."""
    clock = Clock()
    cluster = _cluster(tmp_path, clock, budget)
    while not cluster.dispatcher.stopping:
        cluster.fill()
        assert cluster.flying, "all was done before the budget was used up"
        clock.now += 3600
        for trial in sorted(cluster.flying):
            cluster.dispatcher.progressed(trial, {"phase": "train", "step": 1, "steps": 2})
            if cluster.dispatcher.stopping:  # as a worker that sees the stop marker
                cluster.end(trial, {"status": "stopped"}, commits=False)
            else:
                cluster.end(trial)
        cluster.release_holds()
    assert cluster.dispatcher.stopping.startswith("stopped by its budget")
    assert cluster.files.exists(cluster.dispatcher.driver.stop_marker)
    cluster.fill()
    assert not cluster.flying and cluster.dispatcher.finished
    did = len(cluster.committed)
    assert cluster.dispatcher.meter.hours >= (budget.gpu_hours or 0) and did

    again = Cluster(progress_of(small_study(), cluster.files, failures=False))
    again.run()
    assert not again.progress.left
    assert did + len(again.committed) == len(set(cluster.committed) | set(again.committed))


def test_without_a_budget_nothing_is_stopped(tmp_path: Path) -> None:
    clock = Clock()
    cluster = _cluster(tmp_path, clock, Budget())
    clock.now = 1e9
    cluster.run()
    assert not cluster.dispatcher.stopping and not cluster.progress.left
