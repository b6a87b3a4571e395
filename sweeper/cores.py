"""How many cores there are to work with."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def cores_here() -> int:
    """The cores that this process may use: its affinity, and its container's limit if any."""
    own = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        own = min(own, max(1, int(quota) // int(period)))
    return own
