"""Counting the rows of tasks that are there, against what their cards say."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from sweeper.errors import StudyError
from sweeper.knowncards import cards_with
from sweeper.report.taskcheck import Checked, check_tasks, print_check
from sweeper.tasks.card import load_card

CARD = """
name: mine
title: Mine
kind: classification
licence: our own
labels: [good, bad]
splits:
  train: {languages: [en], rows: 2}
  test: {languages: [en, de, fi], rows: {en: 1, de: 3}}
sources:
  local:
    format: tsv
    files: {train: train.tsv, test: "test-{language}.tsv"}
    columns: {text: 0, label: 1}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards/mine.yaml").write_text(CARD)
    (tmp_path / "train.tsv").write_text("a\tgood\nb\tbad\n")
    (tmp_path / "test-en.tsv").write_text("a\tgood\n")
    (tmp_path / "test-de.tsv").write_text("a\tgood\nb\tworse\nc\tbad\n")
    return tmp_path


def checked(folder: Path, *names: str, keep_going: bool = False) -> dict[str, Checked]:
    cards = cards_with(folder / "cards")
    units = check_tasks(cards, names, folder, keep_going=keep_going)
    return {f"{u.split}/{u.language}": u for one in units for u in one if u.task == "mine"}


def printed(folder: Path, *names: str, keep_going: bool = False) -> tuple[bool, str]:
    out = io.StringIO()
    cards = {"mine": cards_with(folder / "cards")["mine"]}
    checks = check_tasks(cards, names, folder, keep_going=keep_going)
    good = print_check(Console(file=out, width=200), cards, checks)
    return good, out.getvalue()


def test_each_unit_is_counted(folder: Path) -> None:
    found = checked(folder, "mine")
    assert (found["train/en"].rows, found["train/en"].good) == (2, True)
    assert (found["test/fi"].there, found["test/fi"].good) == (False, False)
    assert found["test/fi"].lacking == (folder / "test-fi.tsv",)
    assert checked(folder)["test/fi"].good, "without a name, what is absent is no fault"
    broken = found["test/de"]
    assert broken.rows is None and not broken.good
    assert "test-de.tsv:2: a label must be one of" in broken.problem


def test_broken_rows_can_be_left_out_and_are_counted(folder: Path) -> None:
    found = checked(folder, "mine", keep_going=True)["test/de"]
    assert (found.rows, found.stated, found.good) == (2, 3, False)
    assert len(found.skipped) == 1 and "test-de.tsv:2" in found.skipped[0]


def test_what_is_printed_names_every_mismatch(folder: Path) -> None:
    good, said = printed(folder)
    assert not good
    assert "mine/train: 2 rows\n" in said
    assert "mine/test: 1 row, 1 of 2 languages as the card says, not there: fi" in said
    assert "de: " in said and "3 rows read, not all as their cards say (of 4 parts, split" in said
    good, said = printed(folder, keep_going=True)
    assert not good and "de: 2 rows, the card says 3" in said
    assert "1 broken row left out" in said and "de: left out: " in said
    (folder / "test-de.tsv").write_text("a\tgood\nb\tbad\nc\tbad\n")
    good, said = printed(folder)
    assert good and "6 rows read, all as their cards say (of 4 parts, split" in said


def test_what_is_not_there_is_named_and_a_fault_of_a_named_task(folder: Path) -> None:
    card = folder / "cards/mine.yaml"
    card.write_text(CARD.replace("train.tsv", "trian.tsv") + "how_to_get: Ask for it.\n")
    (folder / "test-en.tsv").unlink()
    (folder / "test-de.tsv").unlink()
    good, said = printed(folder, "mine")
    assert not good
    assert f"mine/train: not there\n  there is no {folder / 'trian.tsv'}\n" in said
    assert f"there is no {folder / 'test-en.tsv'} (3 files are missing)\n" in said
    assert "  How to get it: Ask for it.\n1 task, 0 rows read, not all as their cards" in said
    assert said.endswith("(of 4 parts, split and language: 4 not there)\n")


