"""Encoding rows of every kind, the files they are written to, and scoring outputs."""

from __future__ import annotations

import os
import random
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.tasks import encoding, kinds
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import IGNORED

from .conftest import card

TAGS = card("token_classification")


def encode(task: Card, rows: list[dict[str, Any]], tokenizer: Any, length: int = 32) -> Any:
    named = [{"id": str(number), **row} for number, row in enumerate(rows)]
    return kinds.get(task.kind).encode(named, task, tokenizer, length)


def words(tokenizer: Any, *tokens: str) -> list[list[int]]:
    found = [tokenizer([t], is_split_into_words=True, add_special_tokens=False) for t in tokens]
    return [one["input_ids"] for one in found]


# ---- classification ---------------------------------------------------------------------------


def test_pairs_stand_in_xlm_rs_frame(tokenizer: Any) -> None:
    rows = [{"text": "beni toto", "pair": "tula", "label": "no"}]
    features, examples = encode(card(), rows, tokenizer)
    one, two = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in ("beni toto", "tula"))
    assert features.to_pylist() == [
        {"input_ids": [0, *one, 2, 2, *two, 2], "example": 0, "label": 1}
    ]
    assert examples.to_pylist() == [{"id": "0", "gold": "no"}]
    assert str(features.schema.field("input_ids").type) == "list<item: int32>"


def test_a_real_tokenizer_frames_pairs_alike(small_xlm_r: Any) -> None:
    features, _ = encode(card(), [{"text": "Hello", "pair": "world", "label": "yes"}], small_xlm_r)
    text = small_xlm_r.decode(features["input_ids"][0].as_py())
    assert text.replace(" ", "") == "<s>Hello</s></s>world</s>"


def test_the_longer_part_is_cut(tokenizer: Any) -> None:
    rows = [
        {"text": "beni " * 50, "pair": "tula", "label": "no"},
        {"text": "a", "pair": "", "label": "no"},
    ]
    features, _ = encode(card(), rows, tokenizer, 16)
    ids = features["input_ids"].to_pylist()
    assert len(ids[0]) == 16
    assert ids[0][-1] == 2 and ids[0][-2] != 2
    pair = tokenizer("tula", add_special_tokens=False)["input_ids"]
    assert ids[0][-1 - len(pair) : -1] == pair


def test_all_rows_have_a_pair_or_none(tokenizer: Any) -> None:
    rows = [{"text": "a", "label": "no"}, {"text": "a", "pair": "b", "label": "no"}]
    with pytest.raises(DataError, match="or none; 1 of 2 have one"):
        encode(card(), rows, tokenizer)


def test_classification_is_scored(tokenizer: Any) -> None:
    rows = [{"text": "a", "label": label} for label in ("yes", "no", "no")]
    features, examples = encode(card(), rows, tokenizer)
    got = kinds.get("classification").evaluate(card(), examples, features, [0, 1, 0])
    assert got.metrics == {"accuracy": pytest.approx(200 / 3)}
    assert got.predicted == ["yes", "no", "yes"]
    assert got.correct == [True, True, False]
    assert got.score == [None] * 3
    with pytest.raises(DataError, match="3 features and 2 outputs"):
        kinds.get("classification").evaluate(card(), examples, features, [0, 1])


# ---- token classification ---------------------------------------------------------------------


def test_first_subwords_are_labelled(tokenizer: Any) -> None:
    tokens = ["xylophon", "ni"]
    features, examples = encode(TAGS, [{"tokens": tokens, "tags": ["B-X", "O"]}], tokenizer)
    first, second = words(tokenizer, *tokens)
    assert len(first) > 1
    row = features.to_pylist()[0]
    assert row["input_ids"] == [0, *first, *second, 2]
    marks = [1, *[IGNORED] * (len(first) - 1), 0, *[IGNORED] * (len(second) - 1)]
    assert row["labels"] == [IGNORED, *marks, IGNORED]
    assert examples.to_pylist() == [{"id": "0", "gold": "B-X O", "tags": [1, 0]}]


