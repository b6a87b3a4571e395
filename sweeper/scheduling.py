"""How long a plan's jobs take on so many slots: a bound that nothing beats, and a schedule."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from sweeper.graph import Job, Plan

TRAINING, DATA = "training", "data"

Pools: TypeAlias = Callable[[Job], str]
"""Which pool of slots a job runs in."""


def on_gpus(job: Job) -> str:
    """With GPUs: those for what trains and scores, cores for what prepares data."""
    return DATA if job.kind == "prepare" else TRAINING


def on_cores(job: Job) -> str:
    """Without GPUs: the cores are for everything."""
    return TRAINING


def longest_chain(planned: Plan, spent: Mapping[str, float]) -> list[str]:
    """The jobs, each needing the one before, that take longest; other jobs take no time."""
    ends: dict[str, float] = {}
    before: dict[str, str] = {}
    for key, job in planned.jobs.items():
        latest = max(job.needs, key=ends.__getitem__, default="")
        ends[key] = spent.get(key, 0.0) + (ends[latest] if latest else 0.0)
        before[key] = latest
    key = max(ends, key=ends.__getitem__, default="")
    chain = []
    while key:
        chain.append(key)
        key = before[key]
    return [key for key in reversed(chain) if spent.get(key)]


def lower_bound(
    planned: Plan, spent: Mapping[str, float], slots: Mapping[str, int], pool_of: Pools = on_gpus
) -> float:
    """Seconds that no schedule beats: a pool's work over its slots, or the longest chain."""
    totals: dict[str, float] = defaultdict(float)
    for key, seconds in spent.items():
        totals[pool_of(planned.jobs[key])] += seconds
    chain = sum(spent[key] for key in longest_chain(planned, spent))
    return max(chain, *(totals[pool] / count for pool, count in slots.items()))


def list_schedule(
    planned: Plan,
    priority: Mapping[str, float],
    spent: Mapping[str, float],
    slots: Mapping[str, int],
    pool_of: Pools = on_gpus,
) -> float:
    """Seconds that greedy scheduling takes: a free slot takes the most urgent ready job.

    Args:
        planned: The jobs and what each needs.
        priority: Key -> the higher, the earlier.
        spent: Key -> seconds; a job that is not in it is done, or not wanted, and takes none.
        slots: How many jobs run at once in each pool.
        pool_of: The pool of a job.
    """
    children = planned.children()
    lacking = {
        key: sum(need in spent for need in planned.jobs[key].needs)
        for key in planned.jobs
        if key in spent
    }
    ready: dict[str, list[tuple[float, str]]] = {pool: [] for pool in slots}
    free = dict(slots)
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
                heapq.heappush(running, (now + spent[key], key))
        now, key = heapq.heappop(running)
        free[pool_of(planned.jobs[key])] += 1
        below = [child for child in children[key] if child in lacking]
        for child in below:
            lacking[child] -= 1
        release(child for child in below if not lacking[child])
    return now
