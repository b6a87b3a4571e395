"""Which task and which of its batches each optimizer step takes, and how long training lasts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sweeper.errors import ModelError, suggest
from sweeper.training import seeds


class Place(NamedTuple):
    """A step's batch: number ``batch`` of epoch ``epoch`` of task ``task``."""

    task: int
    epoch: int
    batch: int


class Schedule:
    """The steps of a training: a pure function of (sizes, settings, rng).

    An epoch is as many steps as all tasks have batches; ``training["steps"]`` overrides the
    number of epochs. In a mixture every step draws its task (so a task's own epochs end where
    its batches do).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        sampler: Mapping[str, Any],
        training: Mapping[str, Any],
        rng: int,
    ) -> None:
        self.batches = [math.ceil(size / training["batch"]) for size in sizes]
        self.per_epoch = sum(self.batches)
        self.steps = training["steps"] or training["epochs"] * self.per_epoch
        self.epochs = math.ceil(self.steps / self.per_epoch)
        self.warmup = round(training["warmup"] * self.steps)
        self.peak = float(training["learning_rate"])
        self._tasks = np.zeros(self.steps, np.int64)
        self._turns = np.arange(self.steps)
        if len(sizes) > 1:
            share = np.cumsum(shares(sizes, sampler))
            # One uniform number per step: number n is the same however many steps there are.
            uniform = seeds.generator(rng, seeds.SAMPLER).random(self.steps)
            chosen = np.searchsorted(share / share[-1], uniform, side="right")
            self._tasks = np.minimum(chosen, len(sizes) - 1)
            for task in range(len(sizes)):
                mine = self._tasks == task
                self._turns[mine] = np.arange(int(mine.sum()))

    def place(self, step: int) -> Place:
        """The batch of ``step`` (from 0)."""
        task = int(self._tasks[step])
        return Place(task, *divmod(int(self._turns[step]), self.batches[task]))

    def end(self, epoch: int) -> int:
        """The step before which epoch number ``epoch`` (from 0) ends."""
        return min((epoch + 1) * self.per_epoch, self.steps)

    def rate(self, step: int) -> float:
        """The learning rate of ``step``: linear warm-up to the peak, then linear decay.

        No step has rate 0: the first step of the warm-up has the peak's 1/warmup.
        """
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        return self.peak * (self.steps - step) / (self.steps - self.warmup)


def shares(sizes: Sequence[int], sampler: Mapping[str, Any]) -> list[float]:
    """The probability of each task: proportional to size, uniform, or size ** (1 / temperature).

    The temperature is that of Raffel et al. 2020, section 3.5.2: 1 is proportional.
    """
    exponents = {"proportional": 1.0, "uniform": 0.0, "temperature": sampler.get("temperature")}
    name = sampler["name"]
    if name not in exponents:
        raise ModelError(f"There is no sampler {name!r}.{suggest(name, exponents)}")
    exponent = exponents[name]
    if name == "temperature":
        if not exponent:
            raise ModelError("The temperature sampler needs a temperature above 0. Give one.")
        exponent = 1 / exponent
    largest = max(sizes)
    weights = [(size / largest) ** float(exponent or 0.0) for size in sizes]
    return [weight / sum(weights) for weight in weights]
