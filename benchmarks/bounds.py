"""What a schedule is held against besides its bounds (`sweeper.scheduling`): fairness."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def overtaken(attempts: Iterable[tuple[float, float, float, float]]) -> int:
    """How many later and no more urgent jobs were started while one waited, at most.

    Args:
        attempts: Of each: when its job was first ready, since when this attempt could have been
            started, when it was, and its job's priority.
    """
    rows = list(attempts)
    ready, _, start, priority = np.array(rows).T
    return max(
        int(((ready > since) & (priority <= urgency) & (start >= waits) & (start < begun)).sum())
        for since, waits, begun, urgency in rows
    )
