"""Every word of a sentence gets one of the card's labels.

Long sentences are split into windows, as XTREME does, so that no word goes unscored: a window is
filled with whole words until the next one does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.tasks import metrics
from sweeper.tasks.kinds.base import (
    CHUNK,
    IGNORED,
    Encoded,
    Evaluation,
    Kind,
    Row,
    RowFault,
    Tokenizer,
    check_aligned,
    check_label,
    check_room,
    integer_lists,
    integers,
    shown,
    special_ids,
    strings,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card


class TokenClassification(Kind):
    """Rows: ``tokens`` and ``tags``. Outputs: per window the numbers of its words' tags."""

    name = "token_classification"
    fields = ("tokens", "tags")
    label_field = "tags"
    metric = "f1"

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        tokens, tags = _texts(values, "tokens"), _texts(values, "tags")
        if len(tokens) != len(tags):
            raise RowFault(
                f"a sentence must have a tag per token, it has {len(tokens)} tokens and "
                f"{len(tags)} tags",
                "Mend the row",
            )
        for index, tag in enumerate(tags):
            check_label(tag, card, index)
        return {"tokens": tokens, "tags": tags}

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features: ``input_ids``, ``example``, ``labels`` (first subwords; elsewhere -100).

        Examples: ``id``, ``gold`` (tags joined by spaces), ``tags`` (their numbers).
        """
        import pyarrow as pa

        room = check_room(tokenizer, max_length, pair=False)
        number = {label: i for i, label in enumerate(card.labels)}
        tags = [[number[tag] for tag in row["tags"]] for row in rows]
        subwords = _subwords(rows, tokenizer, room)
        before, after = special_ids(tokenizer, 1)
        ids: list[list[int]] = []
        labels: list[list[int]] = []
        owner: list[int] = []
        for example, (row, numbers) in enumerate(zip(rows, tags, strict=True)):
            words = [subwords[token] for token in row["tokens"]]
            for first, last in _windows(words, room):
                inner, marks = _join(words[first:last], numbers[first:last])
                ids.append([*before, *inner, *after])
                labels.append([*[IGNORED] * len(before), *marks, *[IGNORED] * len(after)])
                owner.append(example)
        features = {
            "input_ids": integer_lists(_chunks(ids)),
            "example": integers(owner),
            "labels": integer_lists(_chunks(labels)),
        }
        examples = {
            "id": strings(row["id"] for row in rows),
            "gold": strings(" ".join(row["tags"]) for row in rows),
            "tags": integer_lists(_chunks(tags)),
        }
        return Encoded(pa.table(features), pa.table(examples))

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """Metrics: entity ``f1``, ``precision``, ``recall``; ``accuracy`` over words."""
        check_aligned(features, outputs)
        gold = [text.split(" ") for text in examples["gold"].to_pylist()]
        predicted: list[list[str]] = [[] for _ in gold]
        for example, output in zip(features["example"].to_pylist(), outputs, strict=True):
            predicted[example].extend(card.labels[int(tag)] for tag in output)
        for name, right, given in zip(examples["id"].to_pylist(), gold, predicted, strict=True):
            if len(right) != len(given):
                raise DataError(
                    f"Scoring needs one tag per word: the example {name!r} has {len(right)} words "
                    f"and {len(given)} predicted tags. Score the unit again."
                )
        scores = {
            **metrics.entity_f1(gold, predicted),
            "accuracy": metrics.token_accuracy(gold, predicted),
        }
        pairs = list(zip(gold, predicted, strict=True))
        return Evaluation(
            scores,
            [" ".join(tags) for tags in predicted],
            [right == given for right, given in pairs],
            [metrics.accuracy(right, given) for right, given in pairs],
        )


def _texts(values: Mapping[str, Any], field: str) -> list[str]:
    found = values.get(field)
    good = isinstance(found, (list, tuple)) and found and all(isinstance(x, str) for x in found)
    if not good:
        raise RowFault(
            f"the field {field!r} must be a list of at least one text, it is {shown(found)}",
            "Mend the row, or name another column in the card's `columns:`",
        )
    assert found is not None
    return list(found)


def _subwords(rows: Sequence[Row], tokenizer: Tokenizer, room: int) -> dict[str, list[int]]:
    """Subword ids of every distinct word.

    A pretokenised word is encoded without regard to its neighbours, so each is encoded once only.
    A word that has no subword, or more than fit a window, becomes <unk>, as in XTREME.
    """
    words = list(dict.fromkeys(token for row in rows for token in row["tokens"]))
    found: dict[str, list[int]] = {}
    for start in range(0, len(words), CHUNK):
        part = words[start : start + CHUNK]
        encoded = tokenizer(
            [[word] for word in part],
            is_split_into_words=True,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        for word, ids in zip(part, encoded["input_ids"], strict=True):
            found[word] = ids if 0 < len(ids) <= room else [tokenizer.unk_token_id]
    return found


def _windows(words: Sequence[Sequence[int]], room: int) -> Iterator[tuple[int, int]]:
    """Ranges of words whose subwords fit ``room``, as few as filling them in order gives."""
    first = filled = 0
    for position, word in enumerate(words):
        if filled + len(word) > room:
            yield first, position
            first, filled = position, 0
        filled += len(word)
    yield first, len(words)


def _join(words: Sequence[Sequence[int]], tags: Sequence[int]) -> tuple[list[int], list[int]]:
    ids: list[int] = []
    marks: list[int] = []
    for word, tag in zip(words, tags, strict=True):
        ids.extend(word)
        marks.append(tag)
        marks.extend([IGNORED] * (len(word) - 1))
    return ids, marks


def _chunks(lists: list[list[int]]) -> Iterator[list[list[int]]]:
    return (lists[start : start + CHUNK] for start in range(0, len(lists), CHUNK))


KIND = TokenClassification()
