"""A worker without Ray: what it does when its process or its host is taken away."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from real_work import Run, smallest
from safetensors.torch import load_file

from sweeper.analysis.store import Store
from sweeper.collecting import collect, remove
from sweeper.engine import notice, worker
from sweeper.errors import UnreachableError
from sweeper.graph import BASE, Job
from sweeper.jobs import JobSpec
from sweeper.store.files import StoreFiles
from sweeper.store.leftovers import PRUNED
from sweeper.study import Study
from sweeper.training import jobs
from sweeper.training.loop import Pace
from sweeper.training.resume import Point, ResumePoints
from sweeper.tuning.pruning import Prunings


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
    monkeypatch.setattr(worker, "WORD_SECONDS", 0.0)
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
    Run(smallest(), folder).give(BASE)
    return folder


@pytest.fixture
def driver(prepared: Path, tmp_path: Path) -> Run:
    return Run(smallest(), copied(prepared, tmp_path / "store"))


def copied(store: Path, folder: Path) -> Path:
    shutil.copytree(store, folder)
    return folder


def config(driver: Run, spec: JobSpec) -> dict[str, Any]:
    """What a worker is told of a job."""
    return {
        "hold": False,
        "store": driver.files.address,
        "job": f"attempts/{spec.address}/{spec.attempt}/job.json",
        "stop": driver.dispatcher.driver.stop_marker,
        "threads": 1,
        "beat": 0.0,
    }


def until_step(process: worker.Worker, step: int) -> None:
    while process.step().get("step", 0) < step:
        pass


def finish(driver: Run, trial: str, spec: JobSpec) -> None:
    process = worker.Worker(config(driver, spec))
    while not (result := process.step())["done"]:
        pass
    assert result["status"] == "done", result
    driver.dispatcher.ended(trial, result)


def test_a_preempted_training_is_saved_and_goes_on_to_the_same_bits_on_another_host(
    driver: Run, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = Run(smallest(), copied(prepared, tmp_path / "calm"))
    finish(calm, *calm.give(BASE))

    trial, spec = driver.give(BASE)
    monkeypatch.setattr(platform, "node", lambda: "spot")
    process = worker.Worker(config(driver, spec))
    until_step(process, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Gone):
        process.step()
    driver.dispatcher.ended(trial, None)  # so Ray tells it
    assert driver.said("retry") == ["attempt 1 ended: preempted: SIGTERM"]

    monkeypatch.setattr(platform, "node", lambda: "other")
    again = driver.give(BASE)
    assert again[1].address == spec.address and again[1].attempt != spec.attempt
    finish(driver, *again)
    one, two = (load_file(each.weights(BASE)) for each in (calm, driver))
    assert one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)

    trials = Store(driver.files.address).trials(kind="train").set_index("attempt")
    lost, done = trials.loc[spec.attempt], trials.loc[again[1].attempt]
    assert (lost["status"], lost["message"]) == ("failed", "preempted: SIGTERM")
    assert (lost["steps"], done["steps"]) == (2, 4)
    assert [row["worker"].split(":")[0] for row in (lost, done)] == ["spot", "other"]
    assert "resumes at step 2" in driver.files.local(
        f"logs/{BASE}/{again[1].attempt}.log"
    ).read_text()  # fmt: skip


def test_a_worker_on_a_drained_host_saves_and_leaves(driver: Run, drained: dict[str, int]) -> None:
    trial, spec = driver.give(BASE)
    process = worker.Worker(config(driver, spec))
    until_step(process, 2)
    drained["here"] = 2
    with pytest.raises(Gone):
        process.step()
    driver.dispatcher.ended(trial, None)
    assert "its host is being drained" in driver.events[-1].message
    assert any("slot-" in name for name in driver.files.names(f"resume/{spec.address}"))


def test_a_worker_that_cannot_save_is_preempted_all_the_same(
    driver: Run, drained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, spec = driver.give(BASE)
    process = worker.Worker(config(driver, spec))
    until_step(process, 2)
    drained["here"] = 2

    def away(self: ResumePoints, point: Point) -> None:
        raise UnreachableError("S3 failed 4 times in a row")

    monkeypatch.setattr(ResumePoints, "save", away)
    with pytest.raises(Gone):
        process.step()
    driver.dispatcher.ended(trial, None)
    assert driver.said("retry") == ["attempt 1 ended: preempted: its host is being drained"]


def test_a_head_that_is_away_ends_no_training(
    driver: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(address: str) -> None:
        raise notice.ray.exceptions.RpcError("no answer")

    monkeypatch.setattr(notice, "GcsClient", away)
    finish(driver, *driver.give(BASE))


def test_a_store_that_does_not_answer_ends_no_training(
    driver: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, spec = driver.give(BASE)
    process = worker.Worker(config(driver, spec))

    def away(self: StoreFiles, relative: str) -> dict[str, Any] | None:
        raise UnreachableError("S3 failed 4 times in a row")

    with monkeypatch.context() as patched:
        patched.setattr(StoreFiles, "find", away)
        patched.setattr(StoreFiles, "exists", away)
        until_step(process, 2)
    driver.dispatcher.stop("enough")
    assert process.step() == {"done": True, "status": "stopped"}, "the next look tells"


def test_sigterm_does_what_it_did_while_there_is_nothing_to_save() -> None:
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    process = worker.Worker({"hold": True, "threads": 1, "beat": 0.0})
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    process.cleanup()


def test_a_worker_that_is_to_go_takes_no_further_job(driver: Run) -> None:
    trial, spec = driver.give(BASE)
    process = worker.Worker(config(driver, spec))
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Gone):
        process.step()
    driver.dispatcher.ended(trial, None)
    # As Tune has it, which has not heard yet that the process is gone.
    _, again = driver.give(BASE)
    process.reset_config(config(driver, again))
    with pytest.raises(Gone):
        process.step()
    died = driver.files.read(f"failures/{again.address}/{again.attempt}.json")
    assert died["error"] == "preempted"


def tuned(pruning: dict[str, Any] | None) -> Study:
    """A search of three trials of three epochs."""
    space = {
        "search": {"learning_rate": [1e-4, 1e-3, 3e-3]},
        "training": {"epochs": 3, "examples": 40},
        **({"pruning": pruning} if pruning else {}),
    }
    return smallest(
        targets={"topic": {"languages": ["qaa"]}},
        spaces={"topic": space},
        training={"max_length": 48, "batch": 16, "epochs": 1},
    )


def as_tune_does(driver: Run, given: tuple[str, JobSpec]) -> dict[str, Any]:
    """Run a worker, telling the driver of every result before the next step; the last one."""
    trial, spec = given
    process = worker.Worker(config(driver, spec))
    while not (result := process.step())["done"]:
        driver.dispatcher.progressed(trial, result)
    driver.dispatcher.ended(trial, result)
    return result


def test_a_pruned_trial_stops_after_its_epoch_and_goes_on_where_nothing_prunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(jobs.tune.__kwdefaults__, "pace", Pace(progress=1e9, resume=1e9))
    heard: list[tuple[float, ...]] = []

    def verdict(self: Prunings, job: Job, values: list[float]) -> str:
        heard.append(tuple(values))
        return "not good enough" if len(values) == 2 else ""

    monkeypatch.setattr(Prunings, "verdict", verdict)
    pruning = {"rule": "median", "startup": 1}
    first, second, _ = (f"tune/none>topic/seed=0/trial={number}" for number in range(3))

    calm = Run(tuned(None), tmp_path / "calm")
    given = calm.give(first)
    copied(tmp_path / "calm", tmp_path / "store")
    assert as_tune_does(calm, given)["status"] == "done"
    assert heard == [], "nobody asks what it was worth after an epoch"

    driver = Run(tuned(pruning), tmp_path / "store")
    given = driver.give(first)
    result = as_tune_does(driver, given)
    assert (result["status"], result["message"]) == ("pruned", "not good enough")
    assert [len(values) for values in heard] == [1, 2]
    assert driver.progress.state(first) == "pruned"
    (row,) = Store(driver.files.address).trials(status="pruned").to_dict("records")
    curve = json.loads(row["curve"])
    assert [epoch["selections"]["topic/dev/qaa"]["value"] for epoch in curve] == [*heard[1]]
    assert row["steps"] == 2 * 3 and row["message"] == "not good enough"
    assert driver.next() and driver.specs[-1].key == second, "its search goes on"

    # What it goes on from is no garbage, though its attempt is.
    collected = collect(driver.files)
    made = f"attempts/{given[1].address}/{given[1].attempt}"
    assert [one.name for one in collected.garbage if one.what == PRUNED] == [made]
    remove(driver.files, collected)
    assert driver.files.sizes(f"resume/{given[1].address}")

    later = Run(tuned(None), tmp_path / "store")
    again = later.give(first)
    assert again[1].address == given[1].address
    assert as_tune_does(later, again)["status"] == "done"
    log = later.files.local(f"logs/{first}/{again[1].attempt}.log").read_text()
    assert "resumes at step 6" in log
    one, two = (d.progress.addressing.commit(first) for d in (calm, later))
    assert one and two and one.outcome == two.outcome and len(one.outcome["values"]) == 3
    assert {
        name.rpartition("/")[2]: said["sha256"]
        for name, said in one.files.items() if name.endswith("safetensors")
    } == {
        name.rpartition("/")[2]: said["sha256"]
        for name, said in two.files.items() if name.endswith("safetensors")
    }  # fmt: skip
