"""Sentence retrieval: the nearest foreign sentence of every pivot sentence, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweeper.tasks.kinds.sentence_retrieval import FOREIGN, PIVOT
from sweeper.tasks.metrics import mining
from sweeper.training.kinds.base import Embedded, Head
from sweeper.training.vectors import Sides


class SentenceRetrieval(Embedded):
    """Cosine similarity; of equally near sentences the first."""

    def find(self, head: Head, sides: Sides) -> Iterator[list[Any]]:
        """See `Embedded.find`: for a pivot sentence the example number of the nearest.

        For a foreign one it is that of the best by margin.
        """
        for unit in sides.units():
            foreign, pivot = unit.vectors[FOREIGN], unit.vectors[PIVOT]
            there = sides.nearest(pivot, foreign, mining.NEIGHBOURS)
            back = sides.nearest(foreign, pivot, mining.NEIGHBOURS)
            nearest = unit.example[unit.rows[FOREIGN]][there.number[:, 0]]
            likeliest = unit.example[unit.rows[PIVOT]][mining.likeliest(back, there)]
            yield unit.outputs({PIVOT: nearest.tolist(), FOREIGN: likeliest.tolist()})


KIND = SentenceRetrieval()
