"""Prepare jobs: a tokenizer, and encoded units, from real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from sweeper.errors import EngineError
from sweeper.tasks import encoding, sources
from sweeper.tasks.card import Card
from sweeper.training import jobs

from .conftest import World

CARD = Card.model_validate_json(
    json.dumps(
        {
            "name": "mini",
            "title": "Mini",
            "kind": "classification",
            "licence": "none",
            "labels": ["yes", "no"],
            "splits": {"test": {"languages": ["en", "de"]}},
            "sources": {
                "local": {
                    "format": "tsv",
                    "files": {"test": "mini.{language}.tsv"},
                    "columns": {"text": 0, "pair": 1, "label": 2},
                }
            },
        }
    )
)


def inputs(root: Path, **more: Any) -> dict[str, Any]:
    for code in ("en", "de"):
        lines = [f"ana bela {code}\tcora {n}\t{'yes' if n % 2 else 'no'}\n" for n in range(6)]
        (root / f"mini.{code}.tsv").write_text("".join(lines), encoding="utf-8")
    resolved = sources.resolve(CARD, "test", ["en", "de"], source="local", root=root)
    one = {"card": CARD.model_dump(mode="json"), "split": "test", "languages": resolved}
    return {**one, "limit": 5, "root": str(root), "source": "local", **more}


def test_units_that_the_store_lacks_are_encoded(world: World, tmp_path: Path) -> None:
    more = {"do": "data", "max_length": 16, "tokenizer": {"path": "tokenizer"}}
    spec = world.spec("prepare", inputs(tmp_path, **more), units={"de": "x"})
    outcome = world.run(spec, "data")
    assert (outcome.status, outcome.steps, outcome.examples_seen) == ("done", 1, 5)
    assert [path.name for path in world.path("data").iterdir()] == ["de"]
    features, examples = encoding.open_unit(world.path("data/de"))
    assert (features.num_rows, examples.num_rows) == (5, 5)


def test_a_tokenizer_is_trained_on_all_languages(world: World, tmp_path: Path) -> None:
    text = inputs(tmp_path)
    spec = world.spec("prepare", {"do": "tokenizer", "vocabulary": 60, "text": text, **text})
    world.run(spec, "made")
    tokenizer = AutoTokenizer.from_pretrained(world.path("made/tokenizer"))
    assert tokenizer.tokenize("ana de cora")
    assert tokenizer.unk_token_id not in tokenizer("ana bela de en cora 3")["input_ids"]


def test_an_unknown_kind_of_job() -> None:
    with pytest.raises(EngineError, match="Did you mean 'score'"):
        jobs.handler("scroe")


def test_broken_rows_left_out_are_counted_in_the_outcome() -> None:
    from sweeper.training.prepare import _told

    assert _told({}) == ""
    said = _told({"de": ["a.tsv:2: no label.", "a.tsv:3: no label."], "fi": ["b.tsv:1: x."]})
    assert said == "left out broken rows: de 2, fi 1; the first: a.tsv:2: no label."
