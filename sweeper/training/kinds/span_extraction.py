"""Span extraction: the first and the last subword of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sweeper.tasks.kinds.span_extraction import Candidates
from sweeper.training.batches import Collated, Features, Ints
from sweeper.training.forward import Batch, encode
from sweeper.training.kinds.base import Head, Numbers, Trained

IMPOSSIBLE = float("-inf")
"""The logit of padding. Hugging Face's own loss leaves padding its logits: then a row's loss
would depend on the rows beside it, and a batch cut into pieces would have another gradient."""


class SpanExtraction(Trained):
    """Two logits per subword; a window without its question's answer has the span 0 to 0 (<s>)."""

    auto = "AutoModelForQuestionAnswering"

    def collate(self, features: Features, rows: Ints, padding: int) -> Collated:
        """See `TorchKind.collate`."""
        spans = np.stack([features.column(name)[rows] for name in ("start", "end")], axis=1)
        return Collated(features.tokens(rows, padding), features.lengths[rows], spans, len(rows))

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """See `Trained.loss`: the mean of the start's and the end's cross-entropy, summed."""
        return _losses(*_logits(model, batch), batch).sum()

    def predict(
        self, head: Head, model: PreTrainedModel, batch: Batch
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Per row: the ``n_best`` starts, their logits, ends, theirs, and the null logit."""
        start, end = _logits(model, batch)
        best = head.option("n_best")
        columns = (*_best(start, best), *_best(end, best), start[:, 0] + end[:, 0])
        return columns, _losses(start, end, batch)

    def outputs(self, columns: Sequence[Numbers], counts: Ints) -> list[Any]:
        """`Candidates` of each window, without padding."""
        starts, high, ends, also, null = columns
        return [
            Candidates(*_real(starts[row], high[row]), *_real(ends[row], also[row]), float(none))
            for row, none in enumerate(null)
        ]


def _logits(model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """The logits of starts and of ends, float32, shape (rows, length) each."""
    said = encode(model, batch)
    start, end = said.start_logits.float(), said.end_logits.float()
    if batch.mask is None:
        return start, end
    padding = batch.mask == 0
    return start.masked_fill(padding, IMPOSSIBLE), end.masked_fill(padding, IMPOSSIBLE)


def _losses(start: Tensor, end: Tensor, batch: Batch) -> Tensor:
    one = functional.cross_entropy(start, batch.labels[:, 0], reduction="none")
    other = functional.cross_entropy(end, batch.labels[:, 1], reduction="none")
    return (one + other) / 2


def _best(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Places and values of the ``count`` highest logits of each row; short rows are filled up."""
    values, places = logits.topk(min(count, logits.shape[1]), dim=1)
    missing = (0, count - values.shape[1])
    filled = functional.pad(values, missing, value=IMPOSSIBLE)
    return functional.pad(places, missing).to(torch.int32), filled


def _real(places: Numbers, logits: Numbers) -> tuple[list[int], list[float]]:
    count = int((logits > IMPOSSIBLE).sum())
    return places[:count].tolist(), logits[:count].tolist()


KIND = SpanExtraction()
