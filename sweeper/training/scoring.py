"""Running a model over prepared units: one length-sorted stream, outputs back in row order."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from sweeper.jobs import Progress
from sweeper.training import forward, kinds, seeds
from sweeper.training.batches import Collated, Ints, Rows, by_length, mask
from sweeper.training.kinds import Scored as Scored
from sweeper.training.memory import Limits
from sweeper.training.models import Heads
from sweeper.training.retrieval import Representation

MASKED = 0.15
"""Share of subwords that a masked LM's evaluation hides: fixed, so that trials compare."""

TOKENS = {"cpu": 4096, "cuda": 65536}
"""Padded subwords per evaluation batch: fits XLM-R Large on 16 GB."""


@dataclass(frozen=True)
class Runner:
    """How a model is run over data: what does not change from unit to unit.

    A batch has at most `TOKENS` padded subwords, or fewer by one of ``limits``; ``every`` is the
    time between two `Progress` in seconds. Retrieval uses ``representation``, and makes the
    outputs of a second one, ``beside``, in the same pass.
    """

    tokenizer: Any
    where: torch.device
    limits: Limits = field(default_factory=Limits)
    every: float = 1.0
    representation: Representation | None = None
    beside: Representation | None = None


def run(
    model: Heads, units: Mapping[str, pa.Table], runner: Runner, phase: str = "score"
) -> Generator[Progress, None, dict[str, Scored]]:
    """Run the (single) model of ``model`` over the feature tables of ``units``.

    All units, so all languages, make one stream of batches sorted by length. Yields `Progress`
    about once in ``runner.every`` seconds; returns what was scored, per unit.
    """
    head = model.heads[0]
    kind = kinds.get(head.kind)
    stream = _Stream(kind, kind.rows(list(units.values())), runner.tokenizer)
    sizes = stream.features.sizes
    most, longest = TOKENS[runner.where.type], int(sizes.max(initial=1))
    limit = runner.limits.scoring(model, most, longest)
    batches = by_length(sizes, limit.size)
    how = runner.representation or Representation()
    collector = kind.collector(head, model.model(0), stream.features, how, runner.beside)
    last = time.monotonic()
    model.eval()
    for number, rows in enumerate(batches):
        collated = stream.collate(rows)
        count = len(rows) * int(sizes[rows].max())
        # Not around the yield: inference mode would leak into whoever runs the generator.
        with limit.trying(count), torch.inference_mode(), forward.autocast(runner.where):
            collector.add(rows, collated, forward.to_device(collated, runner.where))
        if time.monotonic() - last >= runner.every:
            last = time.monotonic()
            yield Progress(phase, number + 1, len(batches))
    found = {}
    for name, scored in zip(units, collector.scored(), strict=True):
        found[name] = scored
        if time.monotonic() - last >= runner.every:
            last = time.monotonic()
            yield Progress(phase, len(batches), len(batches))
    return found


class _Stream:
    """The rows of several units as one sequence, each with the masks of its own unit."""

    def __init__(self, kind: kinds.TorchKind, features: Rows, tokenizer: Any) -> None:
        self.features = features
        self._kind = kind
        self._padding = int(tokenizer.pad_token_id)
        self._masker = kind.masker(tokenizer)
        if self._masker is not None:
            # Two uniform numbers per subword of a unit: its masks never depend on batches or
            # seeds, nor on the units beside it.
            sizes = np.concatenate([[0], np.cumsum(features.lengths)])
            ends = sizes[features.starts]
            draws = [
                seeds.generator(0, seeds.EVALUATION).random((2, int(size)))
                for size in np.diff(ends)
            ]
            self._tokens = sizes
            self._uniform = np.concatenate(draws, axis=1) if draws else np.empty((2, 0))

    def collate(self, rows: Ints) -> Collated:
        """The batch of ``rows`` of the stream, which may come from several units."""
        collated = self._kind.collate(self.features, rows, self._padding)
        if self._masker is not None:
            draws = np.ones((2, *collated.ids.shape))
            for row, number in enumerate(rows):
                start, stop = self._tokens[number], self._tokens[number + 1]
                draws[:, row, : stop - start] = self._uniform[:, start:stop]
            mask(collated, self._masker, draws, MASKED)
        return collated
