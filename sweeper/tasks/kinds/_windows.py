"""Questions and texts as windows of subwords: the encoding of span extraction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeper.errors import DataError
from sweeper.tasks.kinds.base import (
    Encoded,
    Frame,
    Row,
    Tokenizer,
    integer_lists,
    integers,
    strings,
)

if TYPE_CHECKING:
    from sweeper.tasks.card import Card


class _Text(NamedTuple):
    """A tokenised text: ids, and the characters of each subword."""

    ids: list[int]
    begins: list[int]
    ends: list[int]


def encode(
    rows: Sequence[Row], card: Card, tokenizer: Tokenizer, frame: Frame, room: int, number: int
) -> Encoded:
    """Features and examples of ``rows``, the first of which is example ``number``.

    The columns are described at `SpanExtraction.encode`; ``room`` is for question and text.
    """
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
            columns["last"].append(last)
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


FEATURES = (
    "input_ids", "example", "start", "end", "offset", "first", "last", "own_from", "own_to",
)  # fmt: skip


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
    """Ranges of at most ``room`` subwords that cover ``length`` of them, ``stride`` apart.

    But not further apart than half the room: an answer that is no longer than that half is then
    whole in a window. XTREME's stride of 128 is less than half of its 384; in inputs of 128
    subwords, windows so far apart would not overlap at all.
    """
    step = min(stride, max(1, room // 2))
    first = 0
    while True:
        last = min(first + room, length)
        yield first, last
        if last == length:
            return
        first += step


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
