"""The trainable: a warm process that pulls one item of a job per step, or holds its slot."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any

import ray
from ray import tune

from sweeper.jobs import JobSpec, Progress
from sweeper.store.files import StoreFiles

HOLD_SECONDS = 0.1


class Worker(tune.Trainable):
    """Runs jobs one after another in one process; its config says which.

    ``{"store", "job", "stop", "threads"}``, the job being the store-relative file of its spec and
    ``stop`` that of the marker that ends this run; or a hold. A class, since Tune runs function
    trainables off the main thread and cannot stop them cleanly.
    """

    def setup(self, config: dict[str, Any], secrets: Mapping[str, str] | None = None) -> None:
        """Import what every job needs while no job waits, and take the first one.

        ``secrets`` are the driver's tokens and keys: environment variable -> value.
        """
        os.environ.update(secrets or {})
        if not ray.get_gpu_ids():
            # Ray hides nothing from a worker that reserved no GPU, and torch would take the first.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        # The tokenizers' own threads, which torch's setting does not reach.
        os.environ["RAYON_NUM_THREADS"] = str(config["threads"])
        import torch

        from sweeper.training import work

        self._torch, self._work = torch, work
        self._items: Generator[Any] | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Put the next job, or a hold, on this warm worker."""
        self.cleanup()
        self._torch.set_num_threads(new_config["threads"])
        if not new_config["hold"]:
            self._files = StoreFiles(new_config["store"])
            self._stop = new_config["stop"]
            spec = JobSpec.from_json(self._files.read(new_config["job"]))
            self._items = self._work.work(spec, self._files)
        return True

    def step(self) -> dict[str, Any]:
        """One item of the job as a result; its last is done."""
        if self._items is None:
            time.sleep(HOLD_SECONDS)
            return {"done": False}
        item = next(self._items)
        if not isinstance(item, Progress):
            return self._end(item)
        if self._files.exists(self._stop):
            # However long the saving takes, the driver waits for this result.
            self.cleanup()
            return {"done": True, "status": "stopped"}
        return {"done": False, **asdict(item)}

    def _end(self, result: Any) -> dict[str, Any]:
        self._items = None
        if result.tainted:
            # The failure is in the store, where the driver finds it; a fresh process takes over.
            os._exit(1)
        return {"done": True, **asdict(result)}

    def cleanup(self) -> None:
        """Stop what runs; a training saves a resume point first."""
        if self._items is not None:
            self._items.close()
            self._items = None
