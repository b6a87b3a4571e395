from __future__ import annotations

import math
from typing import Any

import pytest

from sweeper.analysis.where import percentile, where


def row(
    job: str,
    worker: str,
    released: float,
    started: float,
    committed: float,
    compute: float = 0.0,
    status: str = "done",
) -> dict[str, Any]:
    phases = {f"seconds_{p}": 0.0 for p in ("setup", "data", "evaluate", "score", "save")}
    return {
        "job": job,
        "worker": worker,
        "released": released,
        "started": started,
        "first_batch": started + 0.5,
        "committed": committed,
        "status": status,
        "seconds_compute": compute,
        **phases,
    }


# Two workers, cold for 5 s and 6 s. The first ends "a" at 15 and begins "c", ready since 0, at 16;
# "d" is released by the commit of "b" at 20 and begins at once on the second; the first is done
# with "c" at 18 and has nothing to do till the end, at 30.
ROWS = [
    row("a", "w1", 0.0, 5.0, 15.0, compute=9.0),
    row("b", "w2", 0.0, 6.0, 20.0, compute=14.0),
    row("c", "w1", 0.0, 16.0, 18.0, compute=2.0),
    row("d", "w2", 20.0, 20.0, 30.0, compute=10.0),
]


def test_slot_seconds_add_up_to_wall_times_slots() -> None:
    found = where(ROWS)
    assert (found.runs, found.slots, found.wall) == (1, 2, 30.0)
    assert found.total == pytest.approx(60.0)
    assert found.seconds["compute"] == 35.0
    assert found.seconds["other"] == pytest.approx(1.0)
    assert found.seconds["cold start"] == 11.0
    assert found.seconds["waiting"] == pytest.approx(60 - 35 - 1 - 11)  # 1 s gap, 12 s at the end


def test_gaps_are_of_jobs_that_had_been_released() -> None:
    found = where(ROWS)
    assert found.gaps == [16.5 - 15.0, 0.5]
    late = where([*ROWS[:3], row("d", "w2", 20.1, 20.2, 30.0)])
    assert late.gaps == [1.5]
    assert found.cold_starts == [5.0, 6.0]


def test_busy_counts_idle_workers_only_while_a_job_is_ready_for_them() -> None:
    found = where(ROWS)
    assert found.busy == pytest.approx(36 / 37)  # only "c" waited for an idle worker, for 1 s
    # Two idle workers and one ready job: one of them alone could have worked.
    both = [
        row("a", "w1", 0.0, 0.0, 10.0),
        row("b", "w2", 0.0, 0.0, 10.0),
        row("c", "w1", 10.0, 12.0, 20.0),
        row("d", "w2", 14.0, 14.0, 20.0),
    ]
    assert where(both).busy == pytest.approx(34 / 36)


def test_another_attempt_is_ready_once_the_one_before_it_ended() -> None:
    rows = [
        row("a", "w1", 0.0, 0.0, 10.0, status="failed"),
        row("b", "w2", 0.0, 0.0, 4.0),
        row("c", "w2", 9.0, 9.0, 20.0),
        row("a", "w1", 0.0, 10.0, 20.0),
    ]
    found = where(rows)
    assert found.busy == 1.0
    assert found.seconds["failed attempts"] == 10.0


def test_runs_are_told_apart_and_the_night_between_counts_nowhere() -> None:
    night = 36_000.0
    later = row("e", "w9", night, night + 4, night + 10, compute=6.0)
    found = where([*ROWS, later])
    assert found.runs == 2 and found.wall == 40.0
    assert found.cold_starts == [5.0, 6.0, 4.0]
    assert found.total == pytest.approx(70.0)


def test_a_worker_that_died_leaves_its_slot_to_the_next() -> None:
    rows = [
        row("a", "w1", 0.0, 5.0, 10.0, status="failed"),
        row("b", "w2", 0.0, 5.0, 20.0),
        row("a", "w3", 0.0, 14.0, 20.0),
    ]
    found = where(rows)
    assert found.slots == 2 and found.cold_starts == [5.0, 5.0, 4.0]


def test_no_attempts() -> None:
    found = where([])
    assert (found.slots, found.wall, found.busy, found.total) == (0, 0, None, 0.0)


def test_percentiles_are_nearest_ranks() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0, 2.0], 0.95) == 2.0
    assert math.isnan(percentile([], 0.5))
