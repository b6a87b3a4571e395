"""From likely starts and ends to answers: the decoding of span extraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card


class Answer(NamedTuple):
    """The likeliest answer to a question, and by how much having none is likelier (logits)."""

    text: str
    null: float


def decode(
    card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
) -> list[Answer]:
    """The answer to every question, from the candidates of all its windows; "" if there is none.

    A candidate is a pair of a start that its window owns and an end in the text of the same
    window, at most ``max_answer_length`` subwords; the highest sum of logits wins, of equal ones
    the first.
    """
    longest = card.option("max_answer_length")
    best: list[tuple[float, int, int] | None] = [None] * examples.num_rows
    null = [float("inf")] * examples.num_rows
    columns = [
        features[name].to_pylist()
        for name in ("example", "offset", "first", "last", "own_from", "own_to")
    ]
    for place, output in enumerate(outputs):
        example, offset, first, last, own_from, own_to = (column[place] for column in columns)
        beyond = offset + last - first
        starts, start_logits, ends, end_logits, nothing = output
        null[example] = min(null[example], float(nothing))
        for start, high in zip(starts, start_logits, strict=True):
            if not own_from <= start < own_to:
                continue
            for end, also in zip(ends, end_logits, strict=True):
                score = float(high) + float(also)
                known = best[example]
                if start <= end < min(beyond, start + longest) and (
                    known is None or score > known[0]
                ):
                    best[example] = (score, start - offset + first, end - offset + first)
    return [_cut(examples, number, found, null[number]) for number, found in enumerate(best)]


def _cut(
    examples: pa.Table, number: int, found: tuple[float, int, int] | None, null: float
) -> Answer:
    if found is None:
        return Answer("", 0.0)
    score, start, end = found
    begin = examples["begins"][number][start].as_py()
    until = examples["ends"][number][end].as_py()
    return Answer(examples["context"][number].as_py()[begin:until].strip(), null - score)
