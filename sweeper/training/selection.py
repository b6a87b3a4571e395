"""The best epoch per selection split, and the mean of all, kept while a training runs."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pyarrow as pa

from sweeper.errors import ModelError
from sweeper.jobs import Progress
from sweeper.tasks import kinds
from sweeper.tasks.card import Card
from sweeper.training import kinds as torch_kinds
from sweeper.training import scoring
from sweeper.training.averaging import AVERAGED, RunningMean
from sweeper.training.loop import Diverged, weights
from sweeper.training.models import Head, Heads
from sweeper.training.resume import Tensors


@dataclass(frozen=True)
class Selection:
    """A split that picks an epoch: its task, its prepared features and examples."""

    card: Card
    features: pa.Table
    examples: pa.Table


class BestEpochs:
    """Evaluates every selection after every epoch, and keeps the weights of the best ones.

    Higher metric wins (for a loss, lower); ties: lower loss, then the earlier epoch. Weights are
    copied to main memory, once per epoch that is somebody's best. What each epoch was worth is
    ``told`` at once where somebody may stop the training for it. Where the ``mean`` of all epochs
    is taken, it is evaluated at the end, and chooses nothing.

    Attributes:
        best: per selection ``{"epoch", "metric", "value", "loss"}``.
        states: per epoch that is somebody's best, its weights.
        mean: Of the weights of all epochs so far; None where nobody asked for it.
        averaged: per selection what that mean was worth, once the training has ended.
    """

    def __init__(
        self,
        head: Head,
        selections: Mapping[str, Selection],
        runner: scoring.Runner,
        *,
        told: bool = False,
        mean: RunningMean | None = None,
    ) -> None:
        for name, selection in selections.items():
            card = selection.card
            labels = tuple(card.labels) if torch_kinds.get(head.kind).labelled else head.labels
            if (card.kind, labels) != (head.kind, head.labels):
                raise ModelError(
                    f"The selection split {name} is of kind {card.kind} with labels "
                    f"{list(card.labels)}; {head.task} is trained as {head.kind} with labels "
                    f"{list(head.labels)}. They must be the same: mend one of the cards."
                )
        self._selections = dict(selections)
        self._runner = runner
        self._told = told
        self._metric = kinds.get(head.kind).metric
        self._sign = 1.0 if kinds.get(head.kind).higher_is_better else -1.0
        self.best: dict[str, dict[str, Any]] = {}
        self.states: dict[int, Tensors] = {}
        self.mean = mean
        self.averaged: dict[str, dict[str, Any]] = {}

    def evaluate(
        self, model: Heads, epoch: int, step: int
    ) -> Generator[Progress, None, dict[str, Any]]:
        """See `sweeper.training.loop.EpochEnd`."""
        scored = yield from scoring.run(model, self._units(), self._runner, "evaluate")
        found = {name: self._record(name, one, epoch) for name, one in scored.items()}
        for name, record in found.items():
            if name not in self.best or self._rank(record) > self._rank(self.best[name]):
                self.best[name] = record
        named = {record["epoch"] for record in self.best.values()}
        if epoch in named:
            self.states[epoch] = {
                name: tensor.to("cpu", copy=True) for name, tensor in weights(model).items()
            }
        self.states = {number: state for number, state in self.states.items() if number in named}
        if self.mean:
            self.mean.add(model)
        return {"selections": {n: {f: r[f] for f in _MEASURED} for n, r in found.items()}}

    def finish(self, model: Heads) -> Generator[Progress, None, None]:
        """See `sweeper.training.loop.EpochEnd`."""
        if self.mean is None:
            return
        with self.mean.in_place(model):
            scored = yield from scoring.run(model, self._units(), self._runner, "evaluate")
        self.averaged = {name: self._measured(name, one) for name, one in scored.items()}

    def values(self, curve: Sequence[Mapping[str, Any]]) -> list[float]:
        """See `sweeper.training.loop.EpochEnd`."""
        return values(curve) if self._told else []

    def saved(self) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """See `sweeper.training.loop.EpochEnd`."""
        kept = {checkpoint(epoch): state for epoch, state in self.states.items()}
        if not (self.mean and self.mean.count):
            return {"best": self.best}, kept
        kept[_mean_of(self.mean.count)] = self.mean.tensors
        return {"best": self.best, "averaged": self.mean.count}, kept

    def restore(self, data: dict[str, Any], tensors: dict[str, Tensors]) -> None:
        """See `sweeper.training.loop.EpochEnd`."""
        self.best = data["best"]
        epochs = {record["epoch"] for record in self.best.values()}
        self.states = {epoch: tensors[checkpoint(epoch)] for epoch in epochs}
        if count := data.get("averaged"):
            self.mean = RunningMean(count, tensors[_mean_of(count)])

    def _units(self) -> dict[str, pa.Table]:
        return {name: selection.features for name, selection in self._selections.items()}

    def _measured(self, name: str, scored: scoring.Scored) -> dict[str, Any]:
        selection = self._selections[name]
        evaluation = kinds.get(selection.card.kind).evaluate(
            selection.card, selection.examples, selection.features, scored.outputs
        )
        found = {"value": float(evaluation.metrics[self._metric]), "loss": scored.loss}
        finite = {k: v if v is not None and math.isfinite(v) else None for k, v in found.items()}
        return {"metric": self._metric, **finite}

    def _record(self, name: str, scored: scoring.Scored, epoch: int) -> dict[str, Any]:
        found = self._measured(name, scored)
        if found["value"] is None or (found["loss"] is None) != (scored.loss is None):
            raise Diverged(f"epoch {epoch}: {self._metric} or loss on {name} is not finite")
        return {"epoch": epoch, **found}

    def _rank(self, record: dict[str, Any]) -> tuple[float, float]:
        """What is larger is better; the earlier of two equal ones stays."""
        loss = record["loss"]
        return self._sign * record["value"], -(math.inf if loss is None else loss)


def values(curve: Sequence[Mapping[str, Any]]) -> list[float]:
    """What each epoch of a trial's curve was worth: the mean over its selection splits."""
    return [fmean(one["value"] for one in row["selections"].values()) for row in curve]


_MEASURED = ("metric", "value", "loss")


def _mean_of(epochs: int) -> str:
    """The name of the kept tensors of a mean: those of another epoch have another name."""
    return f"{AVERAGED}={epochs}"


def checkpoint(epoch: int) -> str:
    """The name of the folder (and of the kept tensors) of an epoch's weights."""
    return f"epoch={epoch}"
