"""A text, or a pair of texts, gets one of the card's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.tasks import metrics
from sweeper.tasks.kinds.base import (
    Encoded,
    Evaluation,
    Kind,
    Row,
    Tokenizer,
    check_aligned,
    integers,
    label_of,
    strings,
    text_of,
    tokenized,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card


class Classification(Kind):
    """Rows: ``text``, perhaps ``pair``, and ``label``. Outputs: the number of a label."""

    name = "classification"
    fields = ("text", "label")
    optional = ("pair",)
    label_field = "label"
    metric = "accuracy"

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        row = {"text": text_of(values, "text"), "label": label_of(values, card)}
        if "pair" in values:
            row["pair"] = text_of(values, "pair")
        return row

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features: ``input_ids``, ``example``, ``label``. Examples: ``id``, ``gold``."""
        import pyarrow as pa

        pairs = _pairs(rows)
        number = {label: i for i, label in enumerate(card.labels)}
        features = {
            "input_ids": tokenized(tokenizer, [row["text"] for row in rows], max_length, pairs),
            "example": integers(range(len(rows))),
            "label": integers(number[row["label"]] for row in rows),
        }
        examples = {
            "id": strings(row["id"] for row in rows),
            "gold": strings(row["label"] for row in rows),
        }
        return Encoded(pa.table(features), pa.table(examples))

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """Metrics: ``accuracy``."""
        check_aligned(features, outputs)
        gold = examples["gold"].to_pylist()
        predicted = [card.labels[int(output)] for output in outputs]
        return Evaluation(
            {"accuracy": metrics.accuracy(gold, predicted)},
            predicted,
            [right == given for right, given in zip(gold, predicted, strict=True)],
            [None] * len(gold),
        )


def _pairs(rows: Sequence[Row]) -> list[str] | None:
    """The second texts, if the rows have them: all must have one, or none."""
    have = [row for row in rows if "pair" in row]
    if have and len(have) != len(rows):
        raise DataError(
            f"Either all rows of a unit have a `pair` or none; {len(have)} of {len(rows)} have "
            "one. Mend the rows."
        )
    return [row["pair"] for row in rows] if have else None


KIND = Classification()
