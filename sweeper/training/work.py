"""One attempt at a job, from its spec to its commit. Plain Python: neither Ray nor the plan.

The order of writing is the store's one rule: the attempt's files, then its tables, all durable,
then the marker. Whatever ends an attempt early ends it before the marker.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sweeper import failures
from sweeper.errors import DamageError, StoreError, SweeperError
from sweeper.jobs import Clock, Interrupted, JobSpec, Outcome, Preempted, Progress, Result
from sweeper.redaction import redacted
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.store.intact import Checked
from sweeper.store.markers import commit, withdraw
from sweeper.training import forward
from sweeper.training.causes import classify
from sweeper.training.jobs import handler
from sweeper.training.memory import OutOfMemory, device_name, ran_out
from sweeper.training.references import points_of

log = logging.getLogger("sweeper")

_LIBRARIES = ("torch", "transformers", "tokenizers", "pyarrow", "numpy")


def work(spec: JobSpec, files: StoreFiles) -> Generator[Progress | Result]:
    """Run one attempt; the last item is its `Result`. Closing it early saves a resume point.

    Never raises: an error becomes a failed result, recorded in the store with its traceback in
    the job's log. So does an `Interrupted` that is thrown in, after the resume point.
    """
    clock = Clock()
    with _logging(spec, files):
        try:
            _forget_peak_memory()
            read = Checked(files, spec.reads)
            with _folder(spec, files) as folder:
                outcome = yield from handler(spec.kind)(spec, read, folder, clock)
                _commit(spec, files, clock, outcome)
        except Exception as error:  # noqa: BLE001  (classified and recorded, whatever it is)
            if isinstance(error, Interrupted):
                log.info("%s %s", spec.key, error)
            else:
                log.error("%s failed:\n%s", spec.key, traceback.format_exc())
            yield _failed(spec, files, clock, error)
        else:
            seconds = time.time() - clock.started
            log.info("%s %s after %.1f s", spec.key, outcome.status, seconds)
            yield Result(outcome.status, "", outcome.message, seconds)


@contextmanager
def _folder(spec: JobSpec, files: StoreFiles) -> Iterator[Path]:
    """The attempt's folder, which takes no room on this host once the attempt has ended."""
    try:
        yield files.attempt_folder(spec.address, spec.attempt)
    finally:
        files.discard(f"attempts/{spec.address}/{spec.attempt}")


def _commit(spec: JobSpec, files: StoreFiles, clock: Clock, outcome: Outcome) -> None:
    outcome.message = redacted(outcome.message)
    with clock("save"):
        made = files.publish(f"attempts/{spec.address}/{spec.attempt}")
        name = f"{spec.address}-{spec.attempt}"
        if outcome.scores:
            made.append(tables.write(files, "scores", name, _score_rows(spec, outcome)))
            made.append(tables.write(files, "examples", name, _example_rows(spec, outcome)))
    row = _trial_row(spec, clock, outcome.status, outcome.message, outcome)
    made.append(tables.write(files, "trials", name, [row]))
    commit(
        files,
        address=spec.address,
        generation=spec.generation,
        attempt=spec.attempt,
        job=spec.key,
        kind=spec.kind,
        units=spec.units,
        made=made,
        outcome={
            "status": outcome.status,
            "message": outcome.message,
            "selections": outcome.selections,
            **({"kept": outcome.kept} if outcome.kept else {}),
            **({"values": outcome.values} if outcome.values else {}),
            **({"skipped": outcome.skipped} if outcome.skipped else {}),
            **({"scored": list(spec.parents)} if spec.kind == "score" else {}),
        },
    )
    try:
        points_of(spec, files).remove()
    except StoreError as error:  # the job is done, and nobody reads them any more
        log.warning("its resume points are still there: %s", error)


def _failed(spec: JobSpec, files: StoreFiles, clock: Clock, error: Exception) -> Result:
    kind = classify(error)
    spoken = isinstance(error, SweeperError | Interrupted | OutOfMemory)
    message = redacted(str(error) if spoken else f"{type(error).__name__}: {error}")
    full = files.full()
    if full:  # what failed to be written names its cause in many ways, or in none
        kind, message = "store", full
    tainted = _taints(error)
    reached = error.reached if isinstance(error, Interrupted) else None
    status = "pruned" if kind == "pruned" else "failed"
    row = None if tainted else _trial_row(spec, clock, status, message, reached or Outcome())
    try:
        failures.record(files, spec, kind, message, row)
        if isinstance(error, OutOfMemory):
            files.create(error.name, {**error.record, "job": spec.key, "attempt": spec.attempt})
        if isinstance(error, DamageError) and not files.exists(f"dropped/{error.marker}"):
            withdraw(files, error.marker, message)
    except (SweeperError, OSError) as second:
        # The store itself fails: the driver hears of it, and stops.
        log.error("the failure of %s could not be recorded: %s", spec.key, second)
        kind, message = "store", redacted(str(second))
    leaves = tainted or isinstance(error, Preempted)
    return Result(status, kind, message, time.time() - clock.started, leaves)


