"""`run`: a study against a store, on this machine's cores or GPUs, or on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sweeper.cores import GPU_SHARE
from sweeper.disk import check_disk
from sweeper.engine.budget import Budget, Meter
from sweeper.engine.connecting import connected
from sweeper.engine.dispatch import Dispatcher
from sweeper.engine.environment import TUNE_PASSES_ON, hidden, passed_on
from sweeper.engine.events import Event
from sweeper.engine.heartbeat import beating
from sweeper.engine.nodes import check_versions
from sweeper.errors import EngineError
from sweeper.graph import Job
from sweeper.losers import drop, losers
from sweeper.planning import plan
from sweeper.prices import Prices
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.scope import Scope, outside
from sweeper.store.drivers import Driver, Drivers
from sweeper.store.files import StoreFiles, digest
from sweeper.store.leases import Leases
from sweeper.study import Study
from sweeper.tuning.searches import Searches

log = logging.getLogger("sweeper")
Listener = Callable[[Event], None]
_WAIT_SECONDS = 1.0


@dataclass
class Summary:
    """How a run ended. ``failed`` maps jobs to reasons, ``blocked`` jobs to the job above them.

    ``done`` counts the study's jobs that are done, ``trained`` those that this run did, ``hours``
    what these took of GPUs (of slots, without GPUs), and ``outside`` the cells of the matrix that
    this run was not to bring.
    """

    done: int
    trained: int
    failed: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    stopped: str = ""
    seconds: float = 0.0
    hours: float = 0.0
    outside: int = 0

    @property
    def complete(self) -> bool:
        """Whether every job that was to be done is."""
        return not (self.failed or self.blocked or self.stopped)


def run(
    study: Study | str | Path,
    store: str | Path | None = None,
    *,
    address: str | None = None,
    listener: Listener | None = None,
    watch: Callable[[Progress], contextlib.AbstractContextManager[Listener]] | None = None,
    scope: Scope | None = None,
    budget: Budget | None = None,
) -> Summary:
    """Do what a study asks for and the store lacks.

    Args:
        study: A study, or the path or shipped name of one.
        store: The store's folder, or its address in a bucket (``s3://bucket/path``); default
            ``runs/<name of the study>``.
        address: A Ray cluster's address, or "auto"; default: this machine, Ray in process.
        listener: Called with every `sweeper.engine.events.Event`.
        watch: Makes a listener for a progress, as a context that lasts as long as the run.
        scope: Do these rows, columns or jobs only, and what they need; default: everything.
        budget: What this run may spend: it stops cleanly, and the next one goes on from there.

    Raises:
        StudyError, DataError, ModelError, StoreError: before anything is started.
        EngineError: Ray could not be started or reached.
    """
    began = time.time()
    if not isinstance(study, Study):
        study = Study.load(study)
    planned = plan(study)
    ends = (scope or Scope()).ends(planned)
    meter = Meter(budget or Budget())
    files = StoreFiles(store or f"runs/{study.name}", create=True)
    said = digest(study.model_dump_json(exclude_unset=True))
    driver = Driver(files, study.name, said, asdict(scope or Scope()))
    leases = Leases(driver, Drivers(files))
    resolved = resolve(planned, files)
    progress = Progress(planned, resolved, files, failures=False, leases=leases, ends=ends)
    check_disk(planned, files.address, progress)
    stopped, did = "", 0
    if progress.left:
        with _listening(progress, listener, watch) as heard:
            stopped, did = execute(progress, driver, address, heard, meter=meter)
        leases.tidy()
    drop(progress, list(losers(progress)))
    return Summary(
        done=len(progress.done),
        trained=did,
        failed=dict(progress.failures),
        blocked=progress.blocked(),
        stopped=stopped,
        seconds=time.time() - began,
        hours=meter.hours,
        outside=outside(planned, ends) if ends is not None else 0,
    )


@contextlib.contextmanager
def _listening(
    progress: Progress, listener: Listener | None, watch: Any
) -> Iterator[Listener | None]:
    if watch is None:
        yield listener
        return
    with watch(progress) as heard:
        yield heard


def execute(
    progress: Progress,
    driver: Driver,
    address: str | None = None,
    listener: Listener | None = None,
    worker: type | None = None,
    meter: Meter | None = None,
) -> tuple[str, int]:
    """Run the plan; returns why it stopped early ("" if it did not), and how many jobs it did.

    ``worker`` is the trainable that does the jobs, by default `sweeper.engine.worker.Worker`.
    """
    with connected(address):
        if address is not None:
            check_versions()
        meter = meter or Meter(Budget())
        shapes = _Shapes(meter.budget.gpus)
        shapes.pack(progress, meter.budget.jobs_per_gpu)
        meter.share = shapes.share
        meter.unit = "GPU" if shapes.gpus else "slot"
        dispatcher = Dispatcher(
            progress,
            Searches(progress),
            pool_of=shapes.pool_of,
            slots=shapes.slots,
            driver=driver,
            # Ray in process is this driver's alone; a cluster's slots are everybody's.
            shared=lambda: address is not None and progress.claims.company,
            listener=listener,
            meter=meter,
        )
        with beating(driver, dispatcher.stop), _interruptible(dispatcher):
            _until_done(dispatcher, shapes, worker)
        if not dispatcher.stopping and progress.left:
            raise EngineError(
                f"{len(progress.left)} jobs were never started, {sorted(progress.left)[0]} among "
                "them. This is a fault of the planner: please report it with the study."
            )
        return dispatcher.stopping, dispatcher.done


def _until_done(dispatcher: Dispatcher, shapes: _Shapes, worker: type | None) -> None:
    """Tune as long as there is something to do here; between, wait for others, or for hosts.

    On a cluster that others use, Tune is left to wait: it would keep a slot which they may lack.
    """
    while True:
        if dispatcher.found_work():
            with tempfile.TemporaryDirectory(prefix="sweeper-") as scratch:
                _tune(dispatcher, shapes, scratch, worker)
        elif dispatcher.waits:
            time.sleep(_WAIT_SECONDS)
        else:
            return


def _tune(dispatcher: Dispatcher, shapes: _Shapes, scratch: str, worker: type | None) -> None:
    from ray import tune

    from sweeper.engine.hooks import HoldScheduler, PlanSearcher
    from sweeper.engine.worker import Worker

    files = dispatcher.progress.files
    # Not by a runtime environment, which Ray writes to its logs: there are secrets among them.
    environment = {**passed_on(files), GPU_SHARE: str(shapes.share)}
    passing = tune.with_parameters(worker or Worker, environment=environment)
    tuner = tune.Tuner(
        tune.with_resources(passing, shapes.request),
        tune_config=tune.TuneConfig(
            search_alg=PlanSearcher(dispatcher, files.address, shapes.threads),
            scheduler=HoldScheduler(dispatcher),
            num_samples=-1,
            max_concurrent_trials=100_000,  # the dispatcher decides how many start
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=scratch,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )
    with hidden(TUNE_PASSES_ON):
        tuner.fit()


class _Shapes:
    """The two resource shapes: a GPU (or, without GPUs, a core) for training, a core for data.

    Which of the two trains is decided once: hosts with GPUs must be there when a sweep starts.
    At most ``most`` of what trains are used at once. ``share`` jobs have a GPU together.
    """

    def __init__(self, most: int | None = None) -> None:
        self.share = 1
        self._most = most
        self._read = -math.inf
        self._slots: dict[str, int] = {}
        nodes = self._nodes()
        self.gpus = any(node.get("GPU") for node in nodes)
        # A GPU job leaves a core of its host to the jobs that prepare data.
        cores = [(int(n.get("CPU", 0)) - 1) // int(n["GPU"]) for n in nodes if n.get("GPU")]
        self.cores = min(8, max(0, min(cores))) if cores else 1
        self.threads = {"data": 1, "training": max(1, self.cores)}
        if not any(self.slots().values()):
            raise EngineError(
                "The cluster has neither cores nor GPUs for jobs (`ray status` shows what it "
                "has). Add a host to it (see cluster/README.md), then start again."
            )

    def pack(self, progress: Progress, most: int | None = None) -> None:
        """Let at most so many jobs share a GPU, as far as they fit it by what was measured."""
        if not self.gpus or not self.cores:
            return
        from sweeper.packing import jobs_per_gpu

        fitting = jobs_per_gpu(progress, Prices.load())
        self.share = min(fitting, most or fitting, self.cores)
        self.cores //= self.share
        self.threads["training"] = self.cores
        self._read = -math.inf

    def pool_of(self, job: Job) -> str:
        """Pool "data" for jobs that need no GPU where there are GPUs, else pool "training"."""
        return "data" if self.gpus and job.kind == "prepare" else "training"

    def request(self, config: dict[str, Any]) -> Any:
        """What Tune reserves for a trial."""
        from ray import tune

        gpu = {"GPU": 1 / self.share} if self.gpus and config["pool"] == "training" else {}
        cores = self.cores if gpu else 1
        return tune.PlacementGroupFactory([{"CPU": cores, **gpu}])

    def slots(self) -> dict[str, int]:
        """How many jobs of each shape the cluster as it is now can run at once."""
        if time.monotonic() - self._read > 2.0:
            self._read = time.monotonic()
            nodes = self._nodes()
            cores = sum(int(node.get("CPU", 0)) for node in nodes)
            gpus = sum(int(node.get("GPU", 0)) for node in nodes)
            if self.gpus:
                taken = gpus * self.share * self.cores
                spare = max(1, cores - taken) if cores else 0
                self._slots = {"training": gpus * self.share, "data": spare}
            else:
                self._slots = {"training": cores}
            if self._most is not None:
                most = self._most * self.share
                self._slots["training"] = min(most, self._slots["training"])
        return self._slots

    def _nodes(self) -> list[dict[str, float]]:
        """The resources of each host that is alive."""
        import ray

        return [node["Resources"] for node in ray.nodes() if node["Alive"]]


@contextlib.contextmanager
def _interruptible(dispatcher: Dispatcher) -> Iterator[None]:
    """Ctrl-C (or SIGTERM): the first saves what runs and stops, the second kills."""

    def first(number: int, frame: Any) -> None:
        name = signal.Signals(number).name
        dispatcher.stop(f"stopped by {name}")
        print(  # noqa: T201  (the person at the keyboard waits for an answer)
            f"\n{name}: saving what runs, then stopping. Once more to kill it.", file=sys.stderr
        )
        signal.signal(number, second)

    def second(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    old = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not the main thread: the caller's to handle
                old[number] = signal.signal(number, first)
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
