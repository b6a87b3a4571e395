"""Token classification: a label per word, at its first subword."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sweeper.training.batches import IGNORE, Collated, Features, Ints
from sweeper.training.kinds.base import Logits, Numbers


class TokenClassification(Logits):
    """A logit per label for every subword; those without a label have no loss."""

    auto = "AutoModelForTokenClassification"

    def collate(self, features: Features, rows: Ints, padding: int) -> Collated:
        """See `TorchKind.collate`."""
        labels = features.token_labels(rows)
        items = int((labels != IGNORE).sum())
        ids = features.tokens(rows, padding)
        return Collated(ids, features.lengths[rows], labels, items, aligned=True)

    def outputs(self, columns: Sequence[Numbers], counts: Ints) -> list[Any]:
        """Per window the numbers of its words' labels."""
        return [part.tolist() for part in np.split(columns[0], np.cumsum(counts)[:-1])]


KIND = TokenClassification()
