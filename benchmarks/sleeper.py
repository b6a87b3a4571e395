"""A worker of the engine whose jobs only sleep, show a sign of life every second, and commit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from benchmarks import world
from sweeper.engine.worker import Worker
from sweeper.jobs import JobSpec, Progress, Result
from sweeper.store.files import StoreFiles


class Sleeper(Worker):
    """The engine's worker but for torch and the training."""

    def load(self) -> None:
        """Nothing to import: sixteen processes share two cores."""
        self.work, self.set_threads = sleep, lambda threads: None


def sleep(spec: JobSpec, files: StoreFiles) -> Iterator[Progress | Result]:
    """One attempt, as `sweeper.training.work.work` has it."""
    seconds = float(os.environ[world.SLEEP])
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        yield Progress("train", 0, 0)
    world.work(files, spec)
    yield Result("done", seconds=time.monotonic() - began)
