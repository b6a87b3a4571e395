"""Which of the ready jobs goes first: by column, unless its path is long."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers import Cluster, commit_job, files_at, progress_of, small_study

from sweeper.engine.queues import Queue, columns_in_order
from sweeper.planning import plan
from sweeper.study import Study


def _order(left: float, *jobs: tuple[str, float, float]) -> list[str]:
    queue = Queue()
    for turn, (key, path, column) in enumerate(jobs):
        queue.push(key, path=path, column=column, turn=turn)
    return [queue.pop(left) for _ in range(len(queue))]


def test_a_column_is_completed_before_one_is_opened() -> None:
    jobs = [("second", 9.0, 1.0), ("first, short", 1.0, 0.0), ("first", 2.0, 0.0)]
    assert _order(100.0, *jobs) == ["first", "first, short", "second"]


def test_a_path_that_is_half_of_all_that_is_left_does_not_wait() -> None:
    jobs = [("first", 2.0, 0.0), ("second", 9.0, 1.0), ("score", math.inf, 2.0)]
    assert _order(18.0, *jobs) == ["score", "second", "first"]
    assert _order(18.1, *jobs) == ["score", "first", "second"]


def test_equals_go_in_the_order_in_which_they_were_ready() -> None:
    jobs = [("b", 1.0, 0.0), ("a", 1.0, 0.0), ("c", 1.0, 0.0)]
    assert _order(1.0, *jobs) == _order(100.0, *jobs) == ["b", "a", "c"]


def test_a_job_that_was_given_back_is_there_once() -> None:
    queue = Queue()
    for _ in range(2):
        queue.push("a", path=1.0, column=0.0, turn=0)
        assert queue.pop(100.0) == "a"
    assert not queue


def _study() -> Study:
    """Three seeds of two columns; the second one's trials are the longer ones."""
    space = {"search": {"learning_rate": [1e-4, 1e-3]}}
    return small_study(
        targets={"tagging": None, "topic": None}, seeds=[0, 1, 2], intermediates={},
        spaces={"tagging": space, "topic": space},
    )  # fmt: skip


def _columns(ran: list[str]) -> list[str]:
    """The columns of the trials, in order."""
    return [key.split(">")[1].split("/")[0] for key in ran if key.startswith("tune/")]


def test_the_columns_of_a_study_are_filled_one_after_the_other(tmp_path: Path) -> None:
    cluster = Cluster(progress_of(_study(), files_at(tmp_path / "store")), slots=1)
    cluster.run()
    trained = _columns(cluster.runs)
    assert trained == ["tagging"] * 6 + ["topic"] * 6


def test_a_column_that_is_begun_goes_first(tmp_path: Path) -> None:
    planned = plan(_study())
    place = columns_in_order(planned, [])
    assert place["score/none>tagging/seed=0"] < place["score/none>topic/seed=0"]
    assert place["train/base"] == 0, "all columns rest on it"

    files = files_at(tmp_path / "store")
    progress = progress_of(planned, files)
    trial = "tune/none>topic/seed=1/trial=0"
    while (key := progress.take()) != trial:
        assert key
        if key.startswith(("prepare", "train")) and progress.claim(key):
            commit_job(progress, key)
    assert progress.claim(trial)
    commit_job(progress, trial)
    cluster = Cluster(progress_of(planned, files), slots=1)
    cluster.run()
    assert _columns(cluster.runs) == ["topic"] * 5 + ["tagging"] * 6


@pytest.mark.parametrize("target", ["tagging", "topic"])
def test_every_job_of_a_plan_has_a_place(target: str) -> None:
    planned = plan(small_study(targets={target: None}, spaces={}))
    assert set(columns_in_order(planned, []).values()) == {0.0}
