"""Running a model over prepared units: one length-sorted stream, outputs back in row order."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from sweeper.jobs import Progress
from sweeper.training import forward, seeds
from sweeper.training.batches import IGNORE, Collated, Features, Ints, Masker, by_length, collate
from sweeper.training.models import Heads
from sweeper.training.retrieval import Representation, embed, nearest

MASKED = 0.15
"""Share of subwords that a masked LM's evaluation hides: fixed, so that trials compare."""

TOKENS = {"cpu": 4096, "cuda": 65536}
"""Padded subwords per evaluation batch: fits XLM-R Large on 16 GB."""


@dataclass
class Scored:
    """What a model said about one unit.

    Attributes:
        outputs: aligned with the feature rows, as `Kind.evaluate` wants them.
        loss: mean cross-entropy in nats; None for retrieval.
    """

    outputs: list[Any]
    loss: float | None


@dataclass(frozen=True)
class Runner:
    """How a model is run over data: what does not change from unit to unit.

    ``rows`` limits the rows of a batch (None: `TOKENS` alone limits it); ``every`` is the time
    between two `Progress` in seconds.
    """

    tokenizer: Any
    where: torch.device
    rows: int | None = None
    every: float = 1.0
    representation: Representation | None = None


def run(
    model: Heads, units: Mapping[str, pa.Table], runner: Runner, phase: str = "score"
) -> Generator[Progress, None, dict[str, Scored]]:
    """Run the (single) model of ``model`` over the feature tables of ``units``.

    All units, so all languages, make one stream of batches sorted by length. Yields `Progress`
    about once in ``runner.every`` seconds; returns what was scored, per unit.
    """
    kind = model.heads[0].kind
    features = {name: Features([table]) for name, table in units.items()}
    stream = _Stream(list(features.values()), kind, runner.tokenizer)
    batches = by_length(stream.lengths, TOKENS[runner.where.type], runner.rows)
    collected: list[tuple[torch.Tensor, ...]] = []
    counts: list[Ints] = []
    last = time.monotonic()
    model.eval()
    for number, rows in enumerate(batches):
        collated = stream.collate(rows)
        # Not around the yield: inference mode would leak into whoever runs the generator.
        with torch.inference_mode(), forward.autocast(runner.where):
            batch = forward.to_device(collated, runner.where)
            if kind == "sentence_retrieval":
                vectors = embed(model.encoder, batch, runner.representation or Representation())
                collected.append((vectors.cpu(),))
            else:
                collected.append(forward.predictions(model.model(0), kind, batch))
        counts.append(_items(collated))
        if time.monotonic() - last >= runner.every:
            last = time.monotonic()
            yield Progress(phase, number + 1, len(batches))
    if not batches:
        return {name: Scored([], None) for name in units}
    columns = [torch.cat(column).cpu() for column in zip(*collected, strict=True)]
    order = np.concatenate(batches)
    if kind == "sentence_retrieval":
        return _retrieved(columns[0], order, features, stream, runner)
    return _predicted(kind, columns, np.concatenate(counts), order, features, stream)


def _items(collated: Collated) -> Ints:
    """How many items each row of the batch predicts."""
    if collated.labels.ndim == 2:
        return (collated.labels != IGNORE).sum(1)
    return np.ones(len(collated), np.int64)


