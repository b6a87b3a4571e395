"""Cards, data folders and a tokenizer for the tests of sweeper.tasks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.tasks import readers, sources, synthetic, tokenizers
from sweeper.tasks.card import Card

SHARED = Path(__file__).resolve().parents[3] / "shared"


def there_or_skip(folder: Path, what: str) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{what} is not on this machine: there is no {folder}")
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data files."""
    said = os.environ.get("SWEEPER_DATA")
    return there_or_skip(Path(said) if said else SHARED / "data", "the data folder")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The golden metric cases."""
    return there_or_skip(SHARED / "golden" / "public", "the folder of golden cases")


@pytest.fixture(scope="session")
def small_xlm_r() -> Any:
    """The tokenizer of a small real model."""
    return tokenizers.load(there_or_skip(SHARED / "models" / "small-xlm-r", "the small model"))


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer trained on the demo's text."""
    folder = tmp_path_factory.mktemp("tokenizer")
    rows = [row for code in ("qaa", "qac") for row in synthetic.rows("demo_text", "train", code)]
    tokenizers.train((str(row["text"]) for row in rows[:3000]), 400, folder)
    return tokenizers.load(folder)


def card(kind: str = "classification", **changes: Any) -> Card:
    """A card with one local file per split, of which a test changes what it is about."""
    labels = {"classification": ["yes", "no"], "token_classification": ["O", "B-X", "I-X"]}
    formats = {
        "classification": {"format": "tsv", "columns": {"text": 0, "label": 1}},
        "token_classification": {"format": "conll"},
        "masked_lm": {"format": "lines"},
        "sentence_retrieval": {"format": "parallel"},
    }
    files = (
        ["test-{language}.txt", "test-en.txt"] if kind == "sentence_retrieval" else "{language}"
    )
    local = {"files": {"test": files}, **formats.get(kind, {}), **changes.pop("local", {})}
    told = {
        "name": "mine",
        "title": "Mine",
        "kind": kind,
        "licence": "none",
        "labels": labels.get(kind, []),
        "splits": {"test": {"languages": ["de", "en"]}},
        "sources": {"local": local},
    }
    return Card.model_validate({**told, **changes})


Reader = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Write the content of the German file(s) of a card, resolve it and read it."""

    def run(
        task: Card, *contents: str | bytes, limit: int | None = None, language: str = "de"
    ) -> list[dict[str, Any]]:
        source: Any = task.source("local")
        for pattern, content in zip(source.patterns("test"), contents, strict=True):
            path = tmp_path / pattern.format(language=language)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        found = sources.resolve(task, "test", [language], source="local", root=tmp_path)
        return readers.read(task, "test", language, found[language], tmp_path, limit)

    return run