def _taints(error: BaseException | None) -> bool:
    """Whether no more should be done here: any job may fail, and so may a look at the memory."""
    if error is None:
        return False
    device = torch.cuda.is_available() and isinstance(error, RuntimeError)
    return device or ran_out(error) or _taints(error.__cause__)


def _score_rows(spec: JobSpec, outcome: Outcome) -> list[dict[str, Any]]:
    said = spec.inputs["columns"]
    representation = spec.inputs["representation"]
    return [
        {
            **spec.columns(),
            **row,
            "unit": spec.units[row["unit"]],
            "main": row["metric"] == said["main"],
            "zero_shot": said["zero_shot"][row["unit"]],
            "overlap": said["overlap"][row["unit"]],
            "checkpoint": said["checkpoint"],
            "weights": said["weights"],
            "representation": _json(row.get("representation", representation)),
            "parameters": _json(said["parameters"]),
        }
        for row in outcome.scores
    ]


def _json(value: Any) -> str | None:
    return json.dumps(value) if value else None


def _example_rows(spec: JobSpec, outcome: Outcome) -> list[dict[str, Any]]:
    return [{**spec.columns(), **row, "unit": spec.units[row["unit"]]} for row in outcome.examples]


def _trial_row(
    spec: JobSpec, clock: Clock, status: str, message: str, outcome: Outcome
) -> dict[str, Any]:
    return {
        **spec.columns(),
        "kind": spec.kind,
        "trial": spec.trial,
        "status": status,
        "message": message,
        "parameters": json.dumps(spec.inputs.get("training", {}), sort_keys=True),
        "selections": json.dumps(outcome.selections, sort_keys=True),
        "kept": _json(outcome.kept),
        "curve": json.dumps(outcome.curve),
        "loss": outcome.loss,
        "steps": outcome.steps,
        "examples": outcome.examples_seen,
        "micro_batch": outcome.micro_batch,
        "released": spec.released,
        "started": clock.started,
        "first_batch": clock.first_batch,
        "committed": time.time(),
        **{
            f"seconds_{phase}": clock.seconds.get(phase, 0.0)
            for phase in ("setup", "data", "compute", "evaluate", "score", "save")
        },
        "peak_memory": _peak_memory(),
        "worker": f"{platform.node()}:{os.getpid()}",
        "device": device_name(forward.device()),
        "parents": json.dumps(spec.parents),
        "made_from": json.dumps(spec.made_from, sort_keys=True),
        "versions": json.dumps({name: version(name) for name in _LIBRARIES}),
    }


def _forget_peak_memory() -> None:
    """Begin a new peak: a warm worker's jobs do not inherit that of the largest before them."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux only, and not in every container; then the peak is older
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory() -> int:
    """Bytes: the GPU's peak during the attempt, else that of the process's resident memory."""
    if torch.cuda.is_available():
        peak: int = torch.cuda.max_memory_allocated()
        return peak
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _logging:
    """Sends what is logged while a job runs to the job's own file in the store."""

    def __init__(self, spec: JobSpec, files: StoreFiles) -> None:
        self.files = files
        self.name = f"logs/{spec.key}/{spec.attempt}.log"
        self.handler: logging.Handler = logging.NullHandler()

    def __enter__(self) -> None:
        try:
            path = self.files.workspace(self.name)
            self.handler = _JobLog(path, encoding="utf-8", delay=True)
        except (OSError, StoreError) as error:
            log.warning("no log of this job: %s", error)
        self.handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(self.handler)
        log.setLevel(logging.INFO)

    def __exit__(self, *_: object) -> None:
        log.removeHandler(self.handler)
        with suppress(OSError):  # the disk is full, which the job itself has met
            self.handler.close()
        try:
            self.files.publish(self.name)
        except (OSError, StoreError) as error:
            log.warning("the log of this job is lost: %s", error)


class _Redacting(logging.Formatter):
    """Keeps tokens that an error quotes (in the address of a request, say) out of the log."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class _JobLog(logging.FileHandler):
    """A log file; that it cannot be written is no reason for a job to fail."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # opening it, which the base class leaves to whoever logs
            self.handleError(record)
