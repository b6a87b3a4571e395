"""The trainable: a warm process that pulls one item of a job per step, or holds its slot."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import ray
from ray import tune

from sweeper.engine.notice import Notice
from sweeper.errors import UnreachableError
from sweeper.jobs import JobSpec, Preempted, Progress, Pruned
from sweeper.store.files import StoreFiles

log = logging.getLogger("sweeper")

HOLD_SECONDS = 0.1
WORD_SECONDS = 1.0
"""Between two results of a hold and of a job, at least."""


class Worker(tune.Trainable):
    """Runs jobs one after another in one process; its config says which.

    ``{"store", "job", "stop", "threads", "beat"}``, the job being the store-relative file of its
    spec, ``stop`` that of the marker that ends this run, and ``beat`` the seconds between two
    results; or a hold. A class, since Tune runs function trainables off the main thread and cannot
    stop them cleanly.
    """

    def setup(self, config: dict[str, Any], environment: dict[str, str] | None = None) -> None:
        """Get ready while no job waits, and take the first one.

        Args:
            config: The first job.
            environment: Variables that the driver passes on, secrets among them.
        """
        os.environ.update(environment or {})
        if not ray.get_gpu_ids():
            # Ray hides nothing from a worker that reserved no GPU, and torch would take the first.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        # The tokenizers' own threads, which torch's setting does not reach.
        os.environ["RAYON_NUM_THREADS"] = str(config["threads"])
        self.load()
        self._items: Generator[Any] | None = None
        self._notice = Notice(busy=lambda: self._items is not None)
        self.reset_config(config)

    def load(self) -> None:
        """Import what every job needs, once per process; `work` runs a job's attempt."""
        # A quarter of the time goes to looking for garbage, of which imports make next to none.
        gc.disable()
        try:
            import torch

            from sweeper.training.memory import take_share
            from sweeper.training.work import work
        finally:
            gc.enable()
        take_share()
        self.work, self.set_threads = work, torch.set_num_threads

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Put the next job, or a hold, on this warm worker."""
        self.cleanup()
        self.set_threads(new_config["threads"])
        self._beat = new_config["beat"]
        if not new_config["hold"]:
            self._files = StoreFiles(new_config["store"])
            self._stop = new_config["stop"]
            self._looked = time.monotonic()
            self._spec = JobSpec.from_json(self._files.read(new_config["job"]))
            self._is_judged = False  # whether the driver was told what the trial is worth by now
            self._items = self.work(self._spec, self._files)
        return True

    def step(self) -> dict[str, Any]:
        """Some of the job's items as one result; its last is done."""
        if self._items is None:
            time.sleep(max(HOLD_SECONDS, self._beat))
            return {"done": False}
        if self._is_judged and (record := self._find(self._spec.pruned)):
            return self._end(self._items.throw(Pruned(record["why"])))
        speaks = time.monotonic() + max(WORD_SECONDS, self._beat)
        while True:
            item = next(self._items)
            if not isinstance(item, Progress):
                return self._end(item)
            why = self._notice()
            if why:
                return self._end(self._items.throw(Preempted(f"preempted: {why}")))
            self._is_judged = bool(item.values)
            if self._is_judged or time.monotonic() >= speaks:
                break
        if self._is_stopped():
            # However long the saving takes, the driver waits for this result.
            self.cleanup()
            return {"done": True, "status": "stopped"}
        return {"done": False, **asdict(item)}

    def _is_stopped(self) -> bool:
        now = time.monotonic()
        if now - self._looked < self._files.look_every:
            return False
        self._looked = now
        return self._find(self._stop) is not None

    def _find(self, name: str) -> dict[str, Any] | None:
        """What the driver has left for us; nothing while the store does not answer."""
        try:
            return self._files.find(name)
        except UnreachableError as error:  # no reason to lose a training: the next look may tell
            log.warning("%s", error)
            return None

    def _end(self, result: Any) -> dict[str, Any]:
        self._items = None
        if result.leaves:
            # The failure is in the store, where the driver finds it; a fresh process takes over.
            os._exit(1)
        return {"done": True, **asdict(result)}

    def cleanup(self) -> None:
        """Stop what runs; a training saves a resume point first."""
        if self._items is not None:
            self._items.close()
            self._items = None
