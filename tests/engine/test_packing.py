"""How many jobs share a GPU, from measured memory; a stand-in for the GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from analysis.world import study
from test_estimates import Measuring

from sweeper.cores import GPU_SHARE
from sweeper.engine.budget import Budget, Meter
from sweeper.engine.shapes import Shapes
from sweeper.graph import Job
from sweeper.packing import jobs_per_gpu
from sweeper.planning import plan
from sweeper.prices import Prices
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.study import Study
from sweeper.training import memory

PRICES = Prices.load()
GB = 10**9


class OnGpu(Measuring):
    """Every job took so much of an A100 with 80 GB."""

    device, peak, jobs = "NVIDIA A100-SXM4-80GB", 10 * GB, ("train", "tune", "score")

    def _trial(self, job: Job, address: str, attempt: str, status: str = "done") -> dict[str, Any]:
        row = super()._trial(job, address, attempt, status)
        if job.kind == "prepare":
            return row | {"device": "cpu", "peak_memory": 900 * GB}
        return row | {"peak_memory": self.peak if job.kind in self.jobs else None}


def packed(world: OnGpu, of: Study) -> int:
    planned = plan(of)
    progress = Progress(planned, resolve(planned, world.files), world.files)
    assert progress.left
    return jobs_per_gpu(progress, PRICES)


@pytest.mark.parametrize(
    ("peak", "many"), [(1, 4), (15, 4), (15.3, 3), (30, 2), (31, 2), (31.3, 1), (79, 1)]
)
def test_as_many_as_fit_with_a_margin(peak: float, many: int, tmp_path: Path) -> None:
    world = OnGpu(tmp_path / "store", study(seeds=[0]))
    world.peak = int(peak * GB)
    assert packed(world.run(), study(seeds=[0, 1])) == many


def test_what_was_not_measured_is_alone(tmp_path: Path) -> None:
    world = OnGpu(tmp_path / "store", study(seeds=[0])).run()
    assert packed(world, study(seeds=[0, 1])) == 4
    for other in (
        study(seeds=[0, 1], training={"batch": 64}),
        study(seeds=[0, 1], training={"max_length": 64}),
        study(seeds=[0, 1], intermediates={"surface": None}),
        study(seeds=[0, 1], spaces={"tagging": {"search": {"batch": [8, 32]}}}),
        study(seeds=[0, 1], spaces={"tagging": {"search": {"frozen_layers": [None, 0]}}}),
        study(seeds=[0, 1], training={"frozen_layers": 0}),
    ):
        assert packed(world, other) == 1
    lacking = OnGpu(tmp_path / "lacking", study(seeds=[0]))
    lacking.jobs = ("train", "tune")
    assert packed(lacking.run(), study(seeds=[0, 1])) == 1


def test_a_gpu_of_which_nothing_is_known_is_not_shared(tmp_path: Path) -> None:
    world = OnGpu(tmp_path / "store", study(seeds=[0]))
    world.device = "Fabrikam Accelerator 9"
    assert packed(world.run(), study(seeds=[0, 1])) == 1
    empty = OnGpu(tmp_path / "empty", study(seeds=[0]))
    assert packed(empty, study()) == 1


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """Two hosts with four GPUs and 33 cores each, which stand in for a cluster."""
    nodes = [{"CPU": 33.0, "GPU": 4.0}] * 2
    monkeypatch.setattr(Shapes, "_nodes", lambda self: nodes)
    return Shapes()


def test_slots_are_parts_of_a_gpu(
    shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (alone,) = shapes.request({"pool": "training"}).bundles
    assert alone == {"CPU": 8, "GPU": 1} and shapes.slots() == {"training": 8, "data": 2}
    world = OnGpu(tmp_path / "store", study(seeds=[0])).run()
    planned = plan(study(seeds=[0, 1]))
    progress = Progress(planned, resolve(planned, world.files), world.files)
    shapes.pack(progress)
    (shared,) = shapes.request({"pool": "training"}).bundles
    assert shared == {"CPU": 2, "GPU": 0.25} and shapes.slots() == {"training": 32, "data": 2}
    assert shapes.threads["training"] == 2
    few = Shapes(most=1)
    few.pack(progress)
    assert few.slots()["training"] == 4  # of one GPU
    asked = Shapes()
    asked.pack(progress, 1)
    assert asked.request({"pool": "training"}).bundles == [alone]
    asked.pack(progress, 9)  # more than fit
    assert asked.share == 4


def test_a_shared_gpu_is_counted_once() -> None:
    now = [0.0]
    meter = Meter(Budget(gpu_hours=1.0), clock=lambda: now[0])
    meter.share = 4
    for trial in "abcd":
        meter.begin(trial)
    now[0] = 1800.0
    assert meter.hours == 0.5


def test_a_worker_is_held_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []
    whole = type("Properties", (), {"total_memory": 80 * GB})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: whole)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda where: "NVIDIA A100-SXM4-80GB")
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", held.append)
    memory.take_share()
    assert not held and memory.device_name(torch.device("cuda")) == "NVIDIA A100-SXM4-80GB"
    monkeypatch.setenv(GPU_SHARE, "4")
    memory.take_share()
    assert held == [pytest.approx(0.25 - 1 / 80)]
    # What does not fit a share may fit the whole: they are remembered apart.
    assert memory.device_name(torch.device("cuda")) == "NVIDIA A100-SXM4-80GB / 4"


def test_a_job_of_a_shared_gpu_took_its_part_of_the_time(tmp_path: Path) -> None:
    from sweeper.throughput import measured

    world = OnGpu(tmp_path / "store", study(seeds=[0]))
    world.device = "NVIDIA A100-SXM4-80GB / 4"
    found = measured(world.run().files, plan(study()), PRICES)
    samples = found["NVIDIA A100-SXM4-80GB"]
    assert {round(s.took.work + s.took.around, 3) for s in samples} == {round(3.5 / 4, 3)}
