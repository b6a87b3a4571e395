"""The shipped cards on the real files, where these are on the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeper.tasks import encoding, kinds, readers, sources
from sweeper.tasks.card import fill, shipped_cards

CARDS = shipped_cards()
LOCAL = ["mnli", "xnli", "udpos", "panx", "tatoeba"]


def there(data: Path, name: str, split: str) -> list[str]:
    """The languages whose files are there (some had to be left out of the data folder)."""
    source: Any = CARDS[name].source("local")
    codes = CARDS[name].splits[split].languages
    return [
        code
        for code in codes
        if all((data / fill(p, code)).is_file() for p in source.patterns(split))
    ]


@pytest.mark.parametrize("name", LOCAL)
def test_all_files_are_read(data: Path, name: str) -> None:
    card = CARDS[name]
    for split in card.splits:
        codes = there(data, name, split)
        assert len(codes) >= 0.1 * len(card.splits[split].languages)
        limit = 20 if len(codes) > 5 else 300
        for code, found in sources.resolve(card, split, codes, source="local", root=data).items():
            rows = readers.read(card, split, code, found, data, limit)
            assert 0 < len(rows) <= limit
            assert set(kinds.get(card.kind).fields) <= set(rows[0])


def test_all_tatoeba_files_are_there(data: Path) -> None:
    card = CARDS["tatoeba"]
    assert there(data, "tatoeba", "test") == list(card.splits["test"].languages)
    for code, found in sources.resolve(
        card, "test", card.splits["test"].languages, source="local", root=data
    ).items():
        rows = readers.read(card, "test", code, found, data)
        assert len(rows) == card.splits["test"].rows_in(code)


@pytest.mark.parametrize(
    "name, split, code, rows",
    [
        ("xnli", "dev", "th", 2490),
        ("xnli", "test", "zh", 5010),
        ("mnli", "train", "en", 2344),  # of 392,702: the data folder has a part
        ("udpos", "test", "mr", 47),
        ("udpos", "dev", "en", 1000),
        ("panx", "dev", "yo", 100),
        ("panx", "train", "en", 20000),
    ],
)
def test_row_counts(data: Path, name: str, split: str, code: str, rows: int) -> None:
    found = sources.resolve(CARDS[name], split, [code], source="local", root=data)[code]
    assert len(readers.read(CARDS[name], split, code, found, data)) == rows


@pytest.mark.parametrize(
    "name, split, code",
    [
        ("xnli", "dev", "ar"),
        ("udpos", "test", "th"),
        ("panx", "dev", "ja"),
        ("tatoeba", "test", "ka"),
    ],
)
def test_perfect_outputs_score_a_hundred(
    data: Path, small_xlm_r: Any, tmp_path: Path, name: str, split: str, code: str
) -> None:
    card = CARDS[name]
    found = sources.resolve(card, split, [code], source="local", root=data)[code]
    rows = readers.read(card, split, code, found, data, 500)
    encoding.prepare_unit(card, split, code, rows, small_xlm_r, 64, tmp_path)
    features, examples = encoding.open_unit(tmp_path)
    outputs: list[Any]
    if card.kind == "classification":
        outputs = features["label"].to_pylist()
    elif card.kind == "token_classification":
        outputs = [[m for m in marks if m >= 0] for marks in features["labels"].to_pylist()]
    else:
        place = {name: number for number, name in enumerate(examples["foreign"].to_pylist())}
        right = [place[gold] for gold in examples["gold"].to_pylist()]
        outputs = [value for number in right for value in (None, number)]
        # The order of the queries gives nothing away.
        assert sum(number == at for at, number in enumerate(right)) < 0.05 * len(right)
    kind = kinds.get(card.kind)
    got = kind.evaluate(card, examples, features, outputs)
    assert all(got.correct)
    if name != "udpos":  # whose F1 is lower even for perfect tags, since X is no span
        assert got.metrics[kind.metric] == 100.0
