"""A new kind of task is one module, and a new task one YAML file."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.tasks import encoding, kinds, readers, sources
from sweeper.tasks.card import load_card

MODULE = """
from sweeper.tasks import metrics
from sweeper.tasks.formats import Record
from sweeper.tasks.kinds.base import (
    Encoded, Evaluation, Kind, integers, strings, text_of, tokenized
)


def numbered(paths, source, language):
    for number, line in enumerate(paths[0].read_text().splitlines(), 1):
        yield Record(str(paths[0]), number, {"text": line, "length": len(line)})


class Counting(Kind):
    name = "counting"
    fields = ("text", "length")
    metric = "accuracy"
    needs_training = False
    formats = {"numbered": numbered}

    def row(self, values, card):
        return {"text": text_of(values, "text"), "length": values["length"]}

    def encode(self, rows, card, tokenizer, max_length):
        import pyarrow as pa

        ids = tokenized(tokenizer, [row["text"] for row in rows], max_length)
        return Encoded(
            pa.table({"input_ids": ids, "example": integers(range(len(rows)))}),
            pa.table({
                "id": strings(row["id"] for row in rows),
                "gold": strings(str(row["length"]) for row in rows),
            }),
        )

    def evaluate(self, card, examples, features, outputs):
        gold = examples["gold"].to_pylist()
        given = [str(output) for output in outputs]
        right = [a == b for a, b in zip(gold, given)]
        return Evaluation({"accuracy": metrics.accuracy(gold, given)}, given, right, [None] * 2)


KIND = Counting()
"""

CARD = """\
name: counted
title: Counted letters
kind: counting
licence: CC0
splits: {test: {languages: [de]}}
sources: {local: {format: numbered, files: {test: counted.txt}}}
"""


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "counting.py").write_text(MODULE)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])
    importlib.invalidate_caches()
    kinds.names.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    kinds.names.cache_clear()
    kinds.get.cache_clear()


def test_one_module_and_one_card_are_enough(counting: Path, tokenizer: Any) -> None:
    (counting / "counted.yaml").write_text(CARD)
    (counting / "counted.txt").write_text("beni\ntula to\n")
    card = load_card(counting / "counted.yaml")
    found = sources.resolve(card, "test", ["de"], source="local", root=counting)["de"]
    rows = readers.read(card, "test", "de", found, counting)
    encoding.prepare_unit(card, "test", "de", rows, tokenizer, 16, counting / "unit")
    features, examples = encoding.open_unit(counting / "unit")
    got = kinds.get("counting").evaluate(card, examples, features, [4, 9])
    assert got.metrics == {"accuracy": 50.0}
