"""What a schedule is held against besides its bounds (`sweeper.scheduling`): fairness."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


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
