"""The best epoch per selection split, kept while a training runs."""

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
    ``told`` at once where somebody may stop the training for it.

    Attributes:
        best: per selection ``{"epoch", "metric", "value", "loss"}``.
        states: per epoch that is somebody's best, its weights.
    """

    def __init__(
        self,
        head: Head,
        selections: Mapping[str, Selection],
        runner: scoring.Runner,
        *,
        told: bool = False,
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

    def evaluate(
        self, model: Heads, epoch: int, step: int
    ) -> Generator[Progress, None, dict[str, Any]]:
        """See `sweeper.training.loop.EpochEnd`."""
        units = {name: selection.features for name, selection in self._selections.items()}
        scored = yield from scoring.run(model, units, self._runner, "evaluate")
        found = {name: self._record(name, scored[name], epoch) for name in units}
        for name, record in found.items():
            if name not in self.best or self._rank(record) > self._rank(self.best[name]):
                self.best[name] = record
        named = {record["epoch"] for record in self.best.values()}
        if epoch in named:
            self.states[epoch] = {
                name: tensor.to("cpu", copy=True) for name, tensor in weights(model).items()
            }
        self.states = {number: state for number, state in self.states.items() if number in named}
        fields = ("metric", "value", "loss")
        return {"selections": {n: {f: r[f] for f in fields} for n, r in found.items()}}

    def values(self, curve: Sequence[Mapping[str, Any]]) -> list[float]:
        """See `sweeper.training.loop.EpochEnd`."""
        return values(curve) if self._told else []

    def saved(self) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """See `sweeper.training.loop.EpochEnd`."""
        return {"best": self.best}, {checkpoint(k): state for k, state in self.states.items()}

    def restore(self, data: dict[str, Any], tensors: dict[str, Tensors]) -> None:
        """See `sweeper.training.loop.EpochEnd`."""
        self.best = data["best"]
        epochs = {record["epoch"] for record in self.best.values()}
        self.states = {epoch: tensors[checkpoint(epoch)] for epoch in epochs}

    def _record(self, name: str, scored: scoring.Scored, epoch: int) -> dict[str, Any]:
        selection = self._selections[name]
        evaluation = kinds.get(selection.card.kind).evaluate(
            selection.card, selection.examples, selection.features, scored.outputs
        )
        value = float(evaluation.metrics[self._metric])
        loss = scored.loss
        if not math.isfinite(value) or not (loss is None or math.isfinite(loss)):
            raise Diverged(f"epoch {epoch}: {self._metric} or loss on {name} is not finite")
        return {"epoch": epoch, "metric": self._metric, "value": value, "loss": scored.loss}

    def _rank(self, record: dict[str, Any]) -> tuple[float, float]:
        """What is larger is better; the earlier of two equal ones stays."""
        loss = record["loss"]
        return self._sign * record["value"], -(math.inf if loss is None else loss)


def values(curve: Sequence[Mapping[str, Any]]) -> list[float]:
    """What each epoch of a trial's curve was worth: the mean over its selection splits."""
    return [fmean(one["value"] for one in row["selections"].values()) for row in curve]


def checkpoint(epoch: int) -> str:
    """The name of the folder (and of the kept tensors) of an epoch's weights."""
    return f"epoch={epoch}"
