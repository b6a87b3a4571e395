"""Small studies, and workers that commit made-up outcomes: no torch, no Ray, no data."""

from __future__ import annotations

import multiprocessing
import os
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeper.addressing import Resolved
from sweeper.engine.budget import Meter
from sweeper.engine.dispatch import Dispatcher, Event
from sweeper.graph import Job, Plan
from sweeper.jobs import JobSpec
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.store.drivers import Driver, Drivers
from sweeper.store.files import StoreFiles, digest
from sweeper.store.leases import Leases
from sweeper.store.markers import commit
from sweeper.study import Study
from sweeper.tasks.card import Card, shipped_cards
from sweeper.tuning.searches import Searches

SCRATCH = {
    "text": "demo_text", "vocabulary": 300, "layers": 1, "hidden": 8, "heads": 2,
    "feed_forward": 16, "max_length": 48,
}  # fmt: skip
SPACE = {"search": {"learning_rate": [3e-4, 1e-3]}}


SMALLEST: dict[str, Any] = {"intermediates": {}, "seeds": [0], "targets": {"tagging": None}}
"""What of `small_study` is replaced for the least that has a search."""


def small_study(**changes: Any) -> Study:
    """Two rows besides the control, a trained and a retrieval column, a grid of two."""
    said: dict[str, Any] = {
        "name": "small",
        "base": {"scratch": SCRATCH},
        "intermediates": {"supersense": None, "surface": None},
        "targets": {"tagging": None, "demo_retrieval": None},
        "seeds": [0, 1],
        "training": {"max_length": 48, "epochs": 2},
        "spaces": {"tagging": SPACE},
    }
    said = {**said, **changes}
    if "tagging" not in said["targets"]:
        # A space that no target is trained in is a slip, and refused.
        said["spaces"] = changes.get("spaces", {})
    return Study.model_validate(said)


def cards_like(name: str, count: int) -> dict[str, Card]:
    """The shipped cards, and ``count`` copies of one under the names ``<name>_0`` and so on."""
    cards = shipped_cards()
    made = {}
    for number in range(count):
        copy = f"{name}_{number}"
        # Each copy is a task of its own: the labels tell it from the others.
        update = {"name": copy, "training_task": copy, "labels": (*cards[name].labels, copy)}
        made[copy] = cards[name].model_copy(update=update)
    return {**cards, **made}


def progress_of(study: Study | Plan, files: StoreFiles, **options: Any) -> Progress:
    """The progress of a study or plan, its sources resolved."""
    planned = study if isinstance(study, Plan) else plan(study)
    return Progress(planned, resolve(planned, files), files, **options)


def addresses(progress: Progress) -> dict[str, dict[str, str] | None]:
    """Every job's units: unit name -> address."""
    return {key: progress.addressing.units(key) for key in progress.plan.jobs}


Outcome = dict[str, Any]


def outcome_of(job: Job, address: str) -> Outcome:
    """An outcome that depends on the address alone, as a true training's would."""
    if job.kind != "tune":
        return {"status": "done", "message": "", "selections": {}}
    chance = random.Random(address)
    selections = {}
    for name in job.declared["selections"]:
        epoch = chance.randint(1, 3)
        selections[name] = {
            "epoch": epoch,
            "metric": "f1",
            "value": round(100 * chance.random(), 2),
            "loss": round(chance.random(), 3),
            "checkpoint": f"epoch={epoch}",
        }
    kept = {
        "last": {"epoch": 3, "checkpoint": "epoch=3", "selections": selections},
        "averaged": {"epochs": 3, "checkpoint": "averaged", "selections": selections},
    }
    asked = {name: kept[name] for name in job.declared["keep"]}
    also = {"kept": asked} if asked else {}
    return {"status": "done", "message": "", "selections": selections, **also}


def commit_units(
    files: StoreFiles, job: Job, address: str, units: dict[str, str], *,
    generation: int = 0, attempt: str = "a", outcome: Outcome | None = None,
) -> None:  # fmt: skip
    """What a worker does at the end of a job: a file of its own, then the marker."""
    folder = files.attempt_folder(address, attempt)
    (folder / "weights").write_text(f"{job.key} {generation}")
    commit(
        files,
        address=address,
        generation=generation,
        attempt=attempt,
        job=job.key,
        kind=job.kind,
        units=units,
        made=files.publish(f"attempts/{address}/{attempt}"),
        outcome=outcome or outcome_of(job, address),
    )


def commit_job(progress: Progress, key: str, outcome: Outcome | None = None) -> None:
    """Commit what a job lacks, and tell the progress."""
    job = progress.plan.jobs[key]
    units, address = progress.missing(key), progress.attempt_address(key)
    generation = progress.generation(address)
    commit_units(
        progress.files, job, address, units, generation=generation,
        attempt=f"a{generation}", outcome=outcome,
    )  # fmt: skip
    assert progress.committed(key, address, generation)


def finish(progress: Progress, until: Callable[[str], bool] = lambda key: False) -> list[str]:
    """Commit every job that becomes ready, in the progress's order; returns their keys."""
    ran = []
    while (key := progress.take()) is not None:
        if until(key):
            break
        if not progress.claim(key):
            continue
        commit_job(progress, key)
        ran.append(key)
    return ran