def test_rows_that_were_left_out_are_a_mismatch(folder: Path) -> None:
    (folder / "cards/mine.yaml").write_text(CARD.replace(", rows: {en: 1, de: 3}", ""))
    good, said = printed(folder, keep_going=True)
    assert not good and "not all as their cards say" in said
    assert "de: left out: " in said


def test_empty_texts_are_counted_and_no_fault(folder: Path) -> None:
    (folder / "train.tsv").write_text(" \tgood\nb\tbad\n")
    _, said = printed(folder, "mine")
    assert "mine/train: 2 rows\n  en: 1 row has an empty text, the first is '0'\n" in said
    assert checked(folder, "mine")["train/en"].good


def test_a_fault_of_all_languages_is_told_once(folder: Path) -> None:
    for code in ("en", "de", "fi"):
        (folder / f"test-{code}.tsv").write_text("a\tgood\n")
    one_file = CARD.replace("test-{language}.tsv", "test-en.tsv")
    (folder / "cards/mine.yaml").write_text(one_file.replace("{text: 0", "{text: 9"))
    _, said = printed(folder, "mine")
    assert said.count("a row must have a column 9") == 2, "of train and of test"
    assert "mine/test: not read\n  en de fi: " in said


def test_a_card_without_a_count_is_said(folder: Path) -> None:
    card = folder / "cards/mine.yaml"
    card.write_text(CARD.replace(", rows: 2", ""))
    (folder / "test-fi.tsv").write_text("a\tgood\nb\tbad\n")
    (folder / "test-de.tsv").write_text("a\tgood\nb\tbad\nc\tbad\n")
    good, said = printed(folder)
    assert good and "mine/train: 2 rows, no count in the card\n" in said
    assert "mine/test: 6 rows, no count in the card for 1 of 3\n" in said
    assert "(of 4 parts, split and language: 2 without a count in the card)\n" in said
    (folder / "test-de.tsv").write_text("a\tgood\n")
    _, said = printed(folder)
    assert "mine/test: 4 rows, 1 of 2 languages as the card says, no count in the card for" in said


def test_without_names_all_that_is_there_is_read(folder: Path) -> None:
    cards = cards_with(folder / "cards")
    made = {name for name, card in cards.items() if "synthetic" in card.sources}
    few = {name: cards[name] for name in ("mine", "mnli", "ccg", *made)}
    found = [units[0].task for units in check_tasks(few, [], folder)]
    assert set(found) == made | {"mine"}


FAQ = """
name: faq
title: FAQ
kind: answer_retrieval
licence: our own
splits:
  test: {languages: [en, es]}
sources:
  local:
    format: jsonl
    files: {test: "faq-{language}.jsonl"}
    columns: {id: id, text: text, role: role, key: key, answers: answers}
"""


def test_a_question_that_no_language_answers(folder: Path) -> None:
    def write(code: str, *keys: str, answers: tuple[str, ...]) -> None:
        asked = [
            {"id": f"{code}-{key}", "text": "?", "role": "question", "key": key, "answers": []}
            for key in keys
        ]
        told = {"id": f"a-{code}", "text": ".", "role": "candidate", "key": "", "answers": answers}
        lines = (json.dumps(row) for row in [*asked, told])
        (folder / f"faq-{code}.jsonl").write_text("\n".join(lines))

    def faq() -> dict[str, Checked]:
        found = check_tasks({"faq": load_card(folder / "faq.yaml")}, ["faq"], folder)
        return {unit.language: unit for units in found for unit in units}

    (folder / "faq.yaml").write_text(FAQ)
    write("en", "hours", "price", answers=("hours",))
    write("es", "hours", answers=("price",))
    assert all(unit.good for unit in faq().values()), "answers are those of all languages"
    write("en", "hours", "price", "place", "way", answers=("hours",))
    en, es = faq()["en"], faq()["es"]
    assert es.good and not en.good and en.rows == 5
    assert "2 have none, the first is 'en-place'" in en.problem
    (folder / "faq-es.jsonl").unlink()
    assert not faq()["en"].problem, "what is not there may have the answers"


def test_an_unknown_task(folder: Path) -> None:
    with pytest.raises(StudyError, match="Did you mean 'mine'"):
        list(check_tasks(cards_with(folder / "cards"), ["mines"], folder))
