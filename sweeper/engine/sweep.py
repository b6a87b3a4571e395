"""`run`: a study against a store, on this machine's cores or GPUs, or on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
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
from sweeper.engine.interrupts import interruptible
from sweeper.engine.nodes import check_versions
from sweeper.engine.shapes import Shapes
from sweeper.errors import EngineError
from sweeper.losers import drop, losers
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.scope import Scope, needed, outside
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
    """How a run ended.

    ``failed`` maps jobs to reasons, ``blocked`` jobs to the job above them, of those that this run
    was to do. ``done`` counts the study's jobs that are done, ``trained`` those that this run
    did, ``hours`` what these took of GPUs (of slots, without GPUs), and ``outside`` the cells of
    the matrix that this run was not to bring.
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
    check_disk(planned, files.address, progress, ends)
    stopped, did = "", 0
    if progress.left:
        with _listening(progress, listener, watch) as heard:
            stopped, did = execute(progress, driver, address, heard, meter=meter)
        leases.tidy()
    drop(progress, list(losers(progress)))
    asked = planned.jobs if ends is None else needed(planned, ends)
    return Summary(
        done=len(progress.done),
        trained=did,
        failed={key: why for key, why in progress.failures.items() if key in asked},
        blocked={key: above for key, above in progress.blocked().items() if key in asked},
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
    dispatchers = list[Dispatcher]()  # none before Ray has started

    def stop(why: str) -> None:
        for one in dispatchers:
            one.stop(why)  # what is not heard yet is said again with the next beat

    # Ray takes its time to start: whoever looks meanwhile sees a sweep, and may stop it.
    with beating(driver, stop), connected(address):
        if address is not None:
            check_versions()
        meter = meter or Meter(Budget())
        shapes = Shapes(meter.budget.gpus)
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
        dispatchers.append(dispatcher)
        with interruptible(dispatcher):
            _until_done(dispatcher, shapes, worker)
        if not dispatcher.stopping and progress.left:
            raise EngineError(
                f"{len(progress.left)} jobs were never started, {sorted(progress.left)[0]} among "
                "them. This is a fault of the planner: please report it with the study."
            )
        return dispatcher.stopping, dispatcher.done


def _until_done(dispatcher: Dispatcher, shapes: Shapes, worker: type | None) -> None:
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


def _tune(dispatcher: Dispatcher, shapes: Shapes, scratch: str, worker: type | None) -> None:
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
