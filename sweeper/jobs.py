"""What a worker is given, what it says while it works, and what it hands back.

Plain data only: a job knows neither Ray nor the plan that it came from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KINDS = ("prepare", "train", "tune", "score")


@dataclass(frozen=True)
class JobSpec:
    """One attempt at one job: everything a worker needs, as JSON-able data.

    ``units`` are the parts of the job that the store lacks (name -> address), ``made_from`` says
    what each address is the digest of, to be kept with what is made. ``inputs`` depends on
    ``kind`` (see `sweeper.inputs`), ``reads`` names the markers that vouch for what they refer to.
    ``pruned`` names the record that stops a trial early, if it comes to be in the store; empty
    where nothing does.
    """

    key: str
    kind: str
    address: str
    attempt: str
    study: str
    units: dict[str, str]
    inputs: dict[str, Any]
    intermediate: str = ""
    target: str = ""
    seed: int | None = None
    trial: int | None = None
    parents: tuple[str, ...] = ()
    made_from: dict[str, dict[str, Any]] = field(default_factory=dict)
    generation: int = 0
    released: float = 0.0
    pruned: str = ""
    reads: tuple[str, ...] = ()

    def columns(self) -> dict[str, Any]:
        """The columns that name this job in every table of the store."""
        names = ("address", "attempt", "study", "intermediate", "target", "seed")
        return {"job": self.key, **{name: getattr(self, name) for name in names}}

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON-able data."""
        return dict(vars(self))  # `asdict` would copy every input, deeply

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> JobSpec:
        """The spec that `to_json` wrote."""
        return cls(**{**data, "parents": tuple(data["parents"]), "reads": tuple(data["reads"])})


@dataclass(frozen=True)
class Progress:
    """A sign of life: how far the job is (``step`` of ``steps`` in ``phase``).

    ``values`` are what a trial was worth after each epoch so far: the driver may stop it for them.
    """

    phase: str
    step: int = 0
    steps: int = 0
    message: str = ""
    values: tuple[float, ...] = ()


class Interrupted(Exception):
    """Thrown into a running job to end it early: what can go on later is saved first.

    ``reached`` is how far a training was, for its row of `trials`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.reached: Outcome | None = None


class Preempted(Interrupted):
    """The process is about to be taken away; the job goes on in another one."""


class Pruned(Interrupted):
    """The driver stops a trial early; another study may let it go on."""


@dataclass
class Outcome:
    """What one attempt brought.

    ``selections`` (tune only): per selection split its best epoch, ``{name: {"epoch", "metric",
    "value" (percent), "loss" (nats), "checkpoint" (folder inside the attempt)}}``, and ``values``
    their mean after each epoch; ``kept`` has what is kept besides, ``{"last": {"epoch",
    "checkpoint", "selections"}, "averaged": {"epochs" (how many), ...}}`` with metric, value and
    loss per selection split; ``scores`` and ``examples`` (score only) are rows of the store's
    tables without the columns that name the job.
    ``skipped`` (prepare only) counts, per unit, the broken rows that were left out.
    ``micro_batch`` is how many examples were on the device at once, where a batch did not fit it.
    """

    status: str = "done"
    message: str = ""
    selections: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    scores: list[dict[str, Any]] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    examples_seen: int = 0
    micro_batch: int | None = None
    loss: float | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """A worker's last word on an attempt; ``error`` is its class (`training.causes.classify`)."""

    status: str  # done, diverged, failed
    error: str = ""
    message: str = ""
    seconds: float = 0.0
    leaves: bool = False  # no other job on this process: it is taken away, or its device ill


class Clock:
    """Seconds spent per phase (setup, data, compute, evaluate, score, save), and the first batch.

    Phases do not nest: entering one pauses the phase around it.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.started = time.time()
        self.first_batch: float | None = None
        self._open: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the time inside the ``with`` block to ``phase``."""
        self._lap()
        self._open.append(phase)
        try:
            yield
        finally:
            self._lap()
            self._open.pop()

    def batch(self) -> None:
        """Say that the first batch is about to be computed (later calls change nothing)."""
        if self.first_batch is None:
            self.first_batch = time.time()

    def _lap(self) -> None:
        now = time.perf_counter()
        if self._open:
            phase = self._open[-1]
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now
