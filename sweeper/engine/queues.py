"""The ready jobs of a pool in two orders: by how much hangs on them, and by column.

A person gains by whole columns of the matrix, so jobs that complete one go before jobs that open
one. But a chain of jobs that is a good part of all that is left must not wait: it would be what
the others wait for in the end. So the longest path goes first where it is that long, and the
column everywhere else.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection

from sweeper.graph import Plan

CRITICAL = 0.5
"""A job goes by its path where that is this share of the time that its pool's work will take."""


class Queue:
    """Ready jobs; those of equal claim go in the order in which they were ready."""

    def __init__(self) -> None:
        self._by_path: list[tuple[float, int, str]] = []
        self._by_column: list[tuple[float, float, int, str]] = []
        self._there: set[str] = set()

    def __len__(self) -> int:
        return len(self._there)

    def push(self, key: str, *, path: float, column: float, turn: int) -> None:
        """Add a job.

        Args:
            key: The job.
            path: The cost of the longest chain from it to an end.
            column: The place of the first column that it serves.
            turn: When it was first ready, counted.
        """
        self._there.add(key)
        heapq.heappush(self._by_path, (-path, turn, key))
        heapq.heappush(self._by_column, (column, -path, turn, key))

    def pop(self, left: float) -> str:
        """Take the next job.

        Args:
            left: How long the pool's work will take, in the unit of paths.
        """
        while self._by_path[0][-1] not in self._there:
            heapq.heappop(self._by_path)
        while self._by_column[0][-1] not in self._there:
            heapq.heappop(self._by_column)
        critical = -self._by_path[0][0] >= CRITICAL * left
        key = heapq.heappop(self._by_path)[-1] if critical else heapq.heappop(self._by_column)[-1]
        self._there.remove(key)
        return key


def columns_in_order(plan: Plan, done: Collection[str]) -> dict[str, float]:
    """Job -> the place of the first column that it serves; infinity if it serves none.

    Columns of which some trial or score is done stand before those that are not begun; else they
    stand in the study's order.
    """
    begun = {job.target for key, job in plan.jobs.items() if job.kind == "score" and key in done}
    begun |= {
        plan.jobs[child].target
        for key, children in plan.children().items()
        if plan.jobs[key].kind == "tune" and key in done
        for child in children
        if plan.jobs[child].kind == "score"
    }
    ordered = sorted(plan.columns, key=lambda column: column not in begun)
    place = {column: float(number) for number, column in enumerate(ordered)}
    found = dict.fromkeys(plan.jobs, math.inf)
    for key in reversed(plan.jobs):
        job = plan.jobs[key]
        if job.kind == "score":
            found[key] = place[job.target]
        for need in job.needs:
            found[need] = min(found[need], found[key])
    return found
