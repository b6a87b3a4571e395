"""A large study, and workers that commit made-up outcomes: what the benchmarks of scale share.

The study is the shipped ``xtreme`` with more seeds and without the two tasks that are not on the
hub; 39 seeds are 10,133 jobs. Nothing is downloaded: every dataset of the hub has one made-up
commit, so the store's snapshot, addresses and markers are of the true shape and size.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from sweeper.graph import Plan
from sweeper.jobs import JobSpec
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.store import tables
from sweeper.store.drivers import Driver, Drivers
from sweeper.store.files import StoreFiles
from sweeper.store.leases import Leases
from sweeper.store.markers import commit
from sweeper.study import Study
from sweeper.tasks import hub

_NOT_ON_THE_HUB = ("ccg", "bucc2018")
_COMMIT = "0123456789abcdef" * 2 + "01234567"

EXAMPLES = 20
"""Of each language that is scored."""

SLEEP = "SWEEPER_SLEEP"
"""The environment variable that tells `benchmarks.sleeper` how long a job is, in seconds."""


def large_study(seeds: int) -> Study:
    """The shipped study `xtreme` with so many seeds: 32 jobs, and 259 per seed."""
    said = json.loads(Study.load("xtreme").model_dump_json(exclude_unset=True))
    for rows in ("intermediates", "targets"):
        said[rows] = {k: v for k, v in said[rows].items() if k not in _NOT_ON_THE_HUB}
    for row in said["intermediates"].values():
        for stage in row["stages"]:
            stage["tasks"] = [task for task in stage["tasks"] if task not in _NOT_ON_THE_HUB]
    # A model of which no sizes are known: the benchmarks' checkpoints need no disk.
    base = {"model": "example/encoder"}
    changes = {"name": "large", "data": "hub", "base": base, "seeds": list(range(seeds))}
    return Study.model_validate(said | changes)


def started(study: Study, files: StoreFiles) -> tuple[Progress, Driver]:
    """A driver and the progress of its study, the snapshot in the store, as in `sweeper run`."""
    planned, driver = plan(study), Driver(files, study.name)
    leases = Leases(driver, Drivers(files))
    with _hub_of_one_commit():
        resolved = resolve(planned, files)
    return Progress(planned, resolved, files, failures=False, leases=leases), driver


@contextmanager
def _hub_of_one_commit() -> Iterator[None]:
    """Let the hub know every dataset and model, at one made-up commit."""

    class Hub:
        def dataset_info(self, *_: Any, **__: Any) -> Any:
            return SimpleNamespace(sha=_COMMIT)

        model_info = dataset_info

    try:
        with mock.patch("huggingface_hub.HfApi", Hub):
            yield
    finally:
        hub.look_up.cache_clear()  # asked once per process, and the answers were made up


def work(files: StoreFiles, spec: JobSpec, *, rows: bool = False) -> None:
    """Do what a worker does at a job's end: a file, its rows of the tables if wished, the marker.

    A score has `EXAMPLES` rows of examples per language. The outcome depends on the address alone,
    as a true training's would.
    """
    (files.attempt_folder(spec.address, spec.attempt) / "made").write_text(spec.key)
    made = files.publish(f"attempts/{spec.address}/{spec.attempt}")
    selections = _selections(spec)
    if rows:
        name = f"{spec.address}-{spec.attempt}"
        if spec.kind == "score":
            scores = list(_scores(spec))
            made.append(tables.write(files, "scores", name, scores))
            examples = [one for row in scores for one in _examples(spec, row)]
            made.append(tables.write(files, "examples", name, examples))
        made.append(tables.write(files, "trials", name, [_trial(spec, selections)]))
    commit(
        files,
        address=spec.address,
        generation=spec.generation,
        attempt=spec.attempt,
        job=spec.key,
        kind=spec.kind,
        units=spec.units,
        made=made,
        outcome={"status": "done", "message": "", "selections": selections},
    )


def _selections(spec: JobSpec) -> dict[str, dict[str, Any]]:
    chance = random.Random(spec.address)
    found = {}
    for name in spec.inputs.get("selections", {}):
        epoch = chance.randint(1, spec.inputs["training"]["epochs"])
        value, loss = round(50 + 40 * chance.random(), 2), round(chance.random(), 4)
        said = {"epoch": epoch, "metric": "f1", "value": value, "loss": loss}
        found[name] = {**said, "checkpoint": f"epoch={epoch}"}
    return found


def _examples(spec: JobSpec, score: dict[str, Any]) -> Iterator[dict[str, Any]]:
    right = round(EXAMPLES * score["value"] / 100)
    place = {name: score[name] for name in ("unit", "split", "language")}
    for number in range(EXAMPLES):
        said = {"id": str(number), "gold": "a", "predicted": "ab"[number >= right]}
        correct = number < right
        yield {**spec.columns(), **place, **said, "correct": correct, "score": 100.0 * correct}


def _scores(spec: JobSpec) -> Iterator[dict[str, Any]]:
    said = spec.inputs["columns"]
    for unit, address in spec.units.items():
        split, language = unit.split("/")
        yield {
            **spec.columns(),
            "unit": address,
            "split": split,
            "language": language,
            "metric": said["main"],
            "value": 100.0 * random.Random(address).randint(EXAMPLES // 3, EXAMPLES) / EXAMPLES,
            "n": EXAMPLES,
            "main": True,
            "zero_shot": said["zero_shot"][unit],
            "overlap": said["overlap"][unit],
            "checkpoint": said["checkpoint"],
        }


def _trial(spec: JobSpec, selections: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    return {
        **spec.columns(),
        "kind": spec.kind,
        "trial": spec.trial,
        "status": "done",
        "parameters": json.dumps(spec.inputs.get("training", {})),
        "selections": json.dumps(selections),
        "released": spec.released,
        "started": now,
        "committed": now,
        "worker": "made-up:0",
        "parents": json.dumps(spec.parents),
    }


def size(planned: Plan) -> str:
    """A plan's jobs in words."""
    return f"{len(planned.jobs):,} jobs, {len(planned.searches):,} searches"
