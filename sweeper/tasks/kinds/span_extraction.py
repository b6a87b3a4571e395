"""The answer to a question is a span of a text, or nothing.

Features are windows over the text, question first: text that does not fit is covered by several
windows, a fixed step apart. After the SQuAD code of Hugging Face that XTREME uses, but a predicted
answer is cut out of the text by character offsets, which needs no realignment in any language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeper.errors import DataError
from sweeper.tasks.formats.documents import parse_squad
from sweeper.tasks.kinds.base import (
    Encoded,
    Evaluation,
    Kind,
    Row,
    RowFault,
    Tokenizer,
    check_aligned,
    check_room,
    integer_lists,
    integers,
    pair_frame,
    shown,
    strings,
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
        the text, ``first`` the number of that subword in the text. ``own_from`` and ``own_to``
        (not included) are the positions that have more text around them here than in other
        windows: an answer starts in the one window that owns its start.

        Examples: ``id``, ``gold`` (the first answer), ``answers``, ``context``, and ``begins`` and
        ``ends``: the characters of each subword of the text.
        """
        import pyarrow as pa

        frame = pair_frame(tokenizer)
        room = check_room(tokenizer, max_length, pair=True)
        features, examples = [], []
        for start in range(0, len(rows), QUESTIONS):
            part = rows[start : start + QUESTIONS]
            made = _encode(part, card, tokenizer, frame, room, start)
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
        names = [str(number) for number in range(examples.num_rows)]
        gold = dict(zip(names, examples["answers"].to_pylist(), strict=True))
        found = decode(card, examples, features, outputs)
        texts = {name: one.text for name, one in zip(names, found, strict=True)}
        if card.scorer == "squad_v2":
            return _evaluate_v2(gold, found)
        words = qa.mlqa(unit_language(examples)) if card.scorer == "mlqa" else qa.squad
        pairs = [qa.compare(texts[name], right, words) for name, right in gold.items()]
        return Evaluation(
            qa.answers(gold, texts, words),
            list(texts.values()),
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


# ---- encoding ---------------------------------------------------------------------------------


class _Text(NamedTuple):
    """A tokenised text: ids, and the characters of each subword."""

    ids: list[int]
    begins: list[int]
    ends: list[int]


def _encode(
    rows: Sequence[Row], card: Card, tokenizer: Tokenizer, frame: Any, room: int, number: int
) -> Encoded:
    import pyarrow as pa

    texts = _texts(rows, tokenizer)
    questions = _questions(rows, tokenizer, card.option("max_query_length"))
    columns: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for at, (row, question) in enumerate(zip(rows, questions, strict=True)):
        text = texts[row["context"]]
        if room - len(question) < 1:
            raise DataError(
                f"`max_length` must leave room for text beside a question of {len(question)} "
                "subwords. Raise it in the study's `training:`, or lower `max_query_length` in "
                "the card's `options:`."
            )
        span = _subwords_of(row["answers"], text)
        before = [*frame.before, *question, *frame.between]
        windows = list(windows_of(len(text.ids), room - len(question), card.option("doc_stride")))
        for (first, last), (own, until) in zip(windows, owned(windows), strict=True):
            offset = len(before)
            columns["input_ids"].append([*before, *text.ids[first:last], *frame.after])
            columns["example"].append(number + at)
            inside = span is not None and first <= span[0] and span[1] < last
            columns["start"].append(span[0] - first + offset if span and inside else 0)
            columns["end"].append(span[1] - first + offset if span and inside else 0)
            columns["offset"].append(offset)
            columns["first"].append(first)
            columns["own_from"].append(own - first + offset)
            columns["own_to"].append(until - first + offset)
    features = {name: integers(columns[name]) for name in FEATURES if name != "input_ids"}
    examples = {
        "id": strings(row["id"] for row in rows),
        "gold": strings(row["answers"][0]["text"] if row["answers"] else "" for row in rows),
        "answers": pa.array(
            [[one["text"] for one in row["answers"]] for row in rows], pa.list_(pa.string())
        ),
        "context": strings(row["context"] for row in rows),
        "begins": integer_lists([[texts[row["context"]].begins for row in rows]]),
        "ends": integer_lists([[texts[row["context"]].ends for row in rows]]),
    }
    ids = {"input_ids": integer_lists([columns["input_ids"]])}
    return Encoded(pa.table({**ids, **features}), pa.table(examples))


FEATURES = ("input_ids", "example", "start", "end", "offset", "first", "own_from", "own_to")


def _texts(rows: Sequence[Row], tokenizer: Tokenizer) -> dict[str, _Text]:
    """The distinct texts of the rows; several questions are about one."""
    texts = list(dict.fromkeys(row["context"] for row in rows))
    encoded = tokenizer(
        texts,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=True,
        verbose=False,
    )
    found = {}
    for text, ids, places in zip(
        texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        begins = [_after_space(text, begin, end) for begin, end in places]
        found[text] = _Text(ids, begins, [end for _, end in places])
    return found


def _after_space(text: str, begin: int, end: int) -> int:
    """Where a subword's first letter is: some tokenizers count the space before it."""
    while begin < end and text[begin].isspace():
        begin += 1
    return begin


def _questions(rows: Sequence[Row], tokenizer: Tokenizer, most: int) -> list[list[int]]:
    encoded = tokenizer(
        [row["question"] for row in rows],
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return [ids[:most] for ids in encoded["input_ids"]]


def windows_of(length: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most ``room`` subwords that cover ``length`` of them, ``stride`` apart."""
    first = 0
    while True:
        last = min(first + room, length)
        yield first, last
        if last == length:
            return
        first += min(stride, room)


def owned(windows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Per window the range in which it has the most text around a subword, of all windows.

    That is the smaller of what stands to the left and to the right; of equal windows the longer
    one, then the earlier one.
    """
    length = windows[-1][1]
    owner = []
    lowest = 0
    for at in range(length):
        while windows[lowest][1] <= at:
            lowest += 1
        best, most = lowest, -1.0
        for number in range(lowest, len(windows)):
            first, last = windows[number]
            if first > at:
                break
            around = min(at - first, last - 1 - at) + 0.01 * (last - first)
            if around > most:
                best, most = number, around
        owner.append(best)
    ranges = [(first, first) for first, _ in windows]
    for at, number in enumerate(owner):
        first, last = ranges[number]
        ranges[number] = (at, at + 1) if first == last else (first, at + 1)
    return ranges


def _subwords_of(answers: Sequence[Mapping[str, Any]], text: _Text) -> tuple[int, int] | None:
    """First and last subword of the first answer; None without one, or if it has no subword."""
    if not answers:
        return None
    begin = answers[0]["answer_start"]
    end = begin + len(answers[0]["text"])
    inside = [
        number
        for number, (first, last) in enumerate(zip(text.begins, text.ends, strict=True))
        if first < end and last > begin and first < last
    ]
    return (inside[0], inside[-1]) if inside else None


# ---- decoding ---------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The likeliest answer to a question, and by how much having none is likelier (logits)."""

    text: str
    null: float


def decode(
    card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
) -> list[Answer]:
    """The answer to every question, from the candidates of all its windows; "" if there is none.

    A candidate is a pair of a start that its window owns and an end of the same window, at most
    ``max_answer_length`` subwords; the highest sum of logits wins, of equal ones the first.
    """
    longest = card.option("max_answer_length")
    best: list[tuple[float, int, int] | None] = [None] * examples.num_rows
    null = [float("inf")] * examples.num_rows
    columns = [
        features[name].to_pylist() for name in ("example", "offset", "first", "own_from", "own_to")
    ]
    lengths = features["input_ids"].combine_chunks().value_lengths().to_pylist()
    counts = [len(ends) for ends in examples["ends"].to_pylist()]
    for place, output in enumerate(outputs):
        example, offset, first, own_from, own_to = (column[place] for column in columns)
        last = min(lengths[place], offset + counts[example] - first)
        starts, start_logits, ends, end_logits, nothing = output
        null[example] = min(null[example], float(nothing))
        for start, high in zip(starts, start_logits, strict=True):
            if not own_from <= start < own_to:
                continue
            for end, also in zip(ends, end_logits, strict=True):
                score = float(high) + float(also)
                known = best[example]
                if start <= end < min(last, start + longest) and (
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
