"""Span extraction and multiple choice: encoding, decoding, scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.errors import DataError
from sweeper.tasks import encoding, kinds
from sweeper.tasks.card import Card
from sweeper.tasks.kinds._windows import owned, windows_of
from sweeper.tasks.kinds.span_extraction import Candidates

from .conftest import card
from .test_encoding import encode

TEXT = "beni toto tula mako sepi " * 12


def qa_card(**options: Any) -> Card:
    metric = options.pop("metric", "squad")
    return card("span_extraction", local={"format": "squad"}, metric=metric, options=options)


def question(text: str = "", start: int = 0, context: str = TEXT) -> dict[str, Any]:
    answers = [{"text": text, "answer_start": start}] if text else []
    return {"question": "mako tula", "context": context, "answers": answers}


def right_outputs(features: Any, null: float = -5.0) -> list[Candidates]:
    """What a perfect model says: the gold positions, and something worse."""
    found = []
    for row in features.to_pylist():
        start, end = row["start"], row["end"]
        low = row["offset"]
        found.append(Candidates([start, low], [9.0, 1.0], [end, low], [9.0, 1.0], null))
    return found


# ---- windows ----------------------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(1, 90), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_windows_cover_a_text_and_each_subword_has_one_owner(
    length: int, room: int, stride: int
) -> None:
    windows = list(windows_of(length, room, stride))
    assert {at for first, last in windows for at in range(first, last)} == set(range(length))
    assert all(last - first <= room for first, last in windows)
    ranges = owned(windows)
    assert [at for first, last in ranges for at in range(first, last)] == list(range(length))
    for (first, last), (own, until) in zip(windows, ranges, strict=True):
        assert own == until or (first <= own and until <= last)


def test_windows_are_a_stride_apart() -> None:
    assert list(windows_of(500, 300, 128)) == [(0, 300), (128, 428), (256, 500)]
    assert list(windows_of(300, 300, 128)) == [(0, 300)]


@given(st.integers(1, 400), st.integers(1, 90), st.integers(1, 200), st.data())
@settings(max_examples=200, deadline=None)
def test_an_answer_of_half_the_room_is_whole_in_a_window(
    length: int, room: int, stride: int, data: st.DataObject
) -> None:
    long = min(length, max(1, room // 2))
    begin = data.draw(st.integers(0, length - long))
    windows = windows_of(length, room, stride)
    assert any(first <= begin and begin + long <= last for first, last in windows)


def test_windows_that_are_shorter_than_two_strides() -> None:
    assert list(windows_of(100, 40, 128)) == [(0, 40), (20, 60), (40, 80), (60, 100)]
    assert list(windows_of(3, 1, 128)) == [(0, 1), (1, 2), (2, 3)]


def test_an_owner_has_the_most_text_around() -> None:
    assert owned([(0, 300), (128, 428), (256, 500)]) == [(0, 214), (214, 342), (342, 500)]


# ---- encoding ---------------------------------------------------------------------------------


def test_features_of_a_long_text(tokenizer: Any) -> None:
    start = TEXT.index("sepi", 150)
    task = qa_card(doc_stride=16)
    features, examples = encode(task, [question("sepi", start)], tokenizer, 40)
    rows = features.to_pylist()
    assert len(rows) > 3 and all(len(row["input_ids"]) <= 40 for row in rows)
    asked = tokenizer("mako tula", add_special_tokens=False)["input_ids"]
    for row in rows:
        assert row["input_ids"][: row["offset"]] == [0, *asked, 2, 2]
        assert row["input_ids"][-1] == 2
    inside = [row for row in rows if row["start"]]
    assert 0 < len(inside) < len(rows)
    for row in inside:
        ids = row["input_ids"][row["start"] : row["end"] + 1]
        assert tokenizer.decode(ids).strip() == "sepi"
        number = row["start"] - row["offset"] + row["first"]
        assert examples["begins"][0][number].as_py() == start
    assert sum(row["own_from"] <= row["start"] < row["own_to"] for row in inside) == 1
    assert examples["gold"].to_pylist() == ["sepi"]
    got = kinds.get("span_extraction").evaluate(task, examples, features, right_outputs(features))
    assert got.predicted == ["sepi"] and got.correct == [True] and got.score == [100.0]
    assert got.metrics == {"exact_match": 100.0, "f1": 100.0, "mean_em_f1": 100.0}


def test_a_long_question_is_cut(tokenizer: Any) -> None:
    row = {**question("beni"), "question": "tula " * 100}
    features, _ = encode(qa_card(max_query_length=5), [row], tokenizer, 60)
    assert features["offset"].to_pylist()[0] == 1 + 5 + 2
    with pytest.raises(DataError, match="beside a question of 64 subwords"):
        encode(qa_card(), [row], tokenizer, 60)


def test_many_questions_are_encoded_in_pieces(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [question("toto", 5, f"beni toto {'tula ' * n}") for n in range(7)]
    whole = encode(qa_card(), rows, tokenizer, 24)
    monkeypatch.setattr("sweeper.tasks.kinds.span_extraction.QUESTIONS", 3)
    pieces = encode(qa_card(), rows, tokenizer, 24)
    assert whole.features.equals(pieces.features.combine_chunks())
    assert whole.examples.equals(pieces.examples.combine_chunks())


@pytest.mark.parametrize(
    "context, answer",
    [
        ("Ada wohnte in Köln-Ehrenfeld.", "Köln-Ehrenfeld"),
        ("于1956年在中国东北出生。", "中国东北"),
        ("ทีมรับของแพนเธอร์สถอดใจที่คะแนน 308", "308"),
        ("\ufeff  spaces   before, ﬁne ligature", "ﬁne ligature"),
        (
            "\u0643\u0627\u0646 \u0627\u0644\u0628\u064a\u062a \u0643\u0628\u064a\u0631\u0627",
            "البيت",
        ),
    ],
)
def test_answers_are_cut_from_the_text(small_xlm_r: Any, context: str, answer: str) -> None:
    task = qa_card()
    row = {**question(answer, context.index(answer), context), "question": "?"}
    features, examples = encode(task, [row], small_xlm_r, 64)
    got = kinds.get("span_extraction").evaluate(task, examples, features, right_outputs(features))
    assert answer in got.predicted[0] and got.predicted[0] in context
    assert len(got.predicted[0]) <= len(answer) + 1


# ---- decoding ---------------------------------------------------------------------------------


def test_only_possible_spans_are_candidates(tokenizer: Any) -> None:
    task = qa_card(max_answer_length=2)
    features, examples = encode(task, [question("beni")], tokenizer, 200)
    offset = features["offset"][0].as_py()
    last = len(features["input_ids"][0]) - 1
    starts = [0, 1, last, offset + 3, offset]
    ends = [offset + 2, last, 2, offset + 1]
    logits = [[9.0, 8.0, 7.0, 6.0, 1.0], [9.0, 8.0, 7.0, 2.0]]
    output = Candidates(starts, logits[0], ends, logits[1], 0.0)
    got = kinds.get("span_extraction").evaluate(task, examples, features, [output])
    # Of all pairs only (offset, offset + 1) is in the text, in order and short enough.
    begins, until = examples["begins"][0].as_py(), examples["ends"][0].as_py()
    assert got.predicted == [TEXT[begins[0] : until[1]]]
    nothing = Candidates([0], [9.0], [0], [9.0], 0.0)
    got = kinds.get("span_extraction").evaluate(task, examples, features, [nothing])
    assert got.predicted == [""] and got.correct == [False]


def test_an_answer_ends_in_the_text_of_its_window(tokenizer: Any) -> None:
    """Not at the </s> after it, even where the text goes on in the next window."""
    task = qa_card()
    features, examples = encode(task, [question("beni")], tokenizer, 60)
    window, *others = features.to_pylist()
    assert others
    start, close = window["own_to"] - 1, len(window["input_ids"]) - 1
    assert start < close < start + task.option("max_answer_length")
    outputs = [Candidates([start], [1.0], [close, close - 1], [9.0, 1.0], 0.0)]
    outputs += [Candidates([0], [0.0], [0], [0.0], 0.0)] * len(others)
    got = kinds.get("span_extraction").evaluate(task, examples, features, outputs)
    begin = examples["begins"][0][start - window["offset"]].as_py()
    end = examples["ends"][0][close - 1 - window["offset"]].as_py()
    assert got.predicted == [TEXT[begin:end]]


def test_no_answer(tokenizer: Any) -> None:
    task = qa_card(metric="squad_v2")
    rows = [question("beni"), question(), question("toto", 5), question()]
    features, examples = encode(task, rows, tokenizer, 200)
    assert [row["start"] for row in features.to_pylist()][1::2] == [0, 0]
    outputs = [
        Candidates([9], [5.0], [9], [5.0], null)
        for row, null in zip(features.to_pylist(), [0.0, 30.0, 5.0, 30.0], strict=True)
    ]
    for number in (0, 2):
        row = features.to_pylist()[number]
        outputs[number] = Candidates([row["start"]], [5.0], [row["end"]], [5.0], 0.0)
    got = kinds.get("span_extraction").evaluate(task, examples, features, outputs)
    assert got.predicted == ["beni", "", "toto", ""]
    assert got.correct == [True] * 4
    assert got.metrics["mean_em_f1"] == got.metrics["f1"] == 100.0


def test_a_threshold_can_be_better(tokenizer: Any) -> None:
    task = qa_card(metric="squad_v2")
    features, examples = encode(task, [question("beni"), question()], tokenizer, 200)
    start, end = features["start"][0].as_py(), features["end"][0].as_py()
    # The model prefers no answer to both, but less so where there is one.
    outputs = [Candidates([start], [1.0], [end], [1.0], null) for null in (4.0, 9.0)]
    got = kinds.get("span_extraction").evaluate(task, examples, features, outputs)
    assert got.predicted == ["", ""]
    assert got.metrics["f1"] == 50.0
    assert got.metrics["best_f1"] == got.metrics["mean_em_f1"] == 100.0


def test_mlqa_needs_the_units_language(tokenizer: Any, tmp_path: Path) -> None:
    task = qa_card(metric="mlqa")
    row = {"id": "1", **question("der Mann", 0, "der Mann geht")}
    made = encoding.prepare_unit(task, "test", "de", [row], tokenizer, 64, tmp_path)
    features, examples = encoding.open_unit(tmp_path)
    first = features["start"][0].as_py()
    second = next(
        n for n, begin in enumerate(examples["begins"][0].as_py()) if begin == len("der ")
    )
    at = first + second
    outputs = [Candidates([at], [1.0], [features["end"][0].as_py()], [1.0], 0.0)]
    kind = kinds.get("span_extraction")
    got = kind.evaluate(task, examples, features, outputs)
    assert got.predicted == ["Mann"] and got.correct == [True]
    english = kind.evaluate(qa_card(), examples, features, outputs)
    assert english.correct == [False]
    with pytest.raises(DataError, match="does not say its own"):
        kind.evaluate(task, made.examples, made.features, outputs)


# ---- multiple choice --------------------------------------------------------------------------

CHOICES = card("multiple_choice", labels=2, local={"format": "jsonl", "columns": {
    "prompt": "p", "choices": "c", "label": "l"}})  # fmt: skip


def test_one_feature_per_choice(tokenizer: Any) -> None:
    rows = [
        {"prompt": "beni", "choices": ["toto", "tula mako"], "label": "1"},
        {"prompt": "sepi", "choices": ["toto", "tula"], "label": "0"},
    ]
    features, examples = encode(CHOICES, rows, tokenizer)
    pair = tokenizer("beni", "tula mako")["input_ids"]
    assert features["input_ids"][1].as_py() == pair
    assert features["example"].to_pylist() == [0, 0, 1, 1]
    assert features["choice"].to_pylist() == [0, 1, 0, 1]
    assert features["label"].to_pylist() == [1, 1, 0, 0]
    assert examples["gold"].to_pylist() == ["1", "0"]
    got = kinds.get("multiple_choice").evaluate(CHOICES, examples, features, [0.1, 0.2, 3, 3])
    assert got.predicted == ["1", "0"] and got.metrics == {"accuracy": 100.0}
    with pytest.raises(DataError, match="score per choice"):
        kinds.get("multiple_choice").evaluate(CHOICES, examples, features, [math.nan, 0, 0, 0])


def test_a_long_prompt_loses_its_beginning(tokenizer: Any) -> None:
    row = {"prompt": "beni " * 40 + "sepi", "choices": ["toto", "tula " * 40], "label": "0"}
    features, _ = encode(CHOICES, [row], tokenizer, 16)
    short, long = features["input_ids"].to_pylist()
    ending = tokenizer("sepi", "toto")["input_ids"][1:]
    assert len(short) == 16 and short[0] == 0 and short[-len(ending) :] == ending
    assert len(long) == 16 and long[:3] == [0, 2, 2]


def test_what_a_prompt_is_made_of() -> None:
    kind = kinds.get("multiple_choice")
    local = {"format": "jsonl", "columns": {"prompt": "p", "choices": "c", "label": "l"}}
    task = card("multiple_choice", labels=2, local=local, options={"phrases": {"cause": "Why?"}})
    values = {"prompt": ["a ", "b"], "choices": ["x", "y"], "label": "0"}
    assert kind.row(values, task)["prompt"] == "a b"
    full = kind.row({**values, "question": "cause", "choice_prefix": "then"}, task)
    assert full["prompt"] == "a b Why?" and full["choices"] == ["then x", "then y"]
    empty = kind.row({**values, "choice_prefix": ""}, task)
    assert empty["choices"] == ["x", "y"]
    with pytest.raises(Exception, match="must be one of the card's `phrases`, which are cause"):
        kind.row({**values, "question": "effect"}, task)
