"""One of several continuations of a text is the right one.

Every choice is an input of its own, `<s> prompt </s></s> choice </s>`, and gets a score; the
choice with the highest score is the prediction. A prompt that is too long loses its beginning,
since what matters is what a choice continues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.tasks import metrics
from sweeper.tasks.kinds.base import (
    CHUNK,
    Encoded,
    Evaluation,
    Kind,
    Row,
    RowFault,
    Tokenizer,
    bare_ids,
    check_aligned,
    check_room,
    integer_lists,
    integers,
    label_of,
    pair_frame,
    shown,
    strings,
    text_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card


class MultipleChoice(Kind):
    """Rows: ``prompt``, ``choices``, ``label``. Outputs: one score per feature, so per choice.

    ``prompt`` is a text, or a list of texts that are joined by spaces, and ``choices`` a list of
    as many texts as the card has labels, which are their numbers: "0", "1" and so on (in a card,
    `labels: 2`). ``question`` is put after the prompt (translated by the card's option
    ``phrases``), ``choice_prefix`` before every choice.
    """

    name = "multiple_choice"
    fields = ("prompt", "choices", "label")
    optional = ("question", "choice_prefix")
    label_field = "label"
    metric = "accuracy"
    options = {"phrases": {}}  # noqa: RUF012  (never changed)

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        parts = values.get("prompt")
        given = {str(n): part for n, part in enumerate(parts)} if isinstance(parts, list) else None
        prompt = [text_of(given, n) for n in given] if given else [text_of(values, "prompt")]
        if "question" in values:
            prompt.append(_phrase(text_of(values, "question"), card.option("phrases")))
        prefix = [text_of(values, "choice_prefix")] if "choice_prefix" in values else []
        return {
            "prompt": _joined(prompt),
            "choices": [_joined([*prefix, choice]) for choice in _choices(values, card)],
            "label": label_of(values, card),
        }

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features: ``input_ids``, ``example``, ``choice`` (its number), ``label``.

        ``label`` is the number of the right choice, the same in all features of an example.
        Examples: ``id``, ``gold`` (the number of the right choice).
        """
        import pyarrow as pa

        room = check_room(tokenizer, max_length, pair=True)
        frame = pair_frame(tokenizer)
        ids: list[pa.Array] = []
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            prompts = bare_ids(tokenizer, [row["prompt"] for row in part])
            choices = bare_ids(tokenizer, [choice for row in part for choice in row["choices"]])
            made = []
            for row, prompt in zip(part, prompts, strict=True):
                for _ in row["choices"]:
                    choice = next(choices)[:room]
                    kept = prompt[max(0, len(prompt) + len(choice) - room) :]
                    made.append([*frame.before, *kept, *frame.between, *choice, *frame.after])
            ids.append(integer_lists([made]))
        counts = [len(row["choices"]) for row in rows]
        features = {
            "input_ids": pa.concat_arrays(ids),
            "example": integers(n for n, count in enumerate(counts) for _ in range(count)),
            "choice": integers(choice for count in counts for choice in range(count)),
            "label": integers(int(row["label"]) for row in rows for _ in row["choices"]),
        }
        examples = {
            "id": strings(row["id"] for row in rows),
            "gold": strings(row["label"] for row in rows),
        }
        return Encoded(pa.table(features), pa.table(examples))

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """Metrics: ``accuracy``; of equal scores the first choice is taken."""
        check_aligned(features, outputs)
        scores: list[list[float]] = [[] for _ in range(examples.num_rows)]
        for example, output in zip(features["example"].to_pylist(), outputs, strict=True):
            scores[example].append(float(output))
        predicted = [str(choice) for choice in metrics.choices(scores)]
        gold = examples["gold"].to_pylist()
        return Evaluation(
            {"accuracy": metrics.accuracy(gold, predicted)},
            predicted,
            [right == given for right, given in zip(gold, predicted, strict=True)],
            [None] * len(gold),
        )


def _choices(values: Mapping[str, Any], card: Card) -> list[str]:
    found = values.get("choices")
    good = isinstance(found, (list, tuple)) and all(isinstance(one, str) for one in found)
    if not good or found is None or len(found) != len(card.labels):
        raise RowFault(
            f"the field 'choices' must be a list of {len(card.labels)} texts, one per label of "
            f"the card, it is {shown(found)}",
            "Mend the row, or the card's `labels:`",
        )
    return list(found)


def _phrase(question: str, phrases: Mapping[str, str]) -> str:
    if phrases and question not in phrases:
        raise RowFault(
            f"a question must be one of the card's `phrases`, which are {', '.join(phrases)}; it "
            f"is {shown(question)}",
            "Mend the row or the card",
        )
    return phrases.get(question, question)


def _joined(parts: Sequence[str]) -> str:
    return " ".join(part.strip() for part in parts if part.strip())


KIND = MultipleChoice()
