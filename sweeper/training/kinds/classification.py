"""Classification: a label per input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeper.training.batches import Collated, Features, Ints
from sweeper.training.kinds.base import Head, Logits, Numbers


class Classification(Logits):
    """A logit per label from the first subword, by the model family's own head."""

    auto = "AutoModelForSequenceClassification"

    def configure(self, config: Any, head: Head) -> None:
        """See `TorchKind.configure`."""
        super().configure(config, head)
        config.problem_type = "single_label_classification"

    def collate(self, features: Features, rows: Ints, padding: int) -> Collated:
        """See `TorchKind.collate`."""
        labels = features.column("label")[rows]
        return Collated(features.tokens(rows, padding), features.lengths[rows], labels, len(rows))

    def outputs(self, columns: Sequence[Numbers], counts: Ints) -> list[Any]:
        """The numbers of the labels."""
        found: list[Any] = columns[0].tolist()
        return found


KIND = Classification()
