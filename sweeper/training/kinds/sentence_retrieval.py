"""Sentence retrieval: the nearest foreign sentence of every pivot sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweeper.tasks.kinds.sentence_retrieval import FOREIGN, PIVOT
from sweeper.training.kinds.base import Embedded, Head
from sweeper.training.vectors import Sides


class SentenceRetrieval(Embedded):
    """Cosine similarity; of equally near sentences the first."""

    def find(self, head: Head, sides: Sides) -> Iterator[list[Any]]:
        """See `Embedded.find`: for a pivot sentence the example number of the nearest."""
        for unit in sides.units():
            found = sides.nearest(unit.vectors[PIVOT], unit.vectors[FOREIGN], 1)
            match = unit.example[unit.rows[FOREIGN]][found.number[:, 0]]
            yield unit.outputs(PIVOT, match.tolist())


KIND = SentenceRetrieval()
