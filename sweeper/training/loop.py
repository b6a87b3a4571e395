"""The training loop: a generator that can be closed at any `Progress` and resumed bit by bit.

All randomness of a step (its batch, its masks, dropout) is a pure function of (rng, step), so
that weights, optimizer state and the number of steps are all that a resume point needs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor

from sweeper.errors import StoreError
from sweeper.jobs import Clock, Interrupted, Progress
from sweeper.training import forward, kinds, seeds
from sweeper.training.batches import Collated, Ints, Rows, epoch_order, mask
from sweeper.training.memory import Limit
from sweeper.training.models import Heads
from sweeper.training.resume import Point, ResumePoints, Tensors
from sweeper.training.schedule import Schedule

log = logging.getLogger("sweeper")

UNREAD = {"cpu": 1, "cuda": 32}
"""How many steps' losses are left on the device before they are read (and checked)."""


@dataclass
class Task:
    """What one task trains on: ``rows`` of ``features``."""

    features: Rows
    rows: Ints


@dataclass
class State:
    """How far a training is, and what it has recorded: all of it plain data."""

    step: int = 0
    epoch: int = 0
    seen: int = 0
    sums: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    loss: float | None = None


class EpochEnd(Protocol):
    """What happens after every epoch; its data and tensors go into the resume points."""

    def evaluate(
        self, model: Heads, epoch: int, step: int
    ) -> Generator[Progress, None, dict[str, Any]]:
        """Look at the model after ``epoch`` (from 1); what is returned joins the loss curve."""

    def finish(self, model: Heads) -> Generator[Progress, None, None]:
        """Look once more, after the last epoch; the model is left as it was."""

    def values(self, curve: Sequence[Mapping[str, Any]]) -> list[float]:
        """What is to be told at once of the epochs of a loss curve; nothing for none."""

    def saved(self) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """Plain data, and tensors that never change under their names."""

    def restore(self, data: dict[str, Any], tensors: dict[str, Tensors]) -> None:
        """Take back what `saved` gave."""


@dataclass(frozen=True)
class Pace:
    """How often a training speaks and saves, in seconds."""

    progress: float = 1.0
    resume: float = 300.0


class Diverged(Exception):
    """The loss, the gradient or the weights are no longer finite numbers."""


