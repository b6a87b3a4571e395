"""A training stopped at every moment in turn, and resumed, ends in the same bits each time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from sweeper.jobs import JobSpec, Outcome, Progress
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.training.resume import ResumePoints
from sweeper.training.work import Result, work

from .conftest import ALWAYS, NER, NLI, PAIRS, SPANS, TEXT, TRAINED, World, rows
from .test_resume import same_files


def single(world: World) -> JobSpec:
    return world.spec("train", world.training(NLI, count=13, batch=3, dropout=0.3, warmup=0.4))


def masked(world: World) -> JobSpec:
    """An epoch that ends early, half of the examples."""
    inputs = world.training(TEXT, batch=3, steps=7, examples=11, dropout=0.2)
    return world.spec("train", inputs)


def mixture(world: World) -> JobSpec:
    sampler = {"name": "temperature", "temperature": 3.0}
    return world.spec("train", world.training(*TRAINED, steps=14, count=7, sampler=sampler))


def search(world: World) -> JobSpec:
    """Its first epoch is the best: what is kept of it must outlive the others."""
    inputs = world.tuning(NLI, count=9, epochs=3, learning_rate=1e-2, dropout=0.1)
    return world.spec("tune", inputs)


def kept(world: World) -> JobSpec:
    """The last epoch and the mean of all, beside a best one that is another."""
    inputs = world.tuning(
        NLI, count=9, epochs=3, learning_rate=1e-2, dropout=0.1, keep=("averaged", "last")
    )
    return world.spec("tune", inputs)


def windows(world: World) -> JobSpec:
    return world.spec("tune", world.tuning(SPANS, count=5, epochs=2, group_by_length=False))


def diverging(world: World) -> JobSpec:
    inputs = world.training(NLI, NER, count=9, epochs=4, learning_rate=1e30, clip=1e30)
    return world.spec("train", inputs)


JOBS = (single, masked, mixture, kept, windows, diverging)


def signs(world: World, spec: JobSpec) -> int:
    """How many signs of life the job gives: the moments at which it can be stopped."""
    return sum(isinstance(item, Progress) for item in world.start(spec, "counted", ALWAYS))


def stop_after(world: World, spec: JobSpec, count: int) -> None:
    """Start an attempt and close it after so many signs of life."""
    attempt = world.start(spec, f"stopped-{count}", ALWAYS)
    for _ in range(count):
        assert isinstance(next(attempt), Progress)
    attempt.close()  # type: ignore[attr-defined]  # a generator


def forget(world: World, spec: JobSpec) -> None:
    ResumePoints(world, spec.address).remove()


def same(world: World, outcome: Outcome, whole: Outcome, folder: str) -> None:
    assert outcome == whole
    if whole.status == "done":
        same_files(world.path("whole"), world.path(folder))
    else:
        assert not list(world.path(folder).rglob("*.safetensors"))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.__name__)
def test_stopped_at_any_moment(world: World, job: Callable[[World], JobSpec]) -> None:
    spec = job(world)
    whole = world.run(spec, "whole")
    for moment in range(1, signs(world, spec) + 1):
        stop_after(world, spec, moment)
        resumed = world.run(spec, f"resumed-{moment}")
        same(world, resumed, whole, f"resumed-{moment}")
        forget(world, spec)


@pytest.mark.parametrize("job", [single, kept], ids=lambda job: job.__name__)
def test_stopped_at_any_two_moments(world: World, job: Callable[[World], JobSpec]) -> None:
    spec = replace(job(world), address="b" * 32)
    whole = world.run(spec, "whole")
    moments = range(2, signs(world, spec) + 1, 4)
    for first, second in combinations(moments, 2):
        stop_after(world, spec, first)
        stop_after(world, spec, second - first + 1)
        same(world, world.run(spec, "resumed"), whole, "resumed")
        forget(world, spec)


@pytest.mark.parametrize("part", ["slot-?.safetensors", "slot-?.json", "epoch=*.safetensors"])
def test_a_damaged_newest_point_gives_way_to_the_older_one(world: World, part: str) -> None:
    spec = search(world)
    whole = world.run(spec, "whole")
    assert {best["epoch"] for best in whole.selections.values()} == {1}
    # A stop just after the second epoch's evaluation, and one in the third epoch.
    world.stop(spec, 5)
    world.stop(spec, 8)
    folder = world.path(f"resume/{spec.address}")
    newest = max(folder.glob(part), key=lambda path: path.stat().st_mtime_ns)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    point = ResumePoints(world, spec.address).load()
    if part.startswith("slot"):
        assert point is not None
        assert point.data["state"]["step"] == 5
    same(world, world.run(spec, "resumed"), whole, "resumed")


# ---- a warm worker and a fresh process -------------------------------------------------------


FRESH = """
import multiprocessing, sys
import torch
from sweeper.jobs import JobSpec
from sweeper.store.files import StoreFiles
from sweeper.training.work import work

