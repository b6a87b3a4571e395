"""Mewsli-X: its files, and how its questions find their candidates."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.tasks import kinds, readers, sources
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Unit

from .conftest import card
from .test_encoding import encode


def mewsli() -> Card:
    parts = {
        "mentions": {"format": "mewsli_mentions", "files": {"test": "mentions"}},
        "entities": {"format": "mewsli_entities", "files": {"candidates": "entities"}},
    }
    splits = {"test": {"languages": ["de"]}, "candidates": {"languages": ["de", "fr"]}}
    return card("answer_retrieval", sources={"local": {"parts": parts}}, splits=splits)


def test_mewsli_x(tmp_path: Path, tokenizer: Any) -> None:
    spans = [{"start": 0, "end": 22}, {"start": 23, "end": 26}]
    context = {"language": "de", "text": "Es hat Richter gebebt. So.", "sentence_spans": spans}
    mention = {
        "example_id": "m1",
        "entity_id": "Q7",
        "mention_span": {"text": "Richter", "start": 7, "end": 14},
    }
    lines = [
        {"context": context, "mentions": [mention]},
        {"context": {**context, "language": "en"}, "mentions": [mention]},
    ]
    (tmp_path / "mentions").write_text("\n".join(map(json.dumps, lines)))
    entity = {"entity_id": "Q7", "title": "R", "description": "d", "description_language": "fr"}
    (tmp_path / "entities").write_text(json.dumps(entity))
    task = mewsli()

    def rows(split: str, code: str) -> Any:
        found = sources.resolve(task, split, [code], source="local", root=tmp_path)[code]
        return readers.read(task, split, code, found, tmp_path)

    (asked,) = rows("test", "de")
    assert asked["text"] == "Es hat { Richter } gebebt." and asked["keys"] == ["Q7"]
    (candidate,) = rows("candidates", "fr")
    assert candidate["text"] == "R : d" and candidate["keys"] == ["Q7"]
    kind = kinds.get("answer_retrieval")
    assert kind.companions(task, "test", "de") == (("candidates", "de"), ("candidates", "fr"))
    units = {
        name: Unit(split, code, *reversed(encode(task, rows(split, code), tokenizer)), outputs)
        for name, split, code, outputs in (
            ("candidates/fr", "candidates", "fr", [None]),
            ("test/de", "test", "de", [[0]]),
        )
    }
    got = kind.evaluate_units(task, units)
    assert got["test/de"].metrics["mrr@20"] == 100.0 and got["candidates/fr"].metrics == {}


def test_faults_in_mewsli_xs_files_are_told_by_line(tmp_path: Path) -> None:
    context = {"language": "de", "text": "So ja.", "sentence_spans": []}
    good = {"example_id": "m1", "entity_id": "Q7",
            "mention_span": {"text": "So", "start": 0, "end": 2}}  # fmt: skip
    articles = [
        json.dumps({"context": context, "mentions": [good]}),
        '{"context"',
        json.dumps({"context": {**context, "text": 3}, "mentions": []}),
        json.dumps({"context": context, "mentions": [{**good, "mention_span": {"start": 0}}]}),
        json.dumps({"context": context, "mentions": [
            {**good, "mention_span": {"text": "So", "start": "0", "end": 2}},
            {**good, "mention_span": {"text": "ja", "start": 0, "end": 2}},
        ]}),
    ]  # fmt: skip
    entity = {"entity_id": "Q7", "title": "R", "description": "d", "description_language": "de"}
    other = {**entity, "description_language": "fr"}
    tricky = {**other, "description": json.dumps(entity), "sentence_spans": [entity]}
    entities = [
        "not json", json.dumps(entity), json.dumps({"entity_id": "Q8"}), json.dumps(other)[:-1],
        json.dumps(tricky), json.dumps(other, separators=(",", ":")), json.dumps(entity)[:-1],
    ]  # fmt: skip
    (tmp_path / "mentions").write_text("\n".join(articles) + "\n")
    (tmp_path / "entities").write_text("\n".join(entities) + "\n")
    task = mewsli()

    def read(split: str, skipped: list[str] | None) -> Any:
        found = sources.resolve(task, split, ["de"], source="local", root=tmp_path)["de"]
        return readers.read(task, split, "de", found, tmp_path, skipped=skipped)

    for split, file, faults in (
        ("test", "mentions", [
            "2: a line must be a JSON object", "3: 'context.text' must be of the type str",
            "4: a row must have the key 'mention_span.end'",
            "5: 'mention_span.start' must be of the type int",
            "5: a mention must stand in its text where it says; at 0 there is 'So', not 'ja'",
        ]),
        ("candidates", "entities", [
            "1: a line must be a JSON object", "3: a row must have the key 'description'",
            "7: a line must be a JSON object",
        ]),
    ):  # fmt: skip
        skipped: list[str] = []
        assert len(read(split, skipped)) == 1
        assert len(skipped) == len(faults)
        for said, wanted in zip(skipped, faults, strict=True):
            assert said.startswith(f"{tmp_path / file}:{wanted}")
        with pytest.raises(DataError, match=f"{file}:{faults[0][:20]}"):
            read(split, None)


def test_a_file_of_all_languages_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "entities").write_text("{}\n")
    asked, sha256 = [], hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda *given: asked.append(1) or sha256(*given))
    codes = ["de", "fr"]
    found = sources.resolve(mewsli(), "candidates", codes, source="local", root=tmp_path)
    assert found["de"]["files"] == found["fr"]["files"] and len(asked) == 1
