"""What `--keep-going` leaves out, and what ends the reading, as docs/add_a_task.md says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.tasks import readers, sources
from sweeper.tasks.card import Card

from .conftest import card

CSV = card(local={"format": "csv", "columns": {"text": 0, "label": 1}})
CONLL = card("token_classification")
CONLLU = card("token_classification", labels=["NOUN", "VERB"], local={"format": "conllu"})
LINES = card("masked_lm")
SQUAD = card("span_extraction", local={"format": "squad"})
EXACT = card(splits={"test": {"languages": ["de"], "rows": 2, "exact": True}})

WORD = "1\tHund\t_\tNOUN\t_\t_\t0\troot\t_\t_\n"


def squad(**changes: Any) -> bytes:
    asked = [
        {"id": name, "question": "Where?", "answers": [{"text": "Bonn", "answer_start": 3}]}
        for name in ("q1", "q2")
    ]
    asked[1] |= changes
    document = {"data": [{"paragraphs": [{"context": "In Bonn.", "qas": asked}]}]}
    return json.dumps(document).encode()


def read(task: Card, content: bytes, folder: Path) -> tuple[int, list[str]]:
    (folder / "de").write_bytes(content)
    found = sources.resolve(task, "test", ["de"], source="local", root=folder)["de"]
    skipped: list[str] = []
    return len(readers.read(task, "test", "de", found, folder, skipped=skipped)), skipped


@pytest.mark.parametrize(
    "task, content, rule",
    [
        (CSV, b"a,yes\nb,maybe\n", "must be one of the labels"),
        (CSV, b"a,yes\nb\n", "a column 1"),
        (card(), b"a\tyes\nb\xff\tno\n", "must be UTF-8"),
        (LINES, b"a\nb\xff\n", "must be UTF-8"),
        (CONLL, b"a\tO\nb\tO\n\nc\tB-Y\n", "must be one of the labels"),
        (CONLLU, f"{WORD}\n{WORD.replace('NOUN', 'X')}\n".encode(), "must be one of the labels"),
        (SQUAD, squad(answers=[{"text": "Bonn", "answer_start": 0}]), "must stand in its text"),
        (SQUAD, squad(id="q1"), "ids must be unique"),
    ],
)
def test_such_a_row_is_left_out(tmp_path: Path, task: Card, content: bytes, rule: str) -> None:
    rows, skipped = read(task, content, tmp_path)
    assert rows == 1 and len(skipped) == 1 and rule in skipped[0]


@pytest.mark.parametrize(
    "task, content, rule",
    [
        (CSV, b"a,yes\nb\xff,no\n", "must be UTF-8"),
        (CSV, b'a,yes\n"b,no\nc,no\n', "valid CSV"),
        (CONLL, b"a\tO\nb\n\nc\tO\n", "a token and a tag"),
        (CONLL, b"a\tO\n\nc\xff\tO\n", "must be UTF-8"),
        (CONLLU, f"{WORD}\n1\tHund\tNOUN\n".encode(), "columns"),
        (SQUAD, squad(id=None), "'id' must be there"),
        (SQUAD, squad(question=3), "'question' must be there"),
        (SQUAD, squad()[:-2], "must be a JSON document"),
        (card(), b"a\tmaybe\n", "at least one row"),
        (EXACT, b"a\tyes\nb\tmaybe\n", "must have exactly 2 rows"),
    ],
)
def test_such_a_fault_ends_the_reading(
    tmp_path: Path, task: Card, content: bytes, rule: str
) -> None:
    with pytest.raises(DataError, match=rule):
        read(task, content, tmp_path)
