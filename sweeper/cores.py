"""How much of its machine a process has: cores, and of a GPU that it shares."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

GPU_SHARE = "SWEEPER_GPU_SHARE"
"""The variable by which a driver tells its workers how many of them share a GPU."""


def cores_here() -> int:
    """The cores that this process may use: its affinity, and its container's limit if any."""
    own = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        own = min(own, max(1, int(quota) // int(period)))
    return own


def gpu_share() -> int:
    """How many jobs share the GPU of this worker, as its driver told it."""
    return int(os.environ.get(GPU_SHARE, "1"))
