"""What the rest of a plan takes: GPU-hours, wall time, money, disk and the longest chain.

Every job is estimated by the model of `sweeper.workload`. Where the store has done jobs with the
same encoder on the same device, the model is corrected by what they took: by the ratio of the most
similar ones that there are (`Measured`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.disk import checkpoints_needed, yet_to_do
from sweeper.errors import StudyError
from sweeper.graph import Job, Plan
from sweeper.prices import CPU, Device, Prices
from sweeper.progress import Progress
from sweeper.scheduling import DATA, TRAINING, list_schedule, longest_chain, on_cores, on_gpus
from sweeper.sizes import Encoder, encoder
from sweeper.workload import Seconds, seconds, work_of

MODEL_ERROR = 3.5
"""The factor by which the model alone may be off, either way; see `benchmarks.estimates`."""
_ERRORS = (1.2, 1.35, 1.6, MODEL_ERROR)
"""The same where it is corrected: by the same work, the same kind of task, job, or any job."""
COLD = 10.0
"""Seconds until the first worker of a run is up: imports of Ray and torch."""
BETWEEN = 0.2
"""Seconds between two jobs of a worker."""
CORES = 8
"""Cores for data that a host has per GPU."""
SMALL = 20_000_000
"""Parameters below which a study is one for a CPU, unless something else is known."""
USUAL = "a100-80gb"
"""The device that is taken else."""
SETTINGS = ("batch", "epochs", "steps", "max_length", "examples", "frozen_layers")
"""Of two trainings that differ in one of these, time or memory differ by more than a little."""
_RESUME = 3
"""A resume point has the weights and two moments of each, and where asked for their mean."""


@dataclass(frozen=True)
class Sample:
    """A job that was done: its likeness to others, most alike first, and what it took.

    ``memory`` is its peak on the device, in bytes; 0 if that is not known.
    """

    likeness: tuple[Any, ...]
    modelled: Seconds
    took: Seconds
    memory: int = 0


class Measured:
    """How much longer than modelled jobs took, by likeness."""

    def __init__(self, samples: Sequence[Sample] = ()) -> None:
        self.jobs = len(samples)
        self._alike: dict[Any, list[Sample]] = {}
        for one in samples:
            for level in one.likeness:
                self._alike.setdefault(level, []).append(one)

    def corrected(self, alike: tuple[Any, ...], modelled: Seconds) -> tuple[float, float]:
        """Seconds of a job, and the factor by which they may be off."""
        for place, level in enumerate(alike):
            if level in self._alike:
                found = self._alike[level]
                # Of sums, since sums are estimated: what happens now and then is part of them.
                ratio = sum(s.took.work for s in found) / sum(s.modelled.work for s in found)
                around = sum(s.took.around for s in found) / len(found)
                return modelled.work * ratio + around, _ERRORS[place]
        return modelled.work + modelled.around, MODEL_ERROR


def likeness(planned: Plan, job: Job) -> tuple[Any, ...]:
    """What a job has in common with others, from the closest to what all jobs share."""
    said = job.declared
    if job.kind == "prepare":
        same: Any = (said["do"], said.get("task"), said.get("split"), said.get("length"))
        kind = ""
    elif job.kind == "score":
        same, kind = (job.target, said["length"], *said["units"]), planned.cards[job.target].kind
    else:
        settings = said["training"]
        held = [settings[k] for k in SETTINGS]
        same = (tuple(said["tasks"]), *held, tuple(said.get("selections", ())))
        kind = planned.cards[said["tasks"][0]].kind
    computing = "prepare" if job.kind == "prepare" else "device"
    return (job.kind, same), (job.kind, kind), job.kind, computing


@dataclass(frozen=True)
class Schedule:
    """The rest of a plan on so many slots.

    ``wall`` is in seconds, ``held`` the hours of all slots till the end, ``cost`` their price
    (None if that is not known), ``busy`` the share of them in which a job runs, ``disk`` bytes
    (None if a checkpoint's size is not known).
    """

    slots: int
    wall: float
    held: float
    cost: float | None
    busy: float
    disk: int | None


@dataclass(frozen=True)
class Estimate:
    """What the rest of a plan takes.

    Attributes:
        name, device: Of what.
        currency: Of the costs.
        seconds: Key -> how long the job is on its slot.
        hours: Of all slots that train and score, in jobs.
        factor: By which all this may be off, either way.
        measured: How many done jobs it rests on.
        chain: The jobs, one after the other, below which no number of slots gets.
        schedules: For each number of slots that was asked for.
    """

    name: str
    device: Device
    currency: str
    seconds: dict[str, float]
    hours: float
    factor: float
    measured: int
    chain: list[str]
    schedules: list[Schedule]

    @property
    def chain_seconds(self) -> float:
        """How long the longest chain takes."""
        return sum(self.seconds[key] for key in self.chain)


def estimate(
    planned: Plan,
    progress: Progress | None,
    samples: Mapping[str, Sequence[Sample]],
    prices: Prices,
    *,
    gpu: str | None,
    slots: Sequence[int],
    cores: int,
    ends: Sequence[str] | None = None,
) -> Estimate | None:
    """Estimate what is left of a plan; None where nothing is known of its encoder.

    Args:
        planned: The plan.
        progress: It against its store; None: everything is left.
        samples: Driver's name of a device -> jobs that were done on it with this encoder.
        prices: The table of devices.
        gpu: A device of the table; None: the one measured most, else a common one.
        slots: How many at once, each to be estimated; none: 8 GPUs, or the cores of this machine.
        cores: Those of this machine.
        ends: The jobs that are wanted, with what they need, where there is no progress to tell.

    Raises:
        StudyError: no such GPU in the table, or a number of slots below 1.
    """
    wrong = [count for count in slots if count < 1]
    if wrong:
        raise StudyError(f"`--gpus` takes numbers of at least 1, such as 8,16; it has {wrong[0]}.")
    found = encoder(planned.study)
    name, device, own = _device(prices, gpu, samples, found)
    if found is None:
        return None
    measured = Measured(own)
    left = yet_to_do(planned, progress, ends)
    taken = {
        key: measured.corrected(
            likeness(planned, planned.jobs[key]),
            seconds(work_of(planned, planned.jobs[key]), found, device),
        )
        for key in planned.jobs
        if key in left
    }
    spent = {key: whole for key, (whole, _) in taken.items()}
    cpu = name == CPU
    hours = sum(s for k, s in spent.items() if cpu or planned.jobs[k].kind != "prepare") / 3600
    counts = list(slots) or [cores if cpu else 8]
    return Estimate(
        name=name,
        device=device,
        currency=prices.currency,
        seconds=spent,
        hours=hours,
        factor=_factor(taken.values()),
        measured=measured.jobs,
        chain=longest_chain(planned, spent),
        schedules=[
            _schedule(planned, progress, ends, spent, device, n, hours, cpu) for n in counts
        ],
    )


def _device(
    prices: Prices,
    gpu: str | None,
    samples: Mapping[str, Sequence[Sample]],
    found: Encoder | None,
) -> tuple[str, Device, Sequence[Sample]]:
    """The device to estimate for, and what was measured on it."""
    if gpu is not None:
        asked = prices.device(gpu)
        own = [one for name in samples if prices.called(name)[0] == gpu for one in samples[name]]
        return gpu, asked, own
    if samples:
        most = max(samples, key=lambda one: len(samples[one]))
        return *prices.called(most), samples[most]
    small = found is not None and found.parameters < SMALL
    name = CPU if small else USUAL
    if name not in prices.devices:
        raise StudyError(
            f"The price table has no {name!r}, which an estimate of this study is for where no "
            f"device is named. Name one with `--gpu`: {', '.join(prices.devices)}."
        )
    return name, prices.device(name), ()


def _schedule(
    planned: Plan,
    progress: Progress | None,
    ends: Sequence[str] | None,
    spent: Mapping[str, float],
    device: Device,
    slots: int,
    hours: float,
    cpu: bool,
) -> Schedule:
    priority = progress.urgency if progress else planned.remaining_paths()
    pools = {TRAINING: slots} if cpu else {TRAINING: slots, DATA: slots * CORES}
    longer = {key: whole + BETWEEN for key, whole in spent.items()}
    chosen = on_cores if cpu else on_gpus
    wall = list_schedule(planned, priority, longer, pools, chosen) + COLD if spent else 0.0
    held = wall * slots / 3600
    room = checkpoints_needed(planned, progress, ends)
    if room is not None and spent:
        copies = _RESUME + ("averaged" in planned.study.checkpoints)
        room += min(slots, len(spent)) * copies * (planned.checkpoint_bytes or 0)
    cost = None if device.price is None else held * device.price
    return Schedule(slots, wall, held, cost, hours / held if held else 0.0, room)


def _factor(taken: Iterable[tuple[float, float]]) -> float:
    """The mean of the jobs' factors, by their seconds: errors of like jobs do not cancel out."""
    pairs = list(taken)
    total = sum(whole for whole, _ in pairs)
    if not total:
        return 1.0
    return math.exp(sum(whole * math.log(factor) for whole, factor in pairs) / total)
