"""Answer retrieval: the best candidates of every question, in a pool of all languages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweeper.tasks.kinds.answer_retrieval import CANDIDATE, QUESTION
from sweeper.training.kinds.base import Embedded, Head
from sweeper.training.vectors import Sides


class AnswerRetrieval(Embedded):
    """Cosine similarity to the candidates of all units that are scored together."""

    def find(self, head: Head, sides: Sides) -> Iterator[list[Any]]:
        """See `Embedded.find`: for a question the numbers of candidates in the pool."""
        pool = sides.all(CANDIDATE)
        for unit in sides.units():
            found = sides.nearest(unit.vectors[QUESTION], pool, head.option("cutoff"))
            yield unit.outputs({QUESTION: found.number.tolist()})


KIND = AnswerRetrieval()