def job(name):
    torch.set_num_threads(1)
    files = StoreFiles(sys.argv[1])
    *_, result = work(JobSpec.from_json(files.read(name)), files)
    sys.exit(result.status != "done")

for name in sys.argv[2:]:  # a new process each, in which nothing but imports has happened
    process = multiprocessing.get_context("fork").Process(target=job, args=(name,))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(name)
"""


def warm(spec: JobSpec, files: StoreFiles) -> str:
    """Run an attempt in this process, as a worker does; its status."""
    *_, result = work(spec, files)
    assert isinstance(result, Result)
    return result.status


def scoring(world: World, made: JobSpec, epoch: str) -> JobSpec:
    """The scoring of an epoch of a trial."""
    units = {f"test/{code}": world.unit(NLI, f"test-{code}", rows(NLI, 30, 300)) for code in "ab"}
    inputs = {
        "checkpoint": {"path": f"attempts/{made.address}/0-fresh/{epoch}"},
        "tokenizer": {"path": "tokenizer"},
        "card": NLI.model_dump(mode="json"),
        "data": units,
        "languages": {"test/a": "en", "test/b": "de"},
        "representation": None,
        "columns": {
            "main": "accuracy",
            "overlap": dict.fromkeys(units, ""),
            "zero_shot": dict.fromkeys(units, True),
            "checkpoint": "x",
            "weights": "selected",
            "parameters": {},
        },
    }
    spec = world.spec("score", inputs, key="score", address="5" * 32)
    return replace(spec, units=dict.fromkeys(units, "6" * 32))


def test_a_warm_worker_and_a_fresh_process_give_the_same(world: World, tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text('{"sweeper_store": 1}')
    files = StoreFiles(tmp_path)
    inputs = world.tuning(NLI, epochs=3, learning_rate=3e-4, dropout=0.2)
    tuned = world.spec("tune", inputs, key="tune", address="7" * 32)
    mixed = replace(mixture(world), key="mixture", address="8" * 32)
    best = world.run(tuned, "found").selections["nli/dev/en"]["checkpoint"]
    jobs = [tuned, mixed, scoring(world, tuned, best)]
    names = [f"attempts/{spec.address}/0-fresh/job.json" for spec in jobs]
    for spec, name in zip(jobs, names, strict=True):
        files.create(name, replace(spec, attempt="0-fresh").to_json())
    run = [sys.executable, "-c", FRESH, str(tmp_path), *names]
    fresh = subprocess.run(run, capture_output=True, text=True, check=False)
    assert fresh.returncode == 0, fresh.stderr

    # Other jobs, one that diverges and one that fails, and then the same ones in another order.
    untrainable = world.spec("train", world.training(PAIRS))
    others = [(windows(world), "done"), (diverging(world), "diverged"), (untrainable, "failed")]
    for number, (spec, status) in enumerate(others):
        assert warm(replace(spec, address=f"{number}" * 32, attempt="0-1"), files) == status
    for spec in reversed(jobs):
        assert warm(replace(spec, attempt="0-warm"), files) == "done"

    for spec in (tuned, mixed):
        same_files(*(tmp_path / f"attempts/{spec.address}/{one}" for one in ("0-fresh", "0-warm")))
    for table in ("scores", "examples"):
        found = [
            tables.read(files, table, [f"tables/{table}/{'5' * 32}-{attempt}.parquet"])
            for attempt in ("0-fresh", "0-warm")
        ]
        assert found[0].num_rows
        assert found[0].drop(["attempt"]).equals(found[1].drop(["attempt"]))
