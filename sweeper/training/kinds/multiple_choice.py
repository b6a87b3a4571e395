"""Multiple choice: a score for each of an example's choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sweeper.training.batches import Collated, Features, Groups, Ints, Rows
from sweeper.training.forward import Batch
from sweeper.training.kinds.base import Head, Numbers, Trained


class MultipleChoice(Trained):
    """One logit per choice, all choices of a batch in one forward; rows are examples.

    Examples may have different numbers of choices, and a head that was trained on four chooses
    among two. In the BERT and RoBERTa families the head stands on the encoder's pooler; how that
    passes between stages is said in `sweeper.training.models`.
    """

    auto = "AutoModelForMultipleChoice"

    def rows(self, tables: Sequence[pa.Table]) -> Rows:
        """See `TorchKind.rows`: one per example."""
        return Groups(Features(tables))

    def collate(self, features: Groups, rows: Ints, padding: int) -> Collated:
        """See `TorchKind.collate`."""
        members = features.members(rows)
        every = features.sequences
        return Collated(
            every.tokens(members, padding),
            every.lengths[members],
            every.column("label")[features.first(rows)],
            len(rows),
            sequences=features.counts[rows],
        )

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """See `Trained.loss`."""
        table = _table(_scores(model, batch), batch)
        return functional.cross_entropy(table, batch.labels, reduction="sum")

    def predict(
        self, head: Head, model: PreTrainedModel, batch: Batch
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """One column: the scores of the choices."""
        scores = _scores(model, batch)
        losses = functional.cross_entropy(_table(scores, batch), batch.labels, reduction="none")
        return (scores,), losses

    def counts(self, collated: Collated) -> Ints:
        """The number of choices of each row."""
        assert collated.sequences is not None
        return collated.sequences

    def outputs(self, columns: Sequence[Numbers], counts: Ints) -> list[Any]:
        """The score of every choice, one per feature."""
        found: list[Any] = columns[0].tolist()
        return found


def _scores(model: PreTrainedModel, batch: Batch) -> Tensor:
    """One float32 score per sequence, as if all were the choices of one example.

    The models flatten (examples, choices, length) themselves; their flattening knows no mask of
    four dimensions, so the plain one is given on a GPU too.
    """
    mask = None if batch.mask is None else batch.mask.unsqueeze(0)
    logits: Tensor = model(input_ids=batch.ids.unsqueeze(0), attention_mask=mask).logits
    return logits[0].float()


def _table(scores: Tensor, batch: Batch) -> Tensor:
    """The scores as (rows, most choices); choices that a row does not have are impossible."""
    assert batch.cells is not None
    rows, most = batch.table
    empty = scores.new_full((rows * most,), float("-inf"))
    return empty.index_copy(0, batch.cells, scores).view(rows, most)


KIND = MultipleChoice()
