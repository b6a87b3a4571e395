"""The answer to a question is a span of a text, or nothing.

Features are windows over the text, question first: text that does not fit is covered by several
windows, a fixed step apart. After the SQuAD code of Hugging Face that XTREME uses, but a predicted
answer is cut out of the text by character offsets, which needs no realignment in any language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeper.tasks.formats.documents import parse_squad
from sweeper.tasks.kinds._answers import Answer, decode
from sweeper.tasks.kinds._windows import encode
from sweeper.tasks.kinds.base import (
    Encoded,
    Evaluation,
    Kind,
    Row,
    RowFault,
    Tokenizer,
    check_aligned,
    check_room,
    pair_frame,
    shown,
    text_of,
    unit_language,
)
from sweeper.tasks.metrics import qa
from sweeper.tasks.metrics.squad_v2 import Answers

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card

QUESTIONS = 1000
"""Questions that are encoded at once: few enough to keep memory small."""


class Candidates(NamedTuple):
    """What a model says about one feature: its likeliest answer starts and ends.

    ``start`` and ``end`` are positions in ``input_ids`` with the highest logits, best first, at
    most ``n_best`` of the card each, no padding; ``null`` is the logit of position 0 as start plus
    that as end. A plain tuple of the same parts will do.
    """

    start: Sequence[int]
    start_logit: Sequence[float]
    end: Sequence[int]
    end_logit: Sequence[float]
    null: float


class SpanExtraction(Kind):
    """Rows: ``question``, ``context``, ``answers``. Outputs: `Candidates` of each feature.

    ``answers`` is a list of ``{"text", "answer_start"}``, or the two as lists; none means that the
    text has no answer.
    """

    name = "span_extraction"
    fields = ("question", "context", "answers")
    metric = "mean_em_f1"
    metrics = ("squad", "mlqa", "squad_v2")
    options = {  # noqa: RUF012  (never changed)
        "doc_stride": 128,
        "max_query_length": 64,
        "n_best": 20,
        "max_answer_length": 30,
    }
    document_field = "context"
    formats = {"squad": parse_squad}  # noqa: RUF012

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        context = text_of(values, "context")
        answers = [_answer(one, context) for one in _listed(values.get("answers"))]
        if not answers and card.scorer != "squad_v2":
            raise RowFault(
                f"a question of a task with the metric {card.scorer!r} must have an answer, this "
                "has none",
                "Mend the row, or write `metric: squad_v2` in the card",
            )
        return {"question": text_of(values, "question"), "context": context, "answers": answers}

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features: ``input_ids``, ``example``, and positions in ``input_ids``.

        ``start`` and ``end`` are the first and last position of the first answer, 0 (which is
        <s>) where the window has none. ``offset`` is the position of the window's first subword of
        the text; ``first`` and ``last`` (not included) number its subwords in the text.
        ``own_from`` and ``own_to`` (not included) are the positions that have more text around
        them here than in other windows: an answer starts in the one window that owns its start.

        Examples: ``id``, ``gold`` (the first answer), ``answers``, ``context``, and ``begins`` and
        ``ends``: the characters of each subword of the text.
        """
        import pyarrow as pa

        frame = pair_frame(tokenizer)
        room = check_room(tokenizer, max_length, pair=True)
        features, examples = [], []
        for start in range(0, len(rows), QUESTIONS):
            part = rows[start : start + QUESTIONS]
            made = encode(part, card, tokenizer, frame, room, start)
            features.append(made.features)
            examples.append(made.examples)
        return Encoded(pa.concat_tables(features), pa.concat_tables(examples))

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """Metrics: ``exact_match``, ``f1``, ``mean_em_f1``; by the card's `metric`.

        For squad_v2 the first two are those of answering whenever an answer is likelier than none;
        ``best_exact`` and ``best_f1`` are those of the best thresholds, and ``mean_em_f1`` is the
        mean of these.
        """
        check_aligned(features, outputs)
        gold = examples["answers"].to_pylist()
        found = decode(card, examples, features, outputs)
        if card.scorer == "squad_v2":
            return _evaluate_v2({str(n): answers for n, answers in enumerate(gold)}, found)
        words = qa.mlqa(unit_language(examples)) if card.scorer == "mlqa" else qa.squad
        pairs = [
            qa.compare(one.text, right, words) for one, right in zip(found, gold, strict=True)
        ]
        return Evaluation(
            qa.means(pairs),
            [one.text for one in found],
            [exact == 1.0 for exact, _ in pairs],
            [100.0 * f1 for _, f1 in pairs],
        )


# ---- rows -------------------------------------------------------------------------------------


def _listed(answers: Any) -> Sequence[Any]:
    if isinstance(answers, Mapping):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            return [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    elif isinstance(answers, (list, tuple)):
        return answers
    raise RowFault(
        f"the field 'answers' must be a list of texts with their starts, it is {shown(answers)}",
        "Mend the row, or name another column in the card's `columns:`",
    )


def _answer(answer: Any, context: str) -> dict[str, Any]:
    text = answer.get("text") if isinstance(answer, Mapping) else None
    start = answer.get("answer_start") if isinstance(answer, Mapping) else None
    if not isinstance(text, str) or not isinstance(start, int) or not text:
        raise RowFault(
            f"an answer must have a 'text' and an 'answer_start', it is {shown(answer)}",
            "Mend the row",
        )
    if start < 0 or context[start : start + len(text)] != text:
        there = context[max(start, 0) : max(start, 0) + len(text)]
        raise RowFault(
            f"an answer must stand in its text where it says: at character {start} there is "
            f"{shown(there)}, not {shown(text)}",
            "Mend the offset (it counts Unicode characters, from 0)",
        )
    return {"text": text, "answer_start": start}


# ---- scores -------------------------------------------------------------------------------------


def _evaluate_v2(gold: Mapping[str, Sequence[str]], found: Sequence[Answer]) -> Evaluation:
    answers = Answers(
        gold,
        {name: one.text for name, one in zip(gold, found, strict=True)},
        {name: one.null for name, one in zip(gold, found, strict=True)},
    )
    said = {name: "" if one.null > 0 else one.text for name, one in zip(gold, found, strict=True)}
    thresholded = Answers(gold, said, dict.fromkeys(gold, 0.0))
    plain = thresholded.at(0.0)
    best = {"best_exact": answers.best_exact().score, "best_f1": answers.best_f1().score}
    metrics = {
        "exact_match": plain["exact"],
        "f1": plain["f1"],
        "mean_em_f1": (best["best_exact"] + best["best_f1"]) / 2,
        **best,
    }
    return Evaluation(
        metrics,
        list(said.values()),
        [exact == 1.0 for exact, _ in thresholded.pairs.values()],
        [100.0 * f1 for _, f1 in thresholded.pairs.values()],
    )


KIND = SpanExtraction()
