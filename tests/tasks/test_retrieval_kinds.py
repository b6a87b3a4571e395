"""Bitext mining and answer retrieval, the search behind them, and overlaps between tasks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.errors import DataError, StudyError
from sweeper.tasks import kinds, overlaps
from sweeper.tasks.card import shipped_cards
from sweeper.tasks.kinds.base import Unit
from sweeper.tasks.metrics import mining, neighbours
from sweeper.tasks.overlaps import Part

from .conftest import Reader, card
from .test_encoding import encode

# ---- the search -------------------------------------------------------------------------------


@given(
    st.integers(1, 40), st.integers(1, 60), st.integers(1, 6), st.integers(1, 17),
    st.integers(1, 23), st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_blocks_change_nothing(
    queries: int, candidates: int, k: int, height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    # Small whole numbers: many equal similarities, computed without rounding.
    ours = rng.integers(-2, 3, (queries, 3)).astype(np.float32)
    theirs = rng.integers(-2, 3, (candidates, 3)).astype(np.float32)
    found = neighbours.nearest(ours, theirs, k, block=(height, width))
    similar = ours @ theirs.T
    order = np.argsort(-similar, axis=1, kind="stable")[:, : min(k, candidates)]
    assert found.number.tolist() == order.tolist()
    assert found.similarity.tolist() == np.take_along_axis(similar, order, 1).tolist()


def test_a_backend_sees_blocks_only() -> None:
    seen = []

    def backend(ours: Any, theirs: Any, k: int) -> Any:
        seen.append((len(ours), len(theirs)))
        return neighbours.multiply(ours, theirs, k)

    vectors = neighbours.normalised(np.random.default_rng(0).normal(size=(100, 8)))
    mined = mining.mine(vectors, vectors[::-1], backend=backend, block=(30, 40))
    assert max(rows for rows, _ in seen) == 30 and max(columns for _, columns in seen) == 40
    pairs = sorted(zip(mined.source.tolist(), mined.target.tolist(), strict=True))
    assert pairs == [(n, 99 - n) for n in range(100)]
    with pytest.raises(DataError, match="both sides"):
        mining.mine(vectors, vectors[:0])


def test_a_threshold_without_any_right_pair_takes_everything() -> None:
    found = {("a", "x"): 1.2, ("b", "y"): 1.1}
    threshold = mining.best_threshold(found, [("a", "y")])
    assert mining.extracted(found, threshold) == list(found)
    assert mining.pair_f1([("a", "y")], []) == {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    assert mining.best_threshold(found, [("a", "x")]) == pytest.approx(1.15)


# ---- bitext mining ----------------------------------------------------------------------------

MINING = card("bitext_mining", local={"format": "bucc", "files": {"test": ["a", "b", "c"]}})


def sentences(side: int, *texts: str, partners: dict[int, str] | None = None) -> Any:
    mark = "fe"[side]
    return [
        {"id": f"{mark}{n}", "text": text, "side": side, "partner": (partners or {}).get(n, "")}
        for n, text in enumerate(texts)
    ]


def mined_unit(split: str, tokenizer: Any, margins: list[float]) -> Unit:
    rows = [
        *sentences(0, "beni", "toto", "tula", "toto", partners={0: "e1", 1: "e0", 2: "e2"}),
        *sentences(1, "mako", "sepi", "beni", partners={1: "f0", 0: "f1", 2: "f2"}),
    ]
    features, examples = kinds.get("bitext_mining").encode(rows, MINING, tokenizer, 16)
    # f0-e1 is right, f2-e0 is wrong; toto occurs twice, so that its pair cannot be found.
    outputs = [(1, margins[0]), (2, margins[1]), (0, margins[2]), None, None, None]
    return Unit(split, "de", examples, features, outputs)


def test_duplicates_are_merged_and_have_no_id(tokenizer: Any) -> None:
    unit = mined_unit("dev", tokenizer, [1.5, 1.4, 1.1])
    told = unit.examples.to_pylist()
    assert [row["id"] for row in told] == ["f0", "f1", "f2", "e0", "e1", "e2"]
    assert [row["named"] for row in told] == [True, False, True, True, True, True]
    assert [row["gold"] for row in told] == ["e1", "", "e2", "", "", ""]
    assert told[0]["lost"] == 1
    assert unit.features["side"].to_pylist() == [0, 0, 0, 1, 1, 1]


def test_the_threshold_comes_from_dev(tokenizer: Any) -> None:
    kind = kinds.get("bitext_mining")
    dev = mined_unit("dev", tokenizer, [1.5, 1.4, 1.1])
    test = mined_unit("test", tokenizer, [1.25, 1.4, 1.35])
    got = kind.evaluate_units(MINING, {"test/de": test, "dev/de": dev})
    assert got["dev/de"].metrics["threshold"] == pytest.approx(1.3)
    assert got["dev/de"].metrics["precision"] == 100.0
    assert got["dev/de"].metrics["recall"] == pytest.approx(100 / 3)  # the lost pair counts
    assert got["test/de"].metrics["threshold"] == pytest.approx(1.3)
    assert got["test/de"].metrics["f1"] == 0.0
    assert got["test/de"].predicted == ["", "", "e0", "", "", ""]
    assert got["dev/de"].correct == [True, True, False, None, None, None]
    assert got["dev/de"].score[0] == 1.5
    assert kind.companions(MINING, "test", "de") == (("dev", "de"),)
    assert kind.companions(MINING, "dev", "de") == ()
    with pytest.raises(DataError, match="is not scored along with it"):
        kind.evaluate_units(MINING, {"test/de": test})


# ---- answer retrieval -------------------------------------------------------------------------

ANSWERS = card("answer_retrieval", local={"format": "xquad_r"}, options={"cutoff": 2})


def xquad_r(*breaks: list[int], where: int = 17) -> str:
    qas = [
        {"id": "q0", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]},
        {"id": "q1", "question": "Where?", "answers": [{"text": "Rome", "answer_start": where}]},
    ]
    paragraph = {
        "context": "Ada came. It was Rome.",
        "qas": qas,
        "sentence_breaks": list(breaks),
        "sentences": ["Ada came.", "It was Rome."],
    }
    return json.dumps({"data": [{"paragraphs": [paragraph]}]})


def test_xquad_r(read: Reader) -> None:
    rows = read(ANSWERS, xquad_r([0, 9], [10, 22]))
    assert [row["id"] for row in rows] == ["q0_de", "q1_de", "de_1_0", "de_1_1"]
    assert [row["keys"] for row in rows] == [["q0"], ["q1"], ["q0"], ["q1"]]
    # Without a space in between, a sentence ends where the next begins.
    rows = read(ANSWERS, xquad_r([0, 9], [9, 22], where=9))
    assert [row["keys"] for row in rows] == [["q0"], ["q1"], ["q0"], ["q1"]]
    with pytest.raises(DataError, match=r"question:2: an answer must begin in a sentence; 17"):
        read(ANSWERS, xquad_r([0, 9], [10, 12]))
    with pytest.raises(DataError, match="as many sentences as sentence breaks"):
        read(ANSWERS, xquad_r([0, 9]))


def answer_unit(read: Reader, tokenizer: Any, language: str, outputs: list[Any]) -> Unit:
    rows = read(ANSWERS, xquad_r([0, 9], [10, 22]), language=language)
    features, examples = kinds.get("answer_retrieval").encode(rows, ANSWERS, tokenizer, 24)
    return Unit("test", language, examples, features, outputs)


def test_candidates_of_all_languages_are_one_pool(read: Reader, tokenizer: Any) -> None:
    # The pool: 0, 1 are the German sentences, 2, 3 the English ones; 0 and 2 answer q0.
    units = {
        "test/de": answer_unit(read, tokenizer, "de", [[0, 2], [0, 1], None, None]),
        "test/en": answer_unit(read, tokenizer, "en", [[1, 2], [0, 2], None, None]),
    }
    kind = kinds.get("answer_retrieval")
    got = kind.evaluate_units(ANSWERS, units)
    assert got["test/de"].metrics == {"map@2": pytest.approx(62.5), "mrr@2": pytest.approx(75.0)}
    assert got["test/en"].metrics == {"map@2": pytest.approx(12.5), "mrr@2": pytest.approx(25.0)}
    assert got["test/de"].predicted == ["de_1_0", "de_1_0", "", ""]
    assert got["test/de"].correct == [True, False, None, None]
    assert got["test/de"].ranking == [["de_1_0", "en_1_0"], ["de_1_0", "de_1_1"], None, None]
    assert kind.companions(ANSWERS, "test", "de") == (("test", "en"),)
    short = answer_unit(read, tokenizer, "de", [[0], [0, 1], None, None])
    with pytest.raises(DataError, match="2 best candidates ranked; 'q0_de' has 1"):
        kind.evaluate(ANSWERS, short.examples, short.features, short.outputs)


def test_a_ranking_names_its_candidates_or_is_none(tokenizer: Any) -> None:
    def unit(code: str, name: str, outputs: list[Any]) -> Unit:
        rows = [
            {"id": f"q{code}", "text": "a", "role": "question", "keys": ["k"]},
            {"id": name, "text": "b", "role": "candidate", "keys": ["k"]},
        ]
        return Unit("test", code, *reversed(encode(ANSWERS, rows, tokenizer)), outputs)

    def evaluated(second: str) -> Any:
        units = {"de": unit("de", "0", [[0, 1], None]), "en": unit("en", second, [[1, 0], None])}
        return kinds.get("answer_retrieval").evaluate_units(ANSWERS, units)["en"]

    assert evaluated("1").ranking == [["1", "0"], None]
    # Rows without an id are numbered in each file anew: such a number names several candidates.
    assert evaluated("0").ranking is None
    assert evaluated("0").metrics == evaluated("1").metrics


# ---- overlaps ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "one, other, level",
    [
        (("squad_v1", "dev"), ("xquad", "test"), "same_examples"),
        (("squad_v1", "dev_without_xquad"), ("xquad", "test"), "same_documents"),
        (("squad_v1", "train"), ("xquad", "test"), None),
        (("squad_v2", "train"), ("squad_v1", "train"), "same_data"),
        (("squad_v2", "dev"), ("lareqa", "test"), "same_examples"),
        (("squad_v2", "train"), ("squad_v1", "dev"), None),
        (("anli_plus", "train"), ("mnli", "train"), "same_examples"),  # both read its file
        (("ccg", "train"), ("ccg", "dev"), None),  # both read the numbers of the tags
        (("squad_v1", "dev"), ("squad_v1", "dev_without_xquad"), "same_examples"),
        (("xquad", "test"), ("lareqa", "test"), "same_examples"),
        (("panx", "dev"), ("panx", "dev"), "same_examples"),
        (("panx", "train"), ("panx", "test"), None),
    ],
)
def test_overlaps_are_symmetric(one: Any, other: Any, level: str | None) -> None:
    known = overlaps.Overlaps(shipped_cards())
    one, other = (Part(*part, frozenset(["en"])) for part in (one, other))
    found = known.shared(one, other)
    assert found == known.shared(other, one)
    assert (found.level if found else None) == level


def test_overlaps_name_tasks_that_there_are() -> None:
    cards = shipped_cards()
    overlaps.check(cards)
    with pytest.raises(StudyError, match=r"overlaps with 'xqaud', which is no task. Did you mean"):
        wrong = card(overlaps=[{"task": "xqaud", "level": "same_data"}])
        overlaps.check({**cards, "mine": wrong})


def test_a_limit_leaves_what_can_be_found() -> None:
    """The first rows of a file would be questions without answers, or one side alone."""
    mining = kinds.get("bitext_mining")
    rows = [
        {"id": f"{side}{n}", "side": side, "partner": f"{1 - side}{19 - n}" if n >= 10 else ""}
        for side in (0, 1)
        for n in range(20)
    ]
    for row in rows:
        if row["partner"]:  # foreign 10 to 19 with English 10 to 19, crosswise
            row["partner"] = f"{1 - row['side']}{29 - int(row['id'][1:])}"
    kept = mining.first(rows, 4)
    assert [row["id"] for row in kept] == ["00", "01", "010", "011", "10", "11", "118", "119"]
    assert {row["partner"] for row in kept if row["side"] == 0} == {"", "118", "119"}

    retrieval = kinds.get("answer_retrieval")
    rows = [{"id": f"q{n}", "role": "question", "keys": [str(n)]} for n in range(9)]
    rows += [{"id": f"c{n}", "role": "candidate", "keys": [str(8 - n)]} for n in range(9)]
    kept = retrieval.first(rows, 3)
    assert [row["id"] for row in kept] == ["q0", "q1", "q2", "c6", "c7", "c8"]
    assert len(retrieval.first(rows, 100)) == 18