def test_long_sentences_are_split_at_words_and_nothing_is_lost(tokenizer: Any) -> None:
    rng = random.Random(0)
    rows = []
    for _ in range(30):
        tokens = ["".join(rng.choices("abdegiklmno", k=rng.randint(1, 9))) for _ in range(25)]
        rows.append({"tokens": tokens, "tags": rng.choices(TAGS.labels, k=25)})
    features, examples = encode(TAGS, rows, tokenizer, 12)
    table = features.to_pylist()
    assert max(len(row["input_ids"]) for row in table) <= 12
    assert [row["example"] for row in table] == sorted(row["example"] for row in table)
    for number, row in enumerate(rows):
        windows = [one for one in table if one["example"] == number]
        ids = [i for one in windows for i in one["input_ids"][1:-1]]
        assert ids == [i for word in words(tokenizer, *row["tokens"]) for i in word]
        marks = [mark for one in windows for mark in one["labels"] if mark != IGNORED]
        assert [TAGS.labels[mark] for mark in marks] == row["tags"]
        assert len(windows) > 1
        # A window ends only where the next word does not fit any more.
        for one, other in pairwise(windows):
            first = next((i for i, m in enumerate(other["labels"][2:], 1) if m != IGNORED), None)
            first_word = len(other["input_ids"]) - 2 if first is None else first
            assert len(one["input_ids"]) + first_word > 12
    outputs = [[m for m in row["labels"] if m != IGNORED] for row in table]
    got = kinds.get("token_classification").evaluate(TAGS, examples, features, outputs)
    assert got.metrics["accuracy"] == got.metrics["f1"] == 100.0
    assert got.predicted == [" ".join(row["tags"]) for row in rows]
    assert all(got.correct)


def test_words_without_or_with_too_many_subwords_become_unknown(tokenizer: Any) -> None:
    tokens = ["", "ni", "k" * 100]
    features, _ = encode(TAGS, [{"tokens": tokens, "tags": ["O", "B-X", "O"]}], tokenizer, 12)
    row = features.to_pylist()[0]
    assert row["input_ids"] == [0, 3, *words(tokenizer, "ni")[0], 3, 2]
    assert [mark for mark in row["labels"] if mark != IGNORED] == [0, 1, 0]


def test_words_are_encoded_as_the_tokenizer_encodes_a_sentence(small_xlm_r: Any) -> None:
    tokens = ["R.H.", "Saunders", "(", "中国", "”", "ﬁn", "\u200bwas", "e\u0301"]
    rows = [{"tokens": tokens, "tags": ["O"] * len(tokens)}]
    features, _ = encode(TAGS, rows, small_xlm_r, 64)
    whole = small_xlm_r(tokens, is_split_into_words=True)["input_ids"]
    assert features["input_ids"][0].as_py() == whole


def test_tagging_is_scored_per_sentence_too(tokenizer: Any) -> None:
    rows = [
        {"tokens": ["a", "b"], "tags": ["B-X", "I-X"]},
        {"tokens": ["c", "d"], "tags": ["O", "B-X"]},
    ]
    features, examples = encode(TAGS, rows, tokenizer)
    got = kinds.get("token_classification").evaluate(TAGS, examples, features, [[1, 2], [0, 0]])
    assert got.metrics == {
        "f1": pytest.approx(200 / 3),
        "precision": 100.0,
        "recall": 50.0,
        "accuracy": 75.0,
    }
    assert got.predicted == ["B-X I-X", "O O"]
    assert (got.correct, got.score) == ([True, False], [100.0, 50.0])
    with pytest.raises(DataError, match="has 2 words and 1 predicted tags"):
        kinds.get("token_classification").evaluate(TAGS, examples, features, [[1], [0, 0]])


# ---- masked language modelling ----------------------------------------------------------------


def test_masked_lm(tokenizer: Any) -> None:
    task = card("masked_lm")
    features, examples = encode(task, [{"text": "beni"}, {"text": "toto " * 40}], tokenizer, 16)
    ids = features["input_ids"].to_pylist()
    assert ids[0] == tokenizer("beni")["input_ids"]
    assert len(ids[1]) == 16 and ids[1][-1] == 2
    kind = kinds.get("masked_lm")
    got = kind.evaluate(task, examples, features, [(2.0, 1), (10.0, 3)])
    assert got.metrics == {"loss": 3.0}
    assert got.score == [2.0, pytest.approx(10 / 3)]
    assert got.correct == [None, None] and got.predicted == ["", ""]
    assert kind.evaluate(task, examples, features, [(0.0, 0), (1.0, 1)]).score[0] is None
    with pytest.raises(DataError, match="at least one masked token"):
        kind.evaluate(task, examples, features, [(0.0, 0), (0.0, 0)])


# ---- sentence retrieval -----------------------------------------------------------------------


RETRIEVAL = card("sentence_retrieval")
TRANSLATED = [
    {"text": "drei", "pair": "three"},
    {"text": "eins", "pair": "one"},
    {"text": "zwei", "pair": "two"},
]


