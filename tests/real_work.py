"""A driver whose jobs are truly done, in this process: real data, real trainings, no Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from helpers import Hurried

from sweeper.engine.dispatch import Dispatcher, Event
from sweeper.jobs import JobSpec, Result
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.training.work import work
from sweeper.tuning.searches import Searches

SMALL: dict[str, Any] = {
    "name": "small",
    "base": {
        "scratch": {
            "text": "demo_text", "vocabulary": 300, "layers": 1, "hidden": 8, "heads": 2,
            "feed_forward": 16, "max_length": 48, "training": {"batch": 16, "steps": 4},
        }
    },
    "intermediates": {"surface": None},
    "targets": {"topic": {"languages": ["qaa", "qab"]}},
    "seeds": [0],
    "limits": {"train": 40, "dev": 10, "test": 12},
    "training": {"learning_rate": 1e-3, "batch": 16, "epochs": 1, "max_length": 48},
    "spaces": {"topic": {"search": {"learning_rate": [3e-4, 1e-3]}}},
}  # fmt: skip
"""Every kind of job; a few seconds of work."""


def small(**changes: Any) -> Study:
    """The small study with some keys changed."""
    return Study.model_validate({**SMALL, **changes})


SMALLEST: dict[str, Any] = {
    **SMALL,
    "intermediates": {},
    "targets": {"demo_retrieval": {"languages": ["qab"]}},
    "training": {**SMALL["training"], "dropout": 0.0},
    "spaces": {},
}
"""One training, of a few steps, and one scoring."""


def smallest(**changes: Any) -> Study:
    """The smallest study with some keys changed."""
    return Study.model_validate({**SMALLEST, **changes})


Work = Callable[[JobSpec, StoreFiles], Iterable[Any]]


class Run:
    """One run of a study against a store; `go` works until nothing is left or it stops.

    Attributes:
        events: All that was said.
        specs: Every attempt, in order.
    """

    def __init__(self, study: Study, store: Path | str) -> None:
        torch.set_num_threads(1)
        self.files = StoreFiles(store, create=True)
        planned = plan(study)
        self.progress = Progress(planned, resolve(planned, self.files), self.files, failures=False)
        self.events: list[Event] = []
        self.specs: list[JobSpec] = []
        self.dispatcher = Dispatcher(
            self.progress,
            Searches(self.progress),
            pool_of=lambda job: "training",
            slots=lambda: {"training": 1},
            listener=self.events.append,
            clock=Hurried(),
        )

    def go(self, before: Callable[[JobSpec], None] = lambda spec: None, doing: Work = work) -> Run:
        """Do one job after another; ``before`` each, the caller may break something."""
        while not self.dispatcher.finished and (given := self.next()):
            before(given[1])
            self._do(*given, doing)
        return self

    def next(self) -> tuple[str, JobSpec] | None:
        """Begin the next attempt: its trial's name and spec."""
        given = self.dispatcher.next(trial := f"t{len(self.specs)}")
        if not isinstance(given, JobSpec):
            return None
        self.specs.append(given)
        return trial, given

    def give(self, key: str) -> tuple[str, JobSpec]:
        """Do all that comes before a job, and begin that one, which the caller is to do."""
        while given := self.next():
            if given[1].key == key:
                return given
            self._do(*given, work)
        raise AssertionError(f"it ended before {key}: {self.ran}")

    def _do(self, trial: str, spec: JobSpec, doing: Work) -> None:
        *_, last = doing(spec, self.files)
        ended = isinstance(last, Result)  # else its worker was killed
        self.dispatcher.ended(trial, {"done": True, **asdict(last)} if ended else None)

    def weights(self, key: str) -> Path:
        """The file of a stage's weights."""
        commit = self.progress.addressing.commit(key)
        assert commit
        return self.files.local(f"{commit.folder}/checkpoint/model.safetensors")

    @property
    def ran(self) -> list[str]:
        """The keys of all attempts."""
        return [spec.key for spec in self.specs]

    def said(self, what: str) -> list[str]:
        """The messages of one kind of event."""
        return [event.message for event in self.events if event.what == what]
