"""docs/add_a_task.md: its files are written, read, and planned with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.errors import DataError
from sweeper.knowncards import cards_with
from sweeper.overlaps import overlap
from sweeper.planning import plan
from sweeper.report.taskcheck import Checked, check_tasks
from sweeper.study import Study
from sweeper.tasks import formats, kinds, readers, sources
from sweeper.tasks.card import Card, load_cards
from sweeper.tasks.presence import source_of

PAGE = Path(__file__).parents[1] / "docs" / "add_a_task.md"
_BLOCK = re.compile(r"^(`[^\n]*?):\n\n```(\w+)\n(.*?)^```$", re.M | re.S)
WANTED_FORMATS = {"jsonl", "csv", "tsv", "conll", "conllu", "squad", "parquet", "parallel"}


def examples() -> Iterator[tuple[str, str, str]]:
    """(path, language, content) of every block that a line with its path stands before."""
    for said, language, content in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for path in re.findall(r"`([\w./-]+\.\w+)`", said):
            yield path, language, content


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page makes."""
    folder = tmp_path_factory.mktemp("mine")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for path, language, content in examples():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if language == "python":
                exec(compile(content, PAGE.name, "exec"), {})
                assert (folder / path).is_file()
            else:
                (folder / path).write_text(content, encoding="utf-8")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="module")
def cards(mine: Path) -> dict[str, Card]:
    return load_cards(mine / "cards")


def test_there_is_a_task_of_every_kind_and_of_every_format(cards: dict[str, Card]) -> None:
    assert {card.kind for card in cards.values()} == set(kinds.names())
    members = [
        member
        for card in cards.values()
        for name, source in card.sources.items()
        if name == "local"
        for _, member in source.members()  # type: ignore[attr-defined]
    ]
    used = {member.format for member in members}
    assert used >= WANTED_FORMATS
    assert set(formats.WITH_COLUMNS) <= used
    assert any("hub" in card.sources for card in cards.values())


def test_every_row_is_read_and_counted(mine: Path, cards: dict[str, Card]) -> None:
    local = [name for name in cards if "local" in cards[name].sources]
    found: list[Checked] = []
    for units in check_tasks(cards, local, mine / "data"):
        found += units
    for unit in found:
        assert unit.there and not unit.problem, unit
        assert unit.stated is not None and unit.good, unit


def test_rows_are_what_the_page_says(mine: Path, cards: dict[str, Card]) -> None:
    def rows(name: str, split: str, code: str) -> list[dict[str, object]]:
        card, root = cards[name], mine / "data"
        found = sources.resolve(card, split, [code], source="local", root=root)
        return readers.read(card, split, code, found[code], root)

    assert [row["label"] for row in rows("reviews", "train", "en")] == ["good", "bad"]
    assert rows("paraphrases", "test", "fi")[0]["text"] == "Missä se on?"
    assert rows("paraphrases", "test", "en")[0]["text"] == 'What does "why" mean?'
    assert rows("words", "test", "it")[0]["tokens"] == ["Torna", "dal", "mare"]
    assert rows("stories", "train", "en")[1]["choices"] == ["He ran.", "He stayed in bed."]
    assert rows("rivers", "test", "de")[0]["answers"] == [{"text": "866 km", "answer_start": 13}]
    assert rows("proverbs", "test", "de")[0]["pair"] == "All is well that ends well"


def test_the_study_is_planned_with_every_task(mine: Path) -> None:
    planned = plan(Study.load(mine / "study.yaml"))
    own = set(load_cards(mine / "cards"))
    used = {job.declared["task"] for job in planned.jobs.values() if "task" in job.declared}
    assert used >= own, "a task of the page stands in no study"
    row = planned.jobs["score/reviews>reviews/seed=0"]
    assert overlap(planned, row, "test/de") == "same data as the training task"
    said = planned.study.model_dump(exclude_unset=True)
    said |= {"intermediates": {"squad_v1": None}, "tasks_path": str(mine / "cards")}
    squad = plan(Study.model_validate(said))
    flags = overlap(squad, squad.jobs["score/squad_v1>rivers/seed=0"], "test/de")
    assert flags == "same documents: trained on squad_v1/train"


def test_where_each_task_comes_from(mine: Path) -> None:
    known = cards_with(mine / "cards")
    assert source_of(known["hub_reviews"], mine / "data") == "hub"
    assert source_of(known["reviews"], mine / "data") == "local"


def test_a_wrong_number_of_rows_is_an_error_where_it_is_exact(
    mine: Path, cards: dict[str, Card]
) -> None:
    card = cards["rivers"].model_dump(mode="json")
    card["splits"]["train"]["rows"] = 2
    wrong = Card.model_validate(card)
    found = sources.resolve(wrong, "train", ["en"], source="local", root=mine / "data")
    with pytest.raises(DataError, match="must have exactly 2 rows"):
        readers.read(wrong, "train", "en", found["en"], mine / "data")