def test_queries_are_sorted_and_sentences_are_not(tokenizer: Any) -> None:
    features, examples = encode(RETRIEVAL, TRANSLATED, tokenizer)
    assert examples.to_pylist() == [
        {"id": "1", "gold": "1", "foreign": "0"},
        {"id": "0", "gold": "0", "foreign": "1"},
        {"id": "2", "gold": "2", "foreign": "2"},
    ]
    assert features["side"].to_pylist() == [0, 1] * 3
    assert features["example"].to_pylist() == [0, 0, 1, 1, 2, 2]
    texts = [
        tokenizer.decode(ids, skip_special_tokens=True)
        for ids in features["input_ids"].to_pylist()
    ]
    wanted = ["drei", "one", "eins", "three", "zwei", "two"]
    same = [tokenizer.decode(tokenizer(t)["input_ids"], skip_special_tokens=True) for t in wanted]
    assert texts == same


def test_retrieval_is_scored(tokenizer: Any) -> None:
    features, examples = encode(RETRIEVAL, TRANSLATED, tokenizer)
    kind = kinds.get("sentence_retrieval")
    assert not kind.needs_training
    # In turn: of the foreign sentence its likeliest query, of the query the nearest sentence.
    got = kind.evaluate(RETRIEVAL, examples, features, [1, 1, 0, 0, 2, 2])
    assert got.metrics == {"accuracy": 100.0, "xsim": 0.0} and all(got.correct)
    got = kind.evaluate(RETRIEVAL, examples, features, [1, 0, 2, 0, 2, 0])
    assert got.metrics == {"accuracy": pytest.approx(100 / 3), "xsim": pytest.approx(100 / 3)}
    assert got.predicted == ["0", "0", "0"]


# ---- files ------------------------------------------------------------------------------------


def test_units_are_written_and_mapped(tokenizer: Any, tmp_path: Path) -> None:
    import pyarrow as pa

    rows = [{"id": str(n), "text": f"beni {n}", "label": "yes"} for n in range(10_000)]
    folder = tmp_path / "unit"
    made = encoding.prepare_unit(card(), "test", "de", rows, tokenizer, 32, folder)
    before = pa.total_allocated_bytes()
    features, examples = encoding.open_unit(folder)
    assert pa.total_allocated_bytes() - before < 10_000
    assert features.equals(made.features) and examples.equals(made.examples)
    assert features["input_ids"].num_chunks == 1
    about = features.schema.metadata[b"sweeper"].decode()
    assert '"task": "mine"' in about and '"language": "de"' in about
    again = tmp_path / "again"
    encoding.prepare_unit(card(), "test", "de", rows, tokenizer, 32, again)
    for name in (encoding.FEATURES, encoding.EXAMPLES):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_damaged_or_missing_units(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not there. Run the study again"):
        encoding.open_unit(tmp_path)
    rows = [{"id": "0", "text": "beni", "label": "yes"}]
    encoding.prepare_unit(card(), "test", "de", rows, tokenizer, 32, tmp_path)
    os.truncate(tmp_path / encoding.EXAMPLES, 100)
    with pytest.raises(DataError, match="must be a whole Arrow file"):
        encoding.open_unit(tmp_path)
    (tmp_path / encoding.EXAMPLES).write_bytes(b"")
    with pytest.raises(DataError, match="must be a whole Arrow file"):
        encoding.open_unit(tmp_path)


@pytest.mark.parametrize("length, least", [(5, 6), (2, 3)])
def test_a_length_without_room(tokenizer: Any, tmp_path: Path, length: int, least: int) -> None:
    task, row = card(), {"id": "0", "text": "a", "pair": "b", "label": "yes"}
    if least == 3:
        task, row = TAGS, {"id": "0", "tokens": ["a"], "tags": ["O"]}
    with pytest.raises(DataError, match=f"at least {least}, since .* it is {length}"):
        encoding.prepare_unit(task, "test", "de", [row], tokenizer, length, tmp_path)
    with pytest.raises(DataError, match="at least one row"):
        encoding.prepare_unit(task, "test", "de", [], tokenizer, 32, tmp_path)


def test_twenty_thousand_sentences_take_seconds(tokenizer: Any) -> None:
    rng = random.Random(1)
    stock = ["".join(rng.choices("abdegiklmnoprstu", k=rng.randint(2, 9))) for _ in range(20_000)]
    rows = []
    for _ in range(20_000):
        tokens = rng.choices(stock, k=12)
        rows.append({"tokens": tokens, "tags": ["O"] * 12})
    before = time.process_time()
    features, _ = encode(TAGS, rows, tokenizer, 128)
    assert features.num_rows >= 20_000
    assert time.process_time() - before < 15
