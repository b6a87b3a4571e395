"""Folders of rankings, whoever made them: LAReQA, Mewsli-X, and a task of one's own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from report.submission_world import Predicted, study
from sweeper import Store
from sweeper.report.submission import export_predictions
from sweeper.report.submitted import FileScore, score_folder
from sweeper.tasks.card import Card, shipped_cards

CARDS = shipped_cards()
SHARED = Path(__file__).resolve().parents[3] / "shared"


def put(path: Path, *content: Any) -> None:
    """A file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in content), encoding="utf-8")


# ---- as the official scripts score ------------------------------------------------------------


def golden(task: str) -> Path:
    folder = SHARED / "golden" / "public" / task
    if not folder.is_dir():
        pytest.skip(f"the golden cases are not on this machine: there is no {folder}")
    return folder


def test_mewsli_x(tmp_path: Path) -> None:
    """The golden case in the data set's own files, its mentions as if of a German article."""
    case = json.loads((golden("mewslix") / "mewslix-synthetic.json").read_text())
    span = {"text": "Word", "start": 2, "end": 6}
    mentions = [
        {"example_id": name, "mention_span": span, "entity_id": right}
        for name, (right,) in case["inputs"]["gold"].items()
    ]
    context = {"language": "de", "text": "A Word.", "sentence_spans": [{"start": 0, "end": 7}]}
    article = {"context": context, "mentions": mentions}
    # The candidates are not needed: an entity's id is its gold.
    put(tmp_path / "data/mewsli_x/wikinews_mentions-test.jsonl", article)
    put(tmp_path / "out/mewslix/test-de.json", case["inputs"]["predictions"])
    (one,) = score_folder(tmp_path / "out", CARDS, tmp_path / "data").files
    wanted = pytest.approx(case["expected"]["map@20"], abs=1e-6)
    assert one.metrics == {"map@20": wanted, "mrr@20": wanted}
    assert (one.task, one.n) == ("mewsli_x", len(mentions))


@pytest.mark.parametrize("name", ["xquadr-d16", "xquadr-d64"])
def test_lareqa(tmp_path: Path, name: str) -> None:
    """The golden cases: rankings by their vectors, of the paragraphs that they are of."""
    case = json.loads((golden("lareqa") / f"{name}.json").read_text())
    files = Path(os.environ.get("SWEEPER_DATA", SHARED / "data")) / "lareqa" / "xquad-r"
    if not files.is_dir():
        pytest.skip(f"needs LAReQA's files in {files}")
    inputs, codes = case["inputs"], case["language"].split("+")
    asked = {question["xling_id"] for question in inputs["questions"]}
    with np.load(golden("lareqa") / f"{name}.npz", allow_pickle=False) as arrays:
        similar = arrays["questions"] @ arrays["candidates"].T
    best = np.argsort(-similar, axis=1)[:, :20].tolist()
    for code in codes:
        articles = json.loads((files / f"{code}.json").read_text(encoding="utf-8"))["data"]
        firsts = [article["paragraphs"][0] for article in articles]
        kept = [one for one in firsts if asked & {question["id"] for question in one["qas"]}]
        put(tmp_path / f"data/lareqa/xquad-r/{code}.json", {"data": [{"paragraphs": kept}]})
        said = {
            question["uid"]: [inputs["candidates"][number]["uid"] for number in ranked]
            for question, ranked in zip(inputs["questions"], best, strict=True)
            if question["lang"] == code
        }
        put(tmp_path / f"out/lareqa/test-{code}.json", said)
    split = CARDS["lareqa"].splits["test"].model_copy(update={"languages": tuple(codes)})
    card = CARDS["lareqa"].model_copy(update={"splits": {"test": split}})
    scored = score_folder(tmp_path / "out", {"lareqa": card}, tmp_path / "data").files
    found = {one.language: one.metrics["map@20"] for one in scored}
    wanted = case["expected_extra"]["map@20_by_question_language"]
    assert found == pytest.approx(wanted, abs=1e-6)
    for metric in ("map@20", "mrr@20"):
        whole = sum(one.metrics[metric] * one.n for one in scored) / len(inputs["questions"])
        assert whole == pytest.approx(case["expected"][metric], abs=1e-6)


# ---- what others make -------------------------------------------------------------------------


def score(folder: Path, data: Path, name: str, said: Any) -> FileScore:
    put(folder / name, said)
    (one,) = score_folder(folder, CARDS, data).files
    return one


RIGHT = [f"{code}_1_0" for code in CARDS["lareqa"].splits["test"].languages]
"""The sentences that answer q00."""


