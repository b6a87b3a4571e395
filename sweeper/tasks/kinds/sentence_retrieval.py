"""For every pivot (English) sentence the nearest sentence of the other language is looked up.

After XTREME's Tatoeba: the queries stand in the order of their text, not in that of the sentences
they are looked up among, so that a search that is indifferent between sentences cannot be right by
standing in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.tasks import metrics
from sweeper.tasks.kinds.base import (
    Encoded,
    Evaluation,
    Kind,
    Row,
    Tokenizer,
    check_aligned,
    integers,
    strings,
    text_of,
    tokenized,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card

FOREIGN, PIVOT = 0, 1
"""The two values of ``side``."""


class SentenceRetrieval(Kind):
    """Rows: ``text`` and ``pair``, its translation into the pivot language.

    Example number e is the e-th pivot sentence in the order of the text; its features are the
    e-th foreign sentence of the file (``side`` 0), which is in general not its translation, and
    the query itself (``side`` 1). Outputs: for side 1 the number e of the nearest foreign
    sentence, for side 0 that of the best pivot sentence by ratio margin (`mining.likeliest`).
    """

    name = "sentence_retrieval"
    fields = ("text", "pair")
    metric = "accuracy"
    needs_training = False

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        return {"text": text_of(values, "text"), "pair": text_of(values, "pair")}

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features: ``input_ids``, ``example``, ``side``.

        Examples: ``id`` of the query's row, ``gold`` = the id of the right foreign sentence, and
        ``foreign`` = the id of the foreign sentence that bears the example's number.
        """
        import pyarrow as pa

        queries = sorted(rows, key=lambda row: str(row["pair"]))
        texts = [
            text
            for foreign, query in zip(rows, queries, strict=True)
            for text in (foreign["text"], query["pair"])
        ]
        features = {
            "input_ids": tokenized(tokenizer, texts, max_length),
            "example": integers(number // 2 for number in range(len(texts))),
            "side": pa.array([FOREIGN, PIVOT] * len(rows), pa.int8()),
        }
        examples = {
            "id": strings(row["id"] for row in queries),
            "gold": strings(row["id"] for row in queries),
            "foreign": strings(row["id"] for row in rows),
        }
        return Encoded(pa.table(features), pa.table(examples))

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """Metrics: ``accuracy`` of the queries; ``xsim``, LASER's error rate, of the foreign ones.

        A sentence that occurs twice is right at its own place only.
        """
        check_aligned(features, outputs)
        foreign, gold = examples["foreign"].to_pylist(), examples["gold"].to_pylist()
        found: dict[int, list[int]] = {FOREIGN: [], PIVOT: []}
        for side, number in zip(features["side"].to_pylist(), outputs, strict=True):
            found[side].append(int(number))
        predicted = [foreign[number] for number in found[PIVOT]]
        back = [gold[number] for number in found[FOREIGN]]
        return Evaluation(
            {
                "accuracy": metrics.accuracy(gold, predicted),
                "xsim": 100.0 - metrics.accuracy(foreign, back),
            },
            predicted,
            [right == given for right, given in zip(gold, predicted, strict=True)],
            [None] * len(gold),
        )


KIND = SentenceRetrieval()
