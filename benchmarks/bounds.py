"""What a schedule is held against: a bound that nothing beats, list scheduling, and fairness."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from sweeper.graph import Job, Plan


def pool_of(job: Job) -> str:
    """GPUs for what trains and scores, cores for what prepares data."""
    return "data" if job.kind == "prepare" else "training"


def lower_bound(planned: Plan, spent: Mapping[str, float], slots: int) -> float:
    """Seconds that no schedule beats: a pool's work over its slots, or the longest chain."""
    totals: Counter[str] = Counter()
    ends: dict[str, float] = {}
    for key, job in planned.jobs.items():
        totals[pool_of(job)] += spent.get(key, 0.0)
        ends[key] = spent.get(key, 0.0) + max((ends[need] for need in job.needs), default=0.0)
    return max(max(ends.values()), *(total / slots for total in totals.values()))


def list_schedule(
    planned: Plan, priority: Mapping[str, float], spent: Mapping[str, float], slots: int
) -> float:
    """Seconds that greedy scheduling takes: a free slot takes the most urgent ready job."""
    children = planned.children()
    lacking = {key: len(job.needs) for key, job in planned.jobs.items()}
    ready: dict[str, list[tuple[float, str]]] = {"training": [], "data": []}
    free = dict.fromkeys(ready, slots)
    running: list[tuple[float, str]] = []
    now = 0.0

    def release(keys: Iterable[str]) -> None:
        for key in keys:
            heapq.heappush(ready[pool_of(planned.jobs[key])], (-priority[key], key))

    release(key for key, count in lacking.items() if not count)
    while running or any(ready.values()):
        for pool, queue in ready.items():
            while free[pool] and queue:
                key = heapq.heappop(queue)[1]
                free[pool] -= 1
                heapq.heappush(running, (now + spent.get(key, 0.0), key))
        now, key = heapq.heappop(running)
        free[pool_of(planned.jobs[key])] += 1
        for child in children[key]:
            lacking[child] -= 1
        release(child for child in children[key] if not lacking[child])
    return now


def overtaken(attempts: Iterable[tuple[float, float, float, float, float]]) -> int:
    """How many later jobs of no more claim were started while one waited, at most.

    Args:
        attempts: Of each: when its job was first ready, since when this attempt could have been
            started, when it was, its job's priority, and the place of its job's column. A later
            job has more claim if its priority is higher, or its column stands before.
    """
    rows = list(attempts)
    ready, _, start, priority, column = np.array(rows).T
    return max(
        int(
            (
                (ready > since) & (priority <= urgency) & (column >= place)
                & (start >= waits) & (start < begun)
            ).sum()
        )
        for since, waits, begun, urgency, place in rows
    )  # fmt: skip
