"""A worker without Ray: what it does when its process or its host is taken away."""

from __future__ import annotations

import os
import platform
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import progress_of
from safetensors.torch import load_file

from sweeper.analysis.store import Store
from sweeper.engine import dispatch, notice, worker
from sweeper.jobs import JobSpec
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.training import jobs
from sweeper.training.loop import Pace
from sweeper.training.work import work

STUDY = Study.model_validate(
    {
        "name": "small",
        "base": {
            "scratch": {
                "text": "demo_text", "vocabulary": 300, "layers": 1, "hidden": 8, "heads": 2,
                "feed_forward": 16, "max_length": 48, "training": {"batch": 16, "steps": 6},
            }
        },
        "targets": {"demo_retrieval": {"languages": ["qab"]}},
        "limits": {"train": 40, "dev": 10, "test": 12},
        "training": {"max_length": 48},
    }
)  # fmt: skip
BASE = "train/base"


class Gone(BaseException):
    """In place of the end of this process."""


@pytest.fixture(autouse=True)
def drained(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """This process plays all workers, on the host "here" of a cluster: its drained hosts.

    Signs of life come after every step.
    """
    hosts: dict[str, int] = {"elsewhere": 1}
    here = SimpleNamespace(gcs_address="head:6379", get_node_id=lambda: "here")
    head = SimpleNamespace(get_draining_nodes=lambda timeout: hosts)

    def gone(status: int) -> None:
        raise Gone(status)

    monkeypatch.setattr(worker.ray, "get_gpu_ids", list)
    monkeypatch.setattr(notice.ray, "get_runtime_context", lambda: here)
    monkeypatch.setattr(notice, "GcsClient", lambda address: head)
    monkeypatch.setattr(notice, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(worker.os, "_exit", gone)
    monkeypatch.setitem(jobs.train.__kwdefaults__, "pace", Pace(progress=0.0, resume=1e9))
    before = signal.getsignal(signal.SIGTERM)
    yield hosts
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which only the training is left to do."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("prepared") / "store"
    Driver(folder).give(BASE)
    return folder


@pytest.fixture
def driver(prepared: Path, tmp_path: Path) -> Driver:
    return Driver(copied(prepared, tmp_path / "store"))


def copied(store: Path, folder: Path) -> Path:
    shutil.copytree(store, folder)
    return folder


class Driver:
    """A driver of the study, and the worker process that it has at the moment."""

    def __init__(self, store: Path) -> None:
        self.files = StoreFiles(store, create=True)
        self.progress = progress_of(STUDY, self.files, failures=False)
        self.events: list[dispatch.Event] = []
        self.dispatcher = dispatch.Dispatcher(
            self.progress,
            dispatch.Searches(self.progress),
            pool_of=lambda job: "training",
            slots=lambda: {"training": 1},
            listener=self.events.append,
        )

    def give(self, key: str) -> tuple[str, JobSpec]:
        """Do all that comes before a job; then its trial and spec."""
        while True:
            trial = f"t{len(self.events)}"
            spec = self.dispatcher.next(trial)
            assert isinstance(spec, JobSpec)
            if spec.key == key:
                return trial, spec
            *_, result = work(spec, self.files)
            self.dispatcher.ended(trial, {"done": True, **asdict(result)})

    def config(self, spec: JobSpec) -> dict[str, Any]:
        return {
            "hold": False,
            "store": self.files.address,
            "job": f"attempts/{spec.address}/{spec.attempt}/job.json",
            "stop": self.dispatcher.driver.stop_marker,
            "threads": 1,
            "beat": 0.0,
        }


@pytest.fixture(autouse=True)
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the worker is an item of its job, not a second's worth of them."""
    monkeypatch.setattr(worker, "WORD_SECONDS", 0.0)


def until_step(process: worker.Worker, step: int) -> None:
    while process.step().get("step", 0) < step:
        pass


def finish(driver: Driver, trial: str, spec: JobSpec) -> None:
    process = worker.Worker(driver.config(spec))
    while not (result := process.step())["done"]:
        pass
    assert result["status"] == "done", result
    driver.dispatcher.ended(trial, result)


def weights(driver: Driver) -> dict[str, torch.Tensor]:
    commit = driver.progress.addressing.commit(BASE)
    assert commit
    return load_file(driver.files.local(f"{commit.folder}/checkpoint/model.safetensors"))


def test_a_preempted_training_is_saved_and_goes_on_to_the_same_bits_on_another_host(
    driver: Driver, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = Driver(copied(prepared, tmp_path / "calm"))
    finish(calm, *calm.give(BASE))

    trial, spec = driver.give(BASE)
    monkeypatch.setattr(platform, "node", lambda: "spot")
    process = worker.Worker(driver.config(spec))
    until_step(process, 3)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Gone):
        process.step()
    driver.dispatcher.ended(trial, None)  # so Ray tells it
    assert [e.message for e in driver.events if e.what == "retry"] == [
        "attempt 1 ended: preempted: SIGTERM"
    ]

    monkeypatch.setattr(platform, "node", lambda: "other")
    again = driver.give(BASE)
    assert again[1].address == spec.address and again[1].attempt != spec.attempt
    finish(driver, *again)
    one, two = weights(calm), weights(driver)
    assert one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)

    trials = Store(driver.files.address).trials(kind="train").set_index("attempt")
    lost, done = trials.loc[spec.attempt], trials.loc[again[1].attempt]
    assert (lost["status"], lost["message"]) == ("failed", "preempted: SIGTERM")
    assert (lost["steps"], done["steps"]) == (4, 6)
    assert [row["worker"].split(":")[0] for row in (lost, done)] == ["spot", "other"]
    assert "resumes at step 4" in driver.files.local(
        f"logs/{BASE}/{again[1].attempt}.log"
    ).read_text()  # fmt: skip


def test_a_worker_on_a_drained_host_saves_and_leaves(
    driver: Driver, drained: dict[str, int]
) -> None:
    trial, spec = driver.give(BASE)
    process = worker.Worker(driver.config(spec))
    until_step(process, 2)
    drained["here"] = 2
    with pytest.raises(Gone):
        process.step()
    driver.dispatcher.ended(trial, None)
    assert "its host is being drained" in driver.events[-1].message
    names = driver.files.names(f"resume/{spec.address}")
    assert any(name.startswith("slot-") and name.endswith(".json") for name in names)


def test_sigterm_does_what_it_did_while_there_is_nothing_to_save() -> None:
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    process = worker.Worker({"hold": True, "threads": 1, "beat": 0.0})
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    process.cleanup()


def test_a_worker_that_is_to_go_takes_no_further_job(driver: Driver) -> None:
    trial, spec = driver.give(BASE)
    process = worker.Worker(driver.config(spec))
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Gone):
        process.step()
    driver.dispatcher.ended(trial, None)
    # As Tune has it, which has not heard yet that the process is gone.
    _, again = driver.give(BASE)
    process.reset_config(driver.config(again))
    with pytest.raises(Gone):
        process.step()
    died = driver.files.read(f"failures/{again.address}/{again.attempt}.json")
    assert died["error"] == "preempted"
