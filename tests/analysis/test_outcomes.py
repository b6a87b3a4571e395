"""What each example adds, against the metrics that score a whole unit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sweeper.analysis.outcomes import Rows, Vector, majority
from sweeper.store.schema import EXAMPLES
from sweeper.tasks.metrics import entity_f1

TAGS = {
    "entities": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "parts of speech": ["NOUN", "X", "CCONJ", "SCONJ", "PUNCT", ".", "VERB"],
    "all marks": ["O", "S-A", "E-A", "B-A", "I-A"],
}


def rows(**columns: Sequence[Any]) -> pa.Table:
    count = len(next(iter(columns.values())))
    names = ("id", "gold", "predicted", "correct", "score")
    schema = pa.schema([EXAMPLES.field(name) for name in names])
    whole = {name: columns.get(name, [None] * count) for name in names}
    return pa.Table.from_pydict(whole, schema=schema)


def outcomes(kind: str, metric: str, value: float, table: pa.Table) -> Vector | None:
    return Rows(kind, table).outcomes(metric, value, 0, table.num_rows)


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
def test_sentences_add_up_to_the_f1_of_their_spans(tags: list[str]) -> None:
    chance = random.Random(0)
    for _ in range(100):
        lengths = [chance.randint(1, 9) for _ in range(chance.randint(1, 30))]
        gold = [[chance.choice(tags) for _ in range(length)] for length in lengths]
        given = [[t if chance.random() < 0.7 else chance.choice(tags) for t in s] for s in gold]
        value = entity_f1(gold, given)["f1"]
        texts = [[" ".join(sentence) for sentence in side] for side in (gold, given)]
        found = outcomes(
            "token_classification", "f1", value, rows(gold=texts[0], predicted=texts[1])
        )
        assert found is not None and found.mean() == pytest.approx(value)


def test_units_of_one_file_do_not_reach_into_each_other() -> None:
    """A type that is none (X) reaches back to the start of the last span, in whatever unit."""
    gold, given = ["NOUN X", "X NOUN"], ["X X", "NOUN NOUN"]
    table = rows(gold=gold * 2, predicted=given * 2)
    split = [[text.split() for text in side] for side in (gold, given)]
    value = entity_f1(*split)["f1"]
    for start in (0, 2):
        found = Rows("token_classification", table).outcomes("f1", value, start, start + 2)
        assert found is not None and found.mean() == pytest.approx(value)


def test_the_parts_of_an_f1_say_how_much_it_varies() -> None:
    """Against drawing sentences anew and scoring each sample as a whole."""
    chance, rng = random.Random(1), np.random.default_rng(1)
    tags = TAGS["entities"]
    gold = [[chance.choice(tags) for _ in range(6)] for _ in range(200)]
    given = [[t if chance.random() < 0.8 else "O" for t in s] for s in gold]
    texts = [[" ".join(sentence) for sentence in side] for side in (gold, given)]
    value = entity_f1(gold, given)["f1"]
    found = outcomes("token_classification", "f1", value, rows(gold=texts[0], predicted=texts[1]))
    assert found is not None
    whole = []
    for _ in range(400):
        drawn = rng.integers(0, 200, 200)
        whole.append(entity_f1([gold[i] for i in drawn], [given[i] for i in drawn])["f1"])
    assert np.std(found) / np.sqrt(200) == pytest.approx(np.std(whole), rel=0.1)


def test_accuracies_are_right_or_wrong() -> None:
    found = outcomes("classification", "accuracy", 75.0, rows(correct=[True, True, False, True]))
    assert found is not None and found.tolist() == [100.0, 100.0, 0.0, 100.0]


def test_answers_have_both_their_scores() -> None:
    table = rows(correct=[True, False], score=[100.0, 50.0])
    found = outcomes("span_extraction", "mean_em_f1", 62.5, table)
    assert found is not None and found.tolist() == [100.0, 25.0]


def test_mined_pairs_add_up_to_their_f1() -> None:
    """Two of three gold pairs are found, and one that is none: F1 = 2 * 2 / (3 + 3)."""
    table = rows(gold=["a", "b", "c", ""], predicted=["a", "b", "", "d"],
                 correct=[True, True, False, False])  # fmt: skip
    found = outcomes("bitext_mining", "f1", 200 * 2 / 6, table)
    assert found is not None and found.mean() == pytest.approx(200 * 2 / 6)


@pytest.mark.parametrize(
    ("kind", "metric", "value"),
    [("classification", "accuracy", 50.0), ("masked_lm", "loss", 1.0), ("new", "f1", 75.0)],
)
def test_what_does_not_add_up_is_not_used(kind: str, metric: str, value: float) -> None:
    assert outcomes(kind, metric, value, rows(correct=[True, True, False, True])) is None


def test_the_commonest_answer_of_a_classification() -> None:
    table = pa.array(["a", "b", "a", "a"])
    assert majority("classification", "accuracy", table) == 75.0
    assert majority("span_extraction", "mean_em_f1", table) == 0.0