class Trainer:
    """One training of ``model`` (already on its device) on ``tasks``, in the order of its heads.

    ``settings`` are the fields of `sweeper.study.Training`; ``limit`` says how many rows the
    device takes at once: gradients of a batch's pieces add up to those of the batch.
    """

    def __init__(
        self,
        model: Heads,
        tasks: Sequence[Task],
        schedule: Schedule,
        settings: Mapping[str, Any],
        tokenizer: Any,
        rng: int,
        limit: Limit,
    ) -> None:
        self.model = model
        self.tasks = tasks
        self.schedule = schedule
        self.settings = settings
        self.rng = rng
        self.limit = limit
        self.where = model.encoder.device
        self.state = State(sums=[0.0] * len(tasks), counts=[0] * len(tasks))
        self.optimizer = _optimizer(model, settings)
        self._padding = int(tokenizer.pad_token_id)
        self._kinds = [kinds.trained(head) for head in model.heads]
        self._maskers = [kind.masker(tokenizer) for kind in self._kinds]
        self._orders: dict[int, tuple[int, list[Ints]]] = {}
        self._unread: list[tuple[int, int, Tensor, Tensor]] = []
        self._parameters = list(model.parameters())
        model.train()

    def run(
        self, points: ResumePoints, clock: Clock, pace: Pace, end: EpochEnd | None = None
    ) -> Generator[Progress, None, str | None]:
        """Train to the end, from the newest resume point; returns why it diverged, or None.

        Closing or interrupting the generator (or the pace) writes a resume point; a diverged one
        is never saved.
        """
        self._resume(points, end)
        said = saved = time.monotonic()
        try:
            while self.state.step < self.schedule.steps or self._epoch_is_open():
                if self.state.step == self.schedule.end(self.state.epoch):
                    yield from self._close_epoch(end, clock)
                    continue
                with clock("compute"):
                    clock.batch()
                    self._step()
                now = time.monotonic()
                if now - said >= pace.progress:
                    said = now
                    yield Progress("train", self.state.step, self.schedule.steps)
                if now - saved >= pace.resume:
                    self._save_if_it_fits(points, end, clock)
                    saved = time.monotonic()
            if end is not None:
                with clock("evaluate"):
                    yield from end.finish(self.model)
        except Diverged as error:
            return str(error)
        except (GeneratorExit, Interrupted):
            self._save_last(points, end, clock)
            raise
        return None

    def _epoch_is_open(self) -> bool:
        return self.state.epoch < self.schedule.epochs

    # ---- a step ----------------------------------------------------------------------------

    def _step(self) -> None:
        step = self.state.step
        place = self.schedule.place(step)
        collated = self._batch(step)
        if not self.model.training:  # an evaluation came between; it asks every module
            self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(step)
        with self.limit.trying(min(self.limit.size, len(collated))):
            total = self._gradient(collated, place.task)
            norm = torch.nn.utils.clip_grad_norm_(
                self._parameters, self.settings["clip"], foreach=True
            )
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        self.state.seen += len(collated)
        self._unread.append((step, place.task, total, norm))
        if len(self._unread) >= UNREAD[self.where.type]:
            self._read()

    def _gradient(self, collated: Collated, task: int) -> Tensor:
        """Add a batch's gradient, piece by piece, to the parameters' own; returns its loss."""
        kind, model = self._kinds[task], self.model.model(task)
        total = torch.zeros((), device=self.where)
        size = self.limit.size
        divisor = max(1, collated.items)
        for number, start in enumerate(range(0, len(collated), size)):
            place = seeds.seed(self.rng, seeds.STEP, self.state.step, number)
            seeds.seed_torch(place, self.where)
            piece = collated if len(collated) <= size else collated.piece(start, start + size)
            batch = forward.to_device(piece, self.where)
            with forward.autocast(self.where):
                loss = kind.loss(model, batch) / divisor
            loss.backward()
            total += loss.detach()
        return total

    def _batch(self, step: int) -> Collated:
        """The padded (and masked) batch of ``step``: a function of (rng, step)."""
        place = self.schedule.place(step)
        kind, masker = self._kinds[place.task], self._maskers[place.task]
        rows = self._order(place.task, place.epoch)[place.batch]
        collated = kind.collate(self.tasks[place.task].features, rows, self._padding)
        if masker is not None:
            draws = seeds.generator(self.rng, seeds.MASK, step).random((2, *collated.ids.shape))
            mask(collated, masker, draws, self.settings["mask_probability"])
        return collated

    def _order(self, task: int, epoch: int) -> list[Ints]:
        """The batches of a task's epoch; the last one asked for is remembered."""
        if task not in self._orders or self._orders[task][0] != epoch:
            place = (seeds.number(self.model.heads[task].task), epoch)
            batches = epoch_order(
                self.tasks[task].features,
                self.tasks[task].rows,
                self.settings["batch"],
                group=self.settings["group_by_length"],
                rng=self.rng,
                place=place,
            )
            self._orders[task] = (epoch, batches)
        return self._orders[task][1]

    def _read(self) -> None:
        """Read the losses that are still on the device: the only place where a step waits for it.

        Raises:
            Diverged: one of them, or its gradient's norm, is not finite.
        """
        if not self._unread:
            return
        unread, self._unread = self._unread, []
        values = torch.stack([torch.stack([loss, norm]) for _, _, loss, norm in unread]).tolist()
        for (step, task, _, _), (loss, norm) in zip(unread, values, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise Diverged(self._message(step, f"the loss is {loss}, its gradient {norm}"))
            self.state.sums[task] += loss
            self.state.counts[task] += 1

    def _message(self, step: int, what: str) -> str:
        rate = self.schedule.rate(step)
        return (
            f"Training diverged at step {step + 1} of {self.schedule.steps}: {what} (learning "
            f"rate {rate:.3g}, peak {self.schedule.peak:.3g}). Lower the learning rate."
        )

    def _check_weights(self) -> None:
        """Raise `Diverged` unless all weights are finite: the last step may have broken them."""
        norm = torch.nn.utils.get_total_norm([p.detach() for p in self._parameters], foreach=True)
        if not math.isfinite(float(norm)):
            raise Diverged(self._message(self.state.step - 1, "the weights are not finite"))

    # ---- an epoch --------------------------------------------------------------------------

    def _close_epoch(self, end: EpochEnd | None, clock: Clock) -> Generator[Progress, None, None]:
        """Record the epoch's loss and evaluate. Nothing is recorded until all is evaluated."""
        state = self.state
        with clock("compute"):
            self._read()
            self._check_weights()
        steps = sum(state.counts)
        row: dict[str, Any] = {"epoch": state.epoch + 1, "step": state.step}
        row["loss"] = sum(state.sums) / steps if steps else None
        if len(self.tasks) > 1:
            losses = zip(self.model.heads, state.sums, state.counts, strict=True)
            row["tasks"] = {head.task: total / n if n else None for head, total, n in losses}
        if end is not None:
            with clock("evaluate"):
                row |= yield from end.evaluate(self.model, state.epoch + 1, state.step)
        state.curve.append(row)
        state.loss = row["loss"]
        state.sums, state.counts = [0.0] * len(self.tasks), [0] * len(self.tasks)
        state.epoch += 1
        values = end.values(state.curve) if end is not None and self._epoch_is_open() else []
        if values:
            yield Progress("train", state.step, self.schedule.steps, values=tuple(values))

    # ---- resuming --------------------------------------------------------------------------

    def _save_last(self, points: ResumePoints, end: EpochEnd | None, clock: Clock) -> None:
        """Save because somebody closes us; a training that turns out diverged is left unsaved."""
        try:
            self._save_if_it_fits(points, end, clock)
        except Diverged:
            return

    def _save_if_it_fits(self, points: ResumePoints, end: EpochEnd | None, clock: Clock) -> None:
        """A point that cannot be written costs time after a fault, and not the training."""
        try:
            self._save(points, end, clock)
        except (OSError, SafetensorError, StoreError) as error:
            log.warning("no resume point at step %d: %s", self.state.step, error)

    def _save(self, points: ResumePoints, end: EpochEnd | None, clock: Clock) -> None:
        with clock("save"):
            self._read()
            self._check_weights()
            tensors = {f"model.{name}": tensor for name, tensor in weights(self.model).items()}
            for name, parameter in self.model.named_parameters():
                for key, value in self.optimizer.state.get(parameter, {}).items():
                    tensors[f"optimizer.{key}.{name}"] = value.detach()
            data, kept = end.saved() if end is not None else ({}, {})
            points.save(Point({"state": asdict(self.state), "end": data}, tensors, kept))

    def _resume(self, points: ResumePoints, end: EpochEnd | None) -> None:
        point = points.load()
        if point is None:
            return
        self.state = State(**point.data["state"])
        log.info("resumes at step %d", self.state.step)
        if end is not None:
            end.restore(point.data["end"], point.kept)
        named = dict(self.model.named_parameters())
        for name, tensor in point.tensors.items():
            family, _, rest = name.partition(".")
            if family == "model":
                with torch.no_grad():
                    named[rest].copy_(tensor)
                continue
            key, _, parameter = rest.partition(".")
            # Adam's step counters stay where its fused form wants them: beside the weights.
            moved = tensor.to(named[parameter].device)
            self.optimizer.state[named[parameter]][key] = moved


def weights(model: Heads) -> Tensors:
    """The model's parameters by name, shared ones once; the tensors themselves, not copies."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _optimizer(model: Heads, settings: Mapping[str, Any]) -> torch.optim.AdamW:
    """AdamW, fused; biases and normalisation weights (the one-dimensional ones) do not decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        [
            {
                "params": [p for p in parameters if p.ndim > 1],
                "weight_decay": settings["weight_decay"],
            },
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=settings["learning_rate"],
        fused=True,
    )
