"""How many small jobs share a GPU: as many as were measured to fit it side by side.

One number for a whole sweep, found when it begins, so that there is one shape of slots. It is 1
unless the store has measured work like every job that is left, on one kind of GPU.
"""

from __future__ import annotations

from sweeper.estimates import Sample, likeness
from sweeper.graph import Plan
from sweeper.prices import Prices
from sweeper.progress import Progress
from sweeper.scheduling import TRAINING, on_gpus
from sweeper.throughput import measured

MOST = 4
"""More gain little: the jobs' kernels run one after another."""
MARGIN = 1.25
"""What the allocator reserves, over what tensors took at their peak."""
CONTEXT = 1e9
"""Bytes of a GPU that CUDA itself takes per process."""


def jobs_per_gpu(progress: Progress, prices: Prices) -> int:
    """How many of the jobs that are left fit a GPU at once, by what the store measured."""
    planned = progress.plan
    searched = {name for one in planned.searches.values() for name in one.space.search}
    if searched & {"batch", "frozen_layers"}:
        return 1  # a trial may take more than those that were measured
    samples = measured(progress.files, planned, prices, progress.commits)
    known = {name: own for name, own in samples.items() if name in _gpus(samples, prices)}
    if len(known) != 1:
        return 1
    ((name, own),) = known.items()
    peak = _peak(planned, progress, own)
    memory = prices.called(name)[1].memory * 1e9
    fitting = [
        n for n in range(1, MOST + 1) if n * ((peak or memory) * MARGIN + CONTEXT) <= memory
    ]
    return max(fitting, default=1)


def _gpus(samples: dict[str, list[Sample]], prices: Prices) -> set[str]:
    """The devices of which the table says how much memory they have."""
    return {name for name in samples if name != "cpu" and prices.called(name)[0] in prices.devices}


def _peak(planned: Plan, progress: Progress, samples: list[Sample]) -> int | None:
    """The most bytes that work like the jobs that are left took; None if some is not known."""
    peaks: dict[object, int] = {}
    for one in samples:
        peaks[one.likeness[0]] = max(one.memory, peaks.get(one.likeness[0], 0))
    wanted = {
        likeness(planned, job)[0]
        for job in (planned.jobs[key] for key in progress.left)
        if on_gpus(job) == TRAINING
    }
    if not wanted or any(not peaks.get(same) for same in wanted):
        return None
    return max(peaks[same] for same in wanted)
