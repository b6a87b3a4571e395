"""Bitext mining: pairs of two large sets of sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweeper.tasks.kinds.bitext_mining import ENGLISH, FOREIGN
from sweeper.training.kinds.base import Embedded, Head
from sweeper.training.vectors import Sides


class BitextMining(Embedded):
    """Ratio margins over the neighbours of both ways, by `sweeper.tasks.metrics.mining`."""

    def find(self, head: Head, sides: Sides) -> Iterator[list[Any]]:
        """See `Embedded.find`: of a foreign sentence that is in a pair (number, margin)."""
        for unit in sides.units():
            foreign, english = unit.vectors[FOREIGN], unit.vectors[ENGLISH]
            found = sides.mine(foreign, english, head.option("neighbours"))
            said: list[Any] = [None] * len(foreign)
            mined = (found.source.tolist(), found.target.tolist(), found.margin.tolist())
            for source, target, margin in zip(*mined, strict=True):
                said[source] = (target, margin)
            yield unit.outputs({FOREIGN: said})


KIND = BitextMining()