class Cluster:
    """A driver with made-up workers: jobs start, and end in whatever order ``chance`` says.

    Attributes:
        runs: The key of every attempt that was begun.
        committed: Unit address -> how many times a worker did it.
    """

    def __init__(self, progress: Progress, *, slots: int = 3, chance: random.Random | None = None,
                 outcome: Callable[[JobSpec], Outcome | None] | None = None,
                 driver: Driver | None = None, shared: bool = False,
                 meter: Meter | None = None,
                 clock: Callable[[], float] | None = None) -> None:  # fmt: skip
        self.progress = progress
        self.files = progress.files
        self.chance = chance or random.Random(0)
        self.events: list[Event] = []
        self.runs: list[str] = []
        self.specs: list[JobSpec] = []
        self.committed: dict[str, int] = {}
        self.flying: dict[str, JobSpec] = {}
        self.holds: list[str] = []
        self.turns = 0
        self._slots = slots
        self._outcome = outcome or (lambda spec: None)
        self.dispatcher = Dispatcher(
            progress,
            Searches(progress),
            pool_of=lambda job: "training",
            slots=lambda: {"training": slots},
            driver=driver,
            shared=lambda: shared and progress.claims.company,
            listener=self.events.append,
            meter=meter,
            clock=clock or Hurried(),
        )

    def fill(self) -> None:
        """Start as many jobs as there are slots."""
        while len(self.flying) + len(self.holds) < self._slots:
            self.turns += 1
            trial = f"t{self.turns}"
            given = self.dispatcher.next(trial)
            if given is None:
                break
            if isinstance(given, str):
                self.holds.append(trial)
                continue
            self.flying[trial] = given
            self.runs.append(given.key)
            self.specs.append(given)

    def release_holds(self) -> None:
        """Let the holds go that the dispatcher gives up."""
        for trial in list(self.holds):
            if self.dispatcher.yields(trial):
                self.holds.remove(trial)
                self.dispatcher.ended(trial, None)

    def end(
        self, trial: str, result: dict[str, Any] | None = None, *, commits: bool = True
    ) -> None:
        """One attempt ends: with its marker, or with ``result`` alone."""
        spec = self.flying.pop(trial)
        if commits:
            job = self.progress.plan.jobs[spec.key]
            made = self._outcome(spec) or outcome_of(job, spec.address)
            if spec.kind == "score":
                made = {**made, "scored": list(spec.parents)}
            commit_units(self.files, job, spec.address, spec.units, generation=spec.generation,
                         attempt=spec.attempt, outcome=made)  # fmt: skip
            for unit in spec.units.values():
                self.committed[unit] = self.committed.get(unit, 0) + 1
            result = {"status": "done", "error": "", "message": "", "seconds": 0.1}
        self.dispatcher.ended(trial, result)

    def any(self) -> str:
        """A trial in flight, drawn."""
        return self.chance.choice(sorted(self.flying))

    def draw(self) -> str | None:
        """A trial in flight, drawn, once all slots are filled; None where nothing can run."""
        self.fill()
        if not self.flying:
            self.release_holds()
            self.fill()
        return self.any() if self.flying else None

    def run(self, most: int = 100_000) -> None:
        """Run until the dispatcher says that it is finished, or ``most`` jobs have ended."""
        for _ in range(most):
            trial = self.draw()
            if trial is None:
                assert self.dispatcher.finished or self.dispatcher.stopping
                return
            self.end(trial)
            self.release_holds()


def cluster_of(study: Study | Plan, files: StoreFiles, **options: Any) -> Cluster:
    """A driver that knows of no other, with made-up workers."""
    return Cluster(progress_of(study, files, failures=False), **options)


def states_of(cluster: Cluster) -> Counter[str]:
    """State -> how many jobs."""
    return Counter(cluster.progress.state(key) for key in cluster.progress.plan.jobs)


def keys_of(cluster: Cluster, what: str) -> list[str]:
    """The jobs of which a sort of event was told."""
    return [event.key for event in cluster.events if event.what == what]


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Hurried:
    """A clock on which an hour passes between two looks: no pause is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self.now += 3600.0
        return self.now


def leases_of(files: StoreFiles, clock: Callable[[], float], study: str = "small") -> Leases:
    """The leases of a new driver, which has a heartbeat and sees the others by a clock."""
    driver = Driver(files, study)
    driver.beat()
    return Leases(driver, Drivers(files, clock=clock))


def driven(study: Study | Plan, files: StoreFiles, clock: Callable[[], float],
           **options: Any) -> Cluster:  # fmt: skip
    """A driver with made-up workers that knows of other drivers."""
    planned = study if isinstance(study, Plan) else plan(study)
    leases = leases_of(files, clock, planned.study.name)
    progress = progress_of(planned, files, failures=False, leases=leases)
    return Cluster(progress, driver=leases.driver, **options)


def committed_units(files: StoreFiles) -> set[str]:
    """The address of every unit that some marker names."""
    found = set()
    for name in files.names("commits"):
        found |= set(files.read(f"commits/{name}")["units"].values())
    return found


def processes(count: int = 4) -> Pool:
    """Processes with this one's environment: a fork server's children have that of its start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["s3fs", "sweeper.store.bucket", "sweeper.store.tables"])
    return context.Pool(count, _live_in, (dict(os.environ),))


def _live_in(environment: dict[str, str]) -> None:
    os.environ.update(environment)


def put(files: StoreFiles, relative: str, content: bytes | str) -> None:
    """Write a file of a store as it is, over what is there."""
    with files.writing(relative) as draft:
        draft.path.write_bytes(content.encode() if isinstance(content, str) else content)


def unrelated(name: str) -> str:
    """An address of nothing."""
    return digest({"unrelated": name})


def files_at(folder: Path) -> StoreFiles:
    """A store in a folder, made if need be."""
    return StoreFiles(folder, create=True)


@contextmanager
def quick_store() -> Iterator[StoreFiles]:
    """A store in memory where that can be, for tests that make many."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield files_at(Path(folder) / "store")


def base_only(weights: str = "w") -> Resolved:
    """A resolved base model that no folder stands behind."""
    made = {"name": "x", "ref": {"hub": "x", "revision": "r"}, "weights": weights}
    return Resolved(base={**made, "tokenizer": "t"})


def free_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
