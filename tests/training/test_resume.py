"""A stopped job goes on as if nobody had stopped it, bit by bit."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import put
from safetensors.torch import load as safetensors_load

from sweeper.jobs import Clock, JobSpec
from sweeper.store.files import StoreFiles
from sweeper.store.folder import LEFT_OVER
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
    point = ResumePoints(world, spec.address).load()
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
    point = ResumePoints(world, spec.address).load()
    assert point is not None
    assert point.data["state"]["step"] == 3
    attempt.close()


def point(number: int) -> Point:
    return Point({"number": number}, {"w": torch.full((3,), float(number))})


def number(points: ResumePoints) -> Any:
    found = points.load()
    return found and found.data["number"]


@pytest.fixture
def files(anywhere: str) -> StoreFiles:
    return StoreFiles(anywhere, create=True)


def weight_of(content: bytes) -> float:
    return float(safetensors_load(content)["w"][0])


@pytest.mark.parametrize(
    ("anywhere", "damage"),
    [*(("folder", what) for what in ("cut", "flip", "missing", "manifest")),
     ("s3", "flip"), ("gs", "missing")],
    indirect=["anywhere"],
)  # fmt: skip
def test_a_damaged_slot_gives_way_to_the_other(files: StoreFiles, damage: str) -> None:
    points = ResumePoints(files, "a")
    for count in range(3):
        points.save(point(count))
    slots = {slot: files.content(f"resume/a/slot-{slot}.safetensors") or b"" for slot in "ab"}
    newest = next(slot for slot, content in slots.items() if weight_of(content) == 2)
    name, data = f"resume/a/slot-{newest}.safetensors", bytearray(slots[newest])
    if damage == "cut":
        put(files, name, bytes(data[:-1]))
    elif damage == "flip":
        data[-1] ^= 1
        put(files, name, bytes(data))
    elif damage == "missing":
        files.remove(name)
    else:
        put(files, f"resume/a/slot-{newest}.json", '{"format": 1, "addr')
    assert number(points) == 1
    points.save(point(7))
    assert number(points) == 7
    # The slot that was whole is still there: the damaged one was overwritten.
    files.remove(name)
    assert number(points) == 1


def test_another_node_goes_on_from_a_bucket(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ResumePoints(StoreFiles(address, create=True), "a")
    best = {"w": torch.ones(2)}
    for count in range(3):
        here.save(Point({"number": count}, {"w": torch.full((3,), float(count))}, {"best": best}))
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "other"))
    there = ResumePoints(StoreFiles(address), "a")
    found = there.load()
    assert found is not None and found.data == {"number": 2}
    assert torch.equal(found.tensors["w"], torch.full((3,), 2.0))
    assert torch.equal(found.kept["best"]["w"], best["w"])
    there.save(point(3))
    assert number(here) == 3, "and back"


def test_points_of_another_job_are_not_taken(files: StoreFiles) -> None:
    ResumePoints(files, "a").save(point(1))
    for name, content in [(n, files.content(f"resume/a/{n}")) for n in files.names("resume/a")]:
        put(files, f"resume/b/{name}", content or b"")
    assert number(ResumePoints(files, "a")) == 1
    assert ResumePoints(files, "b").load() is None


def test_kept_tensors_are_written_once_and_swept(files: StoreFiles) -> None:
    points = ResumePoints(files, "a")
    best, other = {"w": torch.ones(2)}, {"w": torch.zeros(2)}
    points.save(Point({}, {}, {"epoch=1": best}))
    points.save(Point({}, {}, {"epoch=1": other}))  # it does not change, so it is not written
    found = points.load()
    assert found is not None
    assert torch.equal(found.kept["epoch=1"]["w"], best["w"])
    kept = "epoch=1.safetensors"
    points.save(Point({}, {}))
    assert kept in files.names("resume/a")  # the other slot names it
    points.save(Point({}, {}))
    assert kept not in files.names("resume/a")
    points.remove()
    assert points.load() is None
    assert files.names("resume/a") == []


@pytest.mark.parametrize("hours", [-2, 0, 2])
def test_what_a_killed_attempt_was_writing_is_swept_when_it_is_old(
    world: World, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Old by the clock of the disk: that of this host may be hours off."""
    ResumePoints(world, "a").save(point(1))
    folder = world.path("resume/a")
    for name, age in ((".draft-old", LEFT_OVER + 60), (".draft-new", 0.0)):
        (folder / name).write_text("half")
        then = (folder / name).stat().st_mtime - age
        os.utime(folder / name, (then, then))
    here = time.time
    monkeypatch.setattr(time, "time", lambda: here() + 3600 * hours)
    assert number(ResumePoints(world, "a")) == 1
    assert [path.name for path in folder.glob(".draft-*")] == [".draft-new"]