class _Stream:
    """The rows of several units as one sequence, each with the masks of its own unit."""

    def __init__(self, units: Sequence[Features], kind: str, tokenizer: Any) -> None:
        self.units = units
        self.kind = kind
        self.padding = int(tokenizer.pad_token_id)
        self.starts = np.cumsum([0, *(len(unit) for unit in units)])
        self.lengths = np.concatenate([unit.lengths for unit in units])
        self._masker = Masker(tokenizer) if kind == "masked_lm" else None
        self._uniform = [_uniform(unit) for unit in units] if self._masker else []
        self._tokens = [np.cumsum([0, *unit.lengths]) for unit in units] if self._masker else []

    def collate(self, rows: Ints) -> Collated:
        """The batch of ``rows`` of the stream, which may come from several units."""
        unit = np.searchsorted(self.starts, rows, side="right") - 1
        own = rows - self.starts[unit]
        pieces = [(index, np.flatnonzero(unit == index)) for index in np.unique(unit)]
        parts = [self._collate(int(index), own[places]) for index, places in pieces]
        if len(parts) == 1:
            return parts[0]
        return _joined(parts, [places for _, places in pieces], len(rows), self.padding)

    def _collate(self, unit: int, rows: Ints) -> Collated:
        collated = collate(self.units[unit], rows, self.kind, self.padding)
        if self._masker is None:
            return collated
        draws = np.ones((2, *collated.ids.shape))
        for row, number in enumerate(rows):
            start, stop = self._tokens[unit][number], self._tokens[unit][number + 1]
            draws[:, row, : stop - start] = self._uniform[unit][:, start:stop]
        collated.labels = self._masker(collated.ids, draws[0], draws[1], MASKED)
        return collated


def _uniform(unit: Features) -> npt.NDArray[np.float64]:
    """Two uniform numbers per subword of a unit: its masks never depend on batches or seeds."""
    return seeds.generator(0, seeds.EVALUATION).random((2, int(unit.lengths.sum())))


def _joined(parts: list[Collated], places: list[Ints], rows: int, padding: int) -> Collated:
    """Batches of several units as one, each row at its place."""
    longest = max(part.ids.shape[1] for part in parts)
    ids = np.full((rows, longest), padding, np.int64)
    lengths = np.empty(rows, np.int64)
    wide = parts[0].labels.ndim == 2
    labels = np.full((rows, longest) if wide else rows, IGNORE, np.int64)
    for part, at in zip(parts, places, strict=True):
        ids[at, : part.ids.shape[1]] = part.ids
        lengths[at] = part.lengths
        if wide:
            labels[at, : part.labels.shape[1]] = part.labels
        else:
            labels[at] = part.labels
    return Collated(ids, lengths, labels, sum(part.items for part in parts))


def _predicted(
    kind: str,
    columns: list[torch.Tensor],
    counts: Ints,
    order: Ints,
    features: Mapping[str, Features],
    stream: _Stream,
) -> dict[str, Scored]:
    """Predictions in stream order, as each unit's outputs in row order."""
    predicted, losses = columns[0].numpy(), columns[1].double().numpy()
    ends = np.cumsum(counts)
    # Rows without an item are legal: reduceat cannot sum them, differences of sums can.
    sums = np.diff(np.concatenate([[0.0], np.cumsum(losses)])[np.concatenate([[0], ends])])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    scored = {}
    for name, start, unit in zip(features, stream.starts, features.values(), strict=False):
        mine = place[start : start + len(unit)]
        total = int(counts[mine].sum())
        loss = float(sums[mine].sum()) / total if total else None
        outputs: list[Any]
        if kind == "classification":
            outputs = predicted[ends[mine] - 1].tolist()
        elif kind == "masked_lm":
            outputs = [(float(sums[at]), int(counts[at])) for at in mine]
        else:
            outputs = [predicted[ends[at] - counts[at] : ends[at]].tolist() for at in mine]
        scored[name] = Scored(outputs, loss)
    return scored


def _retrieved(
    vectors: torch.Tensor,
    order: Ints,
    features: Mapping[str, Features],
    stream: _Stream,
    runner: Runner,
) -> dict[str, Scored]:
    """The nearest foreign sentence of every English one, per unit."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    scored = {}
    for name, start, unit in zip(features, stream.starts, features.values(), strict=False):
        mine = vectors[torch.from_numpy(place[start : start + len(unit)])]
        side = unit.side if unit.side is not None else np.zeros(len(unit), np.int64)
        foreign, english = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
        found = nearest(mine[english].to(runner.where), mine[foreign].to(runner.where))
        outputs: list[Any] = [None] * len(unit)
        for row, match in zip(english, unit.example[foreign[found]], strict=True):
            outputs[row] = int(match)
        scored[name] = Scored(outputs, None)
    return scored
