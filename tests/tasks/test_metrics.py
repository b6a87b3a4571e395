"""Metrics against seqeval itself and against values of the official scorers."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.errors import DataError
from sweeper.tasks import metrics
from sweeper.tasks.card import shipped_cards

UPOS = list(shipped_cards()["udpos"].labels)
BIO = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
ODD = [*BIO, "E-PER", "S-PER", "B", "I", "E", "S", "B-A-B", "I-A-B", "B-", ".", "O-PER", "_", "BX"]


def seqeval_scores(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
    from seqeval.metrics import f1_score, precision_score, recall_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "f1": 100 * float(f1_score(gold, predicted)),
            "precision": 100 * float(precision_score(gold, predicted)),
            "recall": 100 * float(recall_score(gold, predicted)),
        }


@st.composite
def tagged(draw: st.DrawFn) -> tuple[list[list[str]], list[list[str]]]:
    tags = st.sampled_from(draw(st.sampled_from([UPOS, BIO, ODD, ["X", "O", "NOUN"]])))
    lengths = draw(st.lists(st.integers(1, 8), min_size=1, max_size=6))
    gold, predicted = (
        [draw(st.lists(tags, min_size=n, max_size=n)) for n in lengths] for _ in range(2)
    )
    # Mostly right predictions, so that there are hits.
    keep = draw(st.booleans())
    if keep:
        predicted = [
            [g if i % 3 else p for i, (g, p) in enumerate(zip(gs, ps, strict=True))]
            for gs, ps in zip(gold, predicted, strict=True)
        ]
    return gold, predicted


@settings(max_examples=250, deadline=None)
@given(tagged())
def test_entity_f1_equals_seqeval(pair: tuple[list[list[str]], list[list[str]]]) -> None:
    gold, predicted = pair
    assert metrics.entity_f1(gold, predicted) == pytest.approx(seqeval_scores(gold, predicted))


def test_a_perfect_and_an_empty_prediction() -> None:
    gold = [["B-PER", "I-PER", "O"], ["O", "B-LOC", "O"]]
    assert metrics.entity_f1(gold, gold) == {"f1": 100.0, "precision": 100.0, "recall": 100.0}
    nothing = [["O"] * 3] * 2
    assert metrics.entity_f1(gold, nothing) == {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    assert metrics.entity_f1(nothing, nothing)["f1"] == 0.0


def test_tags_without_prefix_lose_their_first_letter() -> None:
    assert metrics.entity_f1([["CCONJ"]], [["SCONJ"]])["f1"] == 100.0
    assert metrics.entity_f1([["NOUN"]], [["VERB"]])["f1"] == 0.0


def test_accuracy() -> None:
    assert metrics.accuracy(["a", "b", "c", "d"], ["a", "b", "c", "x"]) == 75.0
    assert metrics.token_accuracy([["a", "b"], ["c", "d"]], [["a", "b"], ["c", "x"]]) == 75.0


@pytest.mark.parametrize("gold, predicted", [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_lists_must_be_equally_long_and_not_empty(gold: list[str], predicted: list[str]) -> None:
    with pytest.raises(DataError, match="not empty"):
        metrics.accuracy(gold, predicted)


def test_sentences_must_be_equally_long() -> None:
    with pytest.raises(DataError, match="one predicted tag per word"):
        metrics.entity_f1([["O", "O"]], [["O"]])


def golden_cases(folder: Path, metric: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text("utf-8")) for path in sorted(folder.rglob("*.json"))]
    cases = [case for case in found if case["metric"] == metric]
    assert cases, f"no golden case has the metric {metric}"
    return cases


def test_golden_accuracy(golden: Path) -> None:
    for case in golden_cases(golden, "accuracy"):
        value = metrics.accuracy(case["inputs"]["gold"], case["inputs"]["predictions"])
        tolerance = case["tolerance"]["default"]
        assert value == pytest.approx(case["expected"]["accuracy"], abs=tolerance), case["case"]


def test_golden_tagging(golden: Path) -> None:
    for case in golden_cases(golden, "tagging"):
        gold, predicted = case["inputs"]["gold"], case["inputs"]["predictions"]
        value = metrics.entity_f1(gold, predicted)
        near = {"abs": case["tolerance"]["default"]}
        assert value == pytest.approx(case["expected"]["seqeval_1_2_2"], **near), case["case"]
        words = metrics.token_accuracy(gold, predicted)
        assert words == pytest.approx(case["expected"]["token_accuracy"], **near), case["case"]
