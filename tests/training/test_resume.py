"""A stopped job goes on as if nobody had stopped it, bit by bit."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sweeper.jobs import Clock, JobSpec
from sweeper.training import jobs
from sweeper.training.loop import Pace
from sweeper.training.resume import Point, ResumePoints

from .conftest import NLI, TRAINED, World


def same_files(one: Path, other: Path) -> None:
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert files
    assert files == sorted(path.relative_to(other) for path in other.rglob("*.safetensors"))
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


def reached(world: World, spec: JobSpec) -> Any:
    point = ResumePoints(world.resume_folder(spec.address), spec.address).load()
    return point and point.data["state"]["step"]


@pytest.mark.parametrize("stops", [(1,), (5,), (6, 7), (2, 9, 11)])
def test_a_mixture_stopped_anywhere_ends_in_the_same_weights(
    world: World, stops: tuple[int, ...]
) -> None:
    spec = world.spec("train", world.training(*TRAINED))
    whole = world.run(spec, "whole")
    for step in stops:
        world.stop(spec, step)
    assert reached(world, spec) == stops[-1]
    resumed = world.run(spec, "resumed")
    same_files(world.path("whole"), world.path("resumed"))
    assert resumed == whole


@pytest.mark.parametrize(("step", "phase"), [(3, "train"), (6, "train"), (1, "evaluate")])
def test_a_trial_keeps_its_best_epochs(world: World, step: int, phase: str) -> None:
    inputs = world.tuning(NLI, epochs=3, learning_rate=3e-3)
    spec = world.spec("tune", inputs)
    whole = world.run(spec, "whole")
    world.stop(spec, step, phase)
    world.stop(spec, 14)
    assert reached(world, spec) == 14
    resumed = world.run(spec, "resumed")
    same_files(world.path("whole"), world.path("resumed"))
    assert resumed == whole
    assert set(whole.selections) == {"nli/dev/en", "nli/dev/de"}


def test_time_alone_writes_a_resume_point(world: World) -> None:
    spec = world.spec("train", world.training(NLI))
    attempt = jobs.train(
        spec, world, world.path("x"), Clock(), pace=Pace(progress=0.0, resume=0.0)
    )
    for progress in attempt:
        if progress.phase == "train" and progress.step == 4:
            break
    point = ResumePoints(world.resume_folder(spec.address), spec.address).load()
    assert point is not None
    assert point.data["state"]["step"] == 3
    attempt.close()


def point(number: int) -> Point:
    return Point({"number": number}, {"w": torch.full((3,), float(number))})


def number(points: ResumePoints) -> Any:
    found = points.load()
    return found and found.data["number"]


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "manifest"])
def test_a_damaged_slot_gives_way_to_the_other(tmp_path: Path, damage: str) -> None:
    points = ResumePoints(tmp_path / "points", "a")
    for count in range(3):
        points.save(point(count))
    newest = next(
        path for path in points.folder.glob("*.safetensors") if load_file(path)["w"][0] == 2
    )
    data = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(data[:-1])
    elif damage == "flip":
        data[-1] ^= 1
        newest.write_bytes(data)
    elif damage == "missing":
        newest.unlink()
    else:
        newest.with_suffix(".json").write_text('{"format": 1, "addr')
    assert number(points) == 1
    points.save(point(7))
    assert number(points) == 7
    # The slot that was whole is still there: the damaged one was overwritten.
    (points.folder / newest.name).unlink()
    assert number(points) == 1


def test_points_of_another_job_are_not_taken(tmp_path: Path) -> None:
    ResumePoints(tmp_path, "a").save(point(1))
    assert ResumePoints(tmp_path, "b").load() is None


def test_kept_tensors_are_written_once_and_swept(tmp_path: Path) -> None:
    points = ResumePoints(tmp_path, "a")
    best = {"w": torch.ones(2)}
    points.save(Point({}, {}, {"epoch=1": best}))
    written = (tmp_path / "epoch=1.safetensors").stat().st_mtime_ns
    points.save(Point({}, {}, {"epoch=1": best}))
    assert (tmp_path / "epoch=1.safetensors").stat().st_mtime_ns == written
    found = points.load()
    assert found is not None
    assert torch.equal(found.kept["epoch=1"]["w"], best["w"])
    points.save(Point({}, {}))
    assert (tmp_path / "epoch=1.safetensors").exists()  # the other slot names it
    points.save(Point({}, {}))
    assert not (tmp_path / "epoch=1.safetensors").exists()
    points.remove()
    assert points.load() is None


@pytest.mark.parametrize("hours", [-2, 0, 2])
def test_unfinished_files_are_dated_by_the_clock_of_their_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """A worker whose clock is hours off deletes what is old, and nothing that is being written."""
    living, dead = (tmp_path / f"slot-a.{name}.tmp" for name in ("1", "2"))
    for path in (living, dead):
        path.write_bytes(b"")
    two_hours_ago = time.time() - 7200
    os.utime(dead, (two_hours_ago, two_hours_ago))
    here = time.time
    monkeypatch.setattr(time, "time", lambda: here() + 3600 * hours)
    assert ResumePoints(tmp_path, "a").load() is None
    assert [path.name for path in tmp_path.iterdir()] == [living.name]
