"""What a job takes of a host, and how many of it a cluster can run at once."""

from __future__ import annotations

import math
import time
from typing import Any

from sweeper.errors import EngineError
from sweeper.graph import Job
from sweeper.prices import Prices
from sweeper.progress import Progress


class Shapes:
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
