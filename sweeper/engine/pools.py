"""The slots of one resource shape, and what is on them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sweeper.jobs import JobSpec


@dataclass
class Pool:
    """Slots of one resource shape: how many there are, and what is on them."""

    slots: int
    running: dict[str, JobSpec] = field(default_factory=dict)  # trial id -> job
    holds: set[str] = field(default_factory=set)
    stopping: set[str] = field(default_factory=set)
    kept: JobSpec | None = None  # begun before there was a trial for it
    line: deque[str] = field(default_factory=deque)  # jobs handed out while a hold has their slot

    @property
    def staying(self) -> int:
        """Holds that are not told to end."""
        return len(self.holds) - len(self.stopping)
