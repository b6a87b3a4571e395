"""The trainable: a warm process that pulls one item of a job per step, or holds its slot."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ray import tune

from sweeper.jobs import JobSpec, Progress
from sweeper.store.files import StoreFiles

HOLD_SECONDS = 0.1


class Worker(tune.Trainable):
    """Runs jobs one after another in one process; its config says which.

    ``{"store", "job", "threads"}``, the job being the store-relative file of its spec, or a hold.
    A class, since Tune runs function trainables off the main thread and cannot stop them cleanly.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Import what every job needs while no job waits, and take the first one."""
        import torch

        from sweeper.training import work

        self._torch, self._work = torch, work
        self._items: Iterator[Any] | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Put the next job, or a hold, on this warm worker."""
        self.cleanup()
        self._hold = new_config["hold"]
        if not self._hold:
            self._torch.set_num_threads(new_config["threads"])
            files = StoreFiles(new_config["store"])
            spec = JobSpec.from_json(files.read(new_config["job"]))
            self._items = self._work.work(spec, files)
        return True

    def step(self) -> dict[str, Any]:
        """One item of the job as a result; its last is done."""
        if self._items is None:
            time.sleep(HOLD_SECONDS)
            return {"done": False}
        item = next(self._items)
        if isinstance(item, Progress):
            return {"done": False, **asdict(item)}
        self._items = None
        if item.tainted:
            # The failure is in the store, where the driver finds it; a fresh process takes over.
            os._exit(1)
        return {"done": True, **asdict(item)}

    def cleanup(self) -> None:
        """Stop what runs; a training saves a resume point first."""
        if self._items is not None:
            self._items.close()  # type: ignore[attr-defined]
            self._items = None
