"""Formats with structure: SQuAD, BUCC, Parquet, nested JSON; sources in parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.tasks import readers, sources, without
from sweeper.tasks.card import Card
from sweeper.tasks.places import LocalParts

from .conftest import Reader, card


def qa_card(**changes: Any) -> Card:
    return card("span_extraction", local={"format": "squad"}, **changes)


def squad(*questions: dict[str, Any], context: str = "Ada lived in London.") -> str:
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]})


WHERE = {
    "id": "q1",
    "question": "Where?",
    "answers": [{"text": "London", "answer_start": 13}],
}


# ---- SQuAD ------------------------------------------------------------------------------------


def test_squad(read: Reader) -> None:
    (row,) = read(qa_card(), squad(WHERE))
    assert row == {"context": "Ada lived in London.", **WHERE}


def test_a_question_without_answer(read: Reader) -> None:
    plausible = {**WHERE, "is_impossible": True}
    (row,) = read(qa_card(metric="squad_v2"), squad(plausible))
    assert row["answers"] == []
    with pytest.raises(DataError, match=r"question:1 \(id 'q1'\): a question .* must have"):
        read(qa_card(metric="squad"), squad(plausible))


@pytest.mark.parametrize(
    "text, says",
    [
        (squad(WHERE)[:-3], r":1: the file must be a JSON document; .* at column"),
        (json.dumps({"date": []}), r"/de: 'data' must be there and be of the type list"),
        (squad(WHERE, {**WHERE, "id": None}), r"question:2: 'id' must be there"),
        (squad(WHERE, {**WHERE, "question": None}), r"question:2 \(id 'q1'\): 'question' must be"),
        (squad(WHERE, WHERE), r"question:2 \(id 'q1'\): ids must .*'q1' is not. Mend the data\.$"),
        (
            squad({**WHERE, "answers": [{"text": "London", "answer_start": 12}]}),
            r"question:1 \(id 'q1'\): an answer must stand in its text where it says: at "
            r"character 12 there is ' Londo', not 'London'. Mend the offset",
        ),
        (squad({**WHERE, "answers": [{"text": "London"}]}), "must have a 'text' and an 'answer_s"),
        (squad({**WHERE, "answers": [{"text": "London", "answer_start": -7}]}), "-7 there is"),
    ],
)
def test_bad_squad(read: Reader, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read(qa_card(), text)
    assert "/de" in str(caught.value)


def test_offsets_count_characters(read: Reader) -> None:
    context = "😀 Ada in 東京."
    asked = {**WHERE, "answers": [{"text": "東京", "answer_start": 9}]}
    assert read(qa_card(), squad(asked, context=context))[0]["context"] == context


# ---- documents that are left out --------------------------------------------------------------


def test_a_split_can_leave_documents_out(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = frozenset({without.mark(" Ada  lived in London.")})
    monkeypatch.setattr(without, "listed", lambda name: marks)
    task = qa_card(splits={"test": {"languages": ["de"], "without": "xquad"}})
    other = json.loads(squad({**WHERE, "id": "q2"}, context="Bob lived in London."))["data"]
    both = {"data": [*json.loads(squad(WHERE))["data"], *other]}
    assert [row["id"] for row in read(task, json.dumps(both))] == ["q2"]
    with pytest.raises(DataError, match="needs at least one row"):
        read(task, squad(WHERE))


def test_the_list_of_xquad() -> None:
    assert len(without.listed("xquad")) == 240


def test_exactly_so_many_rows(read: Reader) -> None:
    task = qa_card(splits={"test": {"languages": ["de"], "rows": 2, "exact": True}})
    two = squad(WHERE, {**WHERE, "id": "q2"})
    assert len(read(task, two)) == 2
    assert len(read(task, two, limit=1)) == 1
    with pytest.raises(
        DataError, match=r"must have exactly 2 rows in the language 'de', it has 1"
    ):
        read(task, squad(WHERE), limit=1)


# ---- BUCC -------------------------------------------------------------------------------------


def bucc_card() -> Card:
    files = {"test": ["{language}", "en", "gold"]}
    return card("bitext_mining", local={"format": "bucc", "files": files})


GERMAN, ENGLISH = "de-1\tHallo\nde-2\tTschüs\n", "en-1\tHello\nen-2\tCat\n"


def test_bucc(read: Reader) -> None:
    rows = read(bucc_card(), GERMAN, ENGLISH, "de-1\ten-1\n")
    assert rows[0] == {"id": "de-1", "text": "Hallo", "side": 0, "partner": "en-1"}
    assert [row["partner"] for row in rows] == ["en-1", "", "de-1", ""]


@pytest.mark.parametrize(
    "files, says",
    [
        ((GERMAN + "de-3 Ja\n", ENGLISH, "de-1\ten-1"), r"de:3: a line must have an id and a sen"),
        ((GERMAN + "de-1\tJa\n", ENGLISH, "de-1\ten-1"), r"de:3: ids must be unique; 'de-1'"),
        ((GERMAN, ENGLISH, "de-1\ten-9"), r"gold:1: a pair must be of known sentences; .*'en-9'"),
        ((GERMAN, ENGLISH, ""), r"/gold: a unit of a bitext_mining task needs at least one pair"),
        ((GERMAN, ENGLISH, "de-1\ten-1\nde-1\ten-2"), r"gold:2: 'de-1' must be in one pair only"),
    ],
)
def test_bad_bucc(read: Reader, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(bucc_card(), *files)


# ---- tables -----------------------------------------------------------------------------------


def choice_card(form: str, columns: dict[str, Any], **local: Any) -> Card:
    told = {"format": form, "columns": columns, **local}
    return card("multiple_choice", labels=2, local=told)


def test_columns_inside_columns(read: Reader) -> None:
    columns = {"prompt": "question.stem", "choices": "question.choices.text", "label": "key"}
    task = choice_card("jsonl", columns, labels={"A": "0", "B": "1"})
    asked = {"stem": "Who?", "choices": [{"text": "Ada"}, {"text": "Bob"}]}
    (row,) = read(task, json.dumps({"question": asked, "key": "B"}))
    assert row == {"id": "0", "prompt": "Who?", "choices": ["Ada", "Bob"], "label": "1"}
    with pytest.raises(DataError, match=r"de:1: a row must have the key 'question.choices.text'"):
        read(task, json.dumps({"question": {"stem": "Who?", "choices": [{"txt": 1}]}, "key": "B"}))
    one = {"stem": "Who?", "choices": [{"text": "Ada"}]}
    with pytest.raises(DataError, match=r"de:1: the field 'choices' must be a list of 2 texts"):
        read(task, json.dumps({"question": one, "key": "B"}))


def test_a_list_of_columns(read: Reader) -> None:
    columns = {"prompt": ["context", "question"], "choices": ["a", "b"], "label": "label"}
    task = choice_card("csv", columns)
    (row,) = read(task, 'label,context,question,a,b\n1,"It rains, again.",Why?,x,y\n')
    assert row["prompt"] == "It rains, again. Why?"
    assert row["choices"] == ["x", "y"]
    with pytest.raises(DataError, match=r"de:1: the header must have the column 'b'"):
        read(task, "label,context,question,a\n")


def test_parquet(read: Reader, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"prompt": "q", "choices": "choices.text", "label": "label"}
    rows = [{"q": "Who?", "choices": {"text": ["Ada", "Bob"]}, "label": 1}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "made")
    content = (tmp_path / "made").read_bytes()
    (row,) = read(choice_card("parquet", columns), content)
    assert row == {"id": "0", "prompt": "Who?", "choices": ["Ada", "Bob"], "label": "1"}
    with pytest.raises(DataError, match=r"must have the column 'p'"):
        read(choice_card("parquet", {**columns, "prompt": "p"}), content)
    with pytest.raises(DataError, match=r"must be whole; .*/de is not"):
        read(choice_card("parquet", columns), content[:-9])


def test_parquet_rows_without_a_part_can_be_left_out(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"q": q, "choices": choices, "label": 0}
        for q, choices in (("a", {"text": ["x", "y"]}), ("b", None), ("c", {"text": ["x", "y"]}))
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "de")
    task = choice_card("parquet", {"prompt": "q", "choices": "choices.text", "label": "label"})
    found = resolved(task, tmp_path)
    skipped: list[str] = []
    kept = readers.read(task, "test", "de", found, tmp_path, skipped=skipped)
    assert [row["id"] for row in kept] == ["0", "2"]
    assert len(skipped) == 1 and "de, row:2: a row must have the key 'choices.text'" in skipped[0]
    with pytest.raises(DataError, match=r"row:2: a row must have the key"):
        readers.read(task, "test", "de", found, tmp_path)


def test_numbered_tags(read: Reader) -> None:
    files = {"test": ["{language}", "tags.json"]}
    local = {"format": "numbered_tags", "files": files}
    task = card("token_classification", labels=3, local=local)
    (row,) = read(task, "a b\tN S\\N\n", json.dumps({"N": 0, "S\\N": 2}))
    assert row["tags"] == ["0", "2"]
    with pytest.raises(DataError, match=r"de:1: a tag must be in .*tags.json; 'Q' is not"):
        read(task, "a\tQ\n", json.dumps({"N": 0}))


# ---- several files ----------------------------------------------------------------------------


def resolved(task: Card, root: Path) -> Any:
    return sources.resolve(task, "test", ["de"], source="local", root=root)["de"]


def test_files_follow_one_another(tmp_path: Path) -> None:
    task = card(local={"files": {"test": ["b/*.tsv", "a.tsv"]}})
    (tmp_path / "b").mkdir()
    for name, text in (("a.tsv", "x\tyes"), ("b/2.tsv", "z\tno"), ("b/1.tsv", "y\tno")):
        (tmp_path / name).write_text(text)
    found = resolved(task, tmp_path)
    rows = readers.read(task, "test", "de", found, tmp_path)
    assert [(row["id"], row["text"]) for row in rows] == [("0", "y"), ("1", "z"), ("2", "x")]
    assert sources.matches(found, task, "test", "de", tmp_path)
    (tmp_path / "b/3.tsv").write_text("w\tyes")
    assert sources.matches(found, task, "test", "de")
    assert not sources.matches(found, task, "test", "de", tmp_path)
    with pytest.raises(DataError, match=r"there is no .*/c/\*\.tsv"):
        resolved(card(local={"files": {"test": "c/*.tsv"}}), tmp_path)


def parts_card(how_to_get: str = "") -> Card:
    parts = {
        "one": {"format": "tsv", "files": {"test": "1"}, "columns": {"text": 0, "label": 1}},
        "two": {
            "format": "jsonl",
            "files": {"test": "2"},
            "columns": {"text": "t", "label": "l"},
            "labels": {"y": "yes", "n": "no"},
            "drop_labels": ["-"],
        },
    }
    return card(sources={"local": {"parts": parts}}, how_to_get=how_to_get)


def test_parts_have_their_own_formats_and_labels(tmp_path: Path) -> None:
    task = parts_card()
    (tmp_path / "1").write_text("a\tyes\nb\tno\n")
    (tmp_path / "2").write_text('{"t": "c", "l": "-"}\n{"t": "d", "l": "y"}\n')
    found = resolved(task, tmp_path)
    rows = readers.read(task, "test", "de", found, tmp_path)
    assert [(r["id"], r["label"]) for r in rows] == [
        ("one:0", "yes"),
        ("one:1", "no"),
        ("two:1", "yes"),
    ]
    assert sources.matches(found, task, "test", "de", tmp_path)
    assert sources.identity(found)["parts"] == ["one", "two"]
    assert isinstance(task.source("local"), LocalParts)
    assert Card.model_validate_json(task.model_dump_json()) == task


def test_how_to_get_the_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*/1\. Put it there, .* Ask the LDC\.$"):
        resolved(parts_card("Ask the LDC."), tmp_path)


def test_hub_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "c" * 40
    one = {"dataset": "a/b", "revision": commit, "columns": {"text": "t", "label": "l"}}
    parts = {
        "one": {**one, "splits": {"test": "x+y"}},
        "two": {**one, "dataset": "c/d", "splits": {"test": "validation"}},
    }
    task = card(sources={"hub": {"parts": parts}})
    found = sources.resolve(task, "test", ["de"], source="hub", root=None)["de"]
    assert [part["dataset"] for part in found["parts"].values()] == ["a/b", "c/d"]
    assert found["parts"]["one"]["split"] == "x+y"
    assert sources.matches(found, task, "test", "de")
    assert "asked" not in json.dumps(sources.identity(found))
    fewer = card(sources={"hub": {"parts": {"one": parts["one"]}}})
    assert not sources.matches(found, fewer, "test", "de")
