"""Lines of text, of which a model guesses the masked tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.tasks.kinds.base import (
    Encoded,
    Evaluation,
    Kind,
    Row,
    RowFault,
    Tokenizer,
    check_aligned,
    integers,
    shown,
    strings,
    text_of,
    tokenized,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card


class MaskedLm(Kind):
    """Rows: ``text``. Outputs: (summed negative log-likelihood in nats, number of masked tokens).

    One line is one example; what is longer than ``max_length`` is cut, nothing is packed. Which
    tokens are masked is drawn anew whenever an example is seen, so it is not part of the data.
    """

    name = "masked_lm"
    fields = ("text",)
    metric = "loss"
    higher_is_better = False

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        text = text_of(values, "text")
        if not text.strip():
            raise RowFault(
                f"a line of text must have a character that is no space, it is {shown(text)}",
                "Delete the row",
            )
        return {"text": text}

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features: ``input_ids``, ``example``. Examples: ``id``, ``gold`` (empty)."""
        import pyarrow as pa

        features = {
            "input_ids": tokenized(tokenizer, [row["text"] for row in rows], max_length),
            "example": integers(range(len(rows))),
        }
        examples = {
            "id": strings(row["id"] for row in rows),
            "gold": strings("" for _ in rows),
        }
        return Encoded(pa.table(features), pa.table(examples))

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """Metrics: ``loss``, the mean over all masked tokens."""
        check_aligned(features, outputs)
        tokens = sum(count for _, count in outputs)
        if not tokens:
            raise DataError(
                "A masked-LM loss needs at least one masked token; there is none. "
                "Score more text, or raise `mask_probability`."
            )
        scores = [total / count if count else None for total, count in outputs]
        none: list[bool | None] = [None] * len(scores)
        loss = float(sum(total for total, _ in outputs) / tokens)
        return Evaluation({"loss": loss}, [""] * len(scores), none, scores)


KIND = MaskedLm()
