"""A driver whose jobs are truly done, one after another in this process: no Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweeper.engine.dispatch import Dispatcher
from sweeper.engine.events import Event
from sweeper.jobs import JobSpec
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.training.work import work
from sweeper.tuning.searches import Searches
from tests.helpers import progress_of

SMALL: dict[str, Any] = {
    "name": "small",
    "base": {
        "scratch": {
            "text": "demo_text", "vocabulary": 300, "layers": 1, "hidden": 8, "heads": 2,
            "feed_forward": 16, "max_length": 48, "training": {"batch": 16, "steps": 6},
        }
    },
    "targets": {"demo_retrieval": {"languages": ["qab"]}},
    "limits": {"train": 40, "dev": 10, "test": 12},
    "training": {"max_length": 48, "batch": 16, "epochs": 1, "dropout": 0.0},
}  # fmt: skip
"""One training and one scoring."""

BASE = "train/base"


def small(**changes: Any) -> Study:
    """The small study with some keys changed."""
    return Study.model_validate({**SMALL, **changes})


class Driver:
    """A driver with one slot.

    Attributes:
        specs: Every attempt that was begun.
        events: All that was said.
    """

    def __init__(self, study: Study, store: Path) -> None:
        self.files = StoreFiles(store, create=True)
        self.progress = progress_of(study, self.files, failures=False)
        self.events: list[Event] = []
        self.specs: list[JobSpec] = []
        self.dispatcher = Dispatcher(
            self.progress,
            Searches(self.progress),
            pool_of=lambda job: "training",
            slots=lambda: {"training": 1},
            listener=self.events.append,
        )

    def next(self) -> tuple[str, JobSpec] | None:
        """The next attempt and its trial's name; None where nothing more is to do."""
        given = self.dispatcher.next(trial := f"t{len(self.specs)}")
        if not isinstance(given, JobSpec):
            return None
        self.specs.append(given)
        return trial, given

    def give(self, key: str) -> tuple[str, JobSpec]:
        """Do all that comes before a job; then its trial and spec."""
        return self.go(until=lambda spec: spec.key == key) or self._over()

    def go(
        self, until: Callable[[JobSpec], bool] = lambda spec: False
    ) -> tuple[str, JobSpec] | None:
        """Do one job after another, until there is none or the caller wants to do one itself."""
        while (given := self.next()) is not None:
            trial, spec = given
            if until(spec):
                return given
            *_, result = work(spec, self.files)
            self.dispatcher.ended(trial, {"done": True, **asdict(result)})
        return None

    def _over(self) -> tuple[str, JobSpec]:
        raise AssertionError(f"it ended before: {[spec.key for spec in self.specs]}")

    def said(self, what: str) -> list[str]:
        """The messages of one kind of event."""
        return [event.message for event in self.events if event.what == what]

    def weights(self, key: str) -> Path:
        """The file of a stage's weights."""
        commit = self.progress.addressing.commit(key)
        assert commit
        return self.files.local(f"{commit.folder}/checkpoint/model.safetensors")