def test_a_ranking_is_as_long_as_it_is(tmp_path: Path, data: Path) -> None:
    one = score(tmp_path, data, "lareqa/test-de.json", {"q00_de": [*RIGHT, "de_1_2"]})
    # The three other questions of the file have no ranking, and score 0.
    assert (one.metrics, one.n) == ({"map@20": 25.0, "mrr@20": 25.0}, 4)
    assert one.notes == ("3 of 4 questions have no ranking, and score 0",)
    short = score(tmp_path, data, "lareqa/test-de.json", {"q00_de": ["de_1_2", "de_1_0"]})
    assert short.metrics == {"map@20": 25.0 / 2 / 11, "mrr@20": 12.5}


def test_a_candidate_named_again_is_no_second_hit(tmp_path: Path, data: Path) -> None:
    one = score(tmp_path, data, "lareqa/test-de.json", {"q00_de": ["de_1_0"] * 20})
    assert one.metrics == {"map@20": 25.0 / 11, "mrr@20": 25.0}


@pytest.mark.parametrize(
    ("name", "said", "wrong"),
    [
        ("lareqa/test-de.json", {}, "must have the rankings by question id; it has none"),
        ("lareqa/test-de.json", {"q00_en": RIGHT}, "none of the 1 ids is one of lareqa's"),
        ("lareqa/test-de.json", {"q00_de": "de_1_0"}, "that of 'q00_de' is 'de_1_0'. Write it"),
        ("lareqa/test-de.json", {"q00_de": [1]}, r"a list of ids .* that of 'q00_de' is \[1\]"),
        ("lareqa/test-de.json", {"q00_de": ["de_0_0"]}, "'de_0_0', which is none. Did you mean"),
        ("mewslix/test-de.json", {"test-uk-0": ["Q7"]}, "of mewsli_x's, such as 'test-de-0'"),
        ("mewslix/test-de.json", {"test-de-0": {"Q7": 1}}, "a list of ids of candidates"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, data: Path, name: str, said: Any, wrong: str
) -> None:
    put(tmp_path / name, said)
    (left,) = score_folder(tmp_path, CARDS, data).left_out
    assert re.search(f"{name}: .*{wrong}", left.reason)


def faq(**splits: list[str]) -> Card:
    """A task of one's own whose rows are of two languages."""
    said = {
        "name": "faq", "title": "FAQ", "kind": "answer_retrieval", "licence": "none",
        "options": {"cutoff": 2}, "splits": {n: {"languages": c} for n, c in splits.items()},
    }  # fmt: skip
    local = {
        "format": "jsonl",
        "files": {name: f"{name}-{{language}}.jsonl" for name in splits},
        "columns": {name: name for name in ("id", "text", "role", "key", "answers")},
    }
    return Card.model_validate({**said, "sources": {"local": local}})


def row(name: str, role: str, key: str) -> dict[str, Any]:
    return {"id": name, "text": "?", "role": role, "key": key, "answers": [key]}


def test_candidates_in_a_split_of_their_own(tmp_path: Path) -> None:
    put(tmp_path / "test-en.jsonl", row("q", "question", "k"))
    put(tmp_path / "candidates-en.jsonl", row("a", "candidate", "k"))
    put(tmp_path / "candidates-de.jsonl", row("b", "candidate", "k"), row("c", "candidate", "l"))
    put(tmp_path / "out/faq/test-en.json", {"q": ["c", "b"]})
    cards = {"faq": faq(test=["en"], candidates=["en", "de"])}
    (one,) = score_folder(tmp_path / "out", cards, tmp_path).files
    assert one.metrics == {"map@2": 25.0, "mrr@2": 50.0}


def test_a_cutoff_of_ones_own_fills_the_matrix(tmp_path: Path) -> None:
    put(tmp_path / "test-en.jsonl", row("q", "question", "k"), row("a", "candidate", "k"))
    (tmp_path / "faq.json").write_text(faq(test=["en"]).model_dump_json(exclude_unset=True))
    (tmp_path / "faq.json").rename(tmp_path / "faq.yaml")  # JSON is YAML
    said = study(tmp_path, targets={"faq": {}}, intermediates={}, tasks_path=str(tmp_path))
    Predicted(tmp_path / "s", said, tmp_path / "prepared").run()
    store = Store(tmp_path / "s")
    found = store.transfer()
    assert found.columns[0].metric == "map@2" and found.complete
    assert store.matrix().loc["none", "faq"] == 100.0
    export_predictions(store.view(), tmp_path / "out")
    (one,) = score_folder(tmp_path / "out", {"faq": faq(test=["en"])}, tmp_path).files
    assert one.main == "map@2"


def test_an_id_must_name_one_candidate(tmp_path: Path) -> None:
    for code in ("en", "de"):
        asked = row(f"q{code}", "question", "k")
        put(tmp_path / f"test-{code}.jsonl", asked, row("0", "candidate", "k"))
    put(tmp_path / "out/faq/test-en.json", {"qen": ["0"]})
    (left,) = score_folder(tmp_path / "out", {"faq": faq(test=["en", "de"])}, tmp_path).left_out
    assert re.search(r"an id of its own .* '0' has another .* test/de", left.reason)
