"""Task cards: the shipped ones, and what a card may not say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import StudyError
from sweeper.tasks import kinds, synthetic
from sweeper.tasks.card import Card, fill, load_card, load_cards, shipped_cards

CARD = """\
name: mine
title: My task
kind: classification
licence: CC0
labels: [yes, no]
splits:
  dev: {languages: [en]}
sources:
  local:
    format: tsv
    files: {dev: "mine/dev-{language}.tsv"}
    columns: {text: 0, label: 1}
"""


def write(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_is_read(tmp_path: Path) -> None:
    card = load_card(write(tmp_path, CARD))
    assert card.labels == ("yes", "no")
    assert card.splits["dev"].languages == ("en",)
    assert card == Card.model_validate(json.loads(card.model_dump_json()))
    assert card == Card.model_validate_json(json.dumps(card.model_dump(mode="json")))


@pytest.mark.parametrize(
    "old, new, line, says",
    [
        ("name: mine", "name: My task", 1, "name"),
        ("kind: classification", "kind: clasification", 3, "Did you mean 'classification'?"),
        ("licence: CC0", "license: CC0", 4, "unknown key 'license'. Did you mean 'licence'?"),
        ("labels: [yes, no]", "labels: [yes]", 5, "at least two labels"),
        ("labels: [yes, no]", "labels: [yes, yes]", 5, "once only"),
        ("labels: [yes, no]", "labels: [yes, not so]", 5, "one word"),
        ("languages: [en]", "languages: [xx]", 7, "language table"),
        ("languages: [en]", "languages: []", 7, "languages"),
        ("[en]}", "[en], rows: -5}", 7, "splits.dev.rows: a count must be at least 1, it is -5."),
        ("[en]}", "[en], rows: {en: 0}}", 7, "a count must be at least 1, it is 0"),
        ("[en]}", "[en], rows: {de: 5}}", 7, "the split has no language 'de'. Did you mean 'en'"),
        ("format: tsv", "format: tvs", 10, "Did you mean 'tsv'?"),
        ("{dev: ", "{test: ", 11, "no split 'test'"),
        ("{language}", "{lang}", 11, "no placeholder 'lang'. Did you mean 'language'?"),
        ("mine/dev", "/mine/dev", 11, "yaml:11: sources.local.files: a path must"),
        ("files: {", "fils: {", 11, "unknown key 'fils'. Did you mean 'files'?"),
        ("mine/dev", "../dev", 11, "below the data folder"),
        ("label: 1}", "lable: 1}", 12, "no such field. Did you mean 'label'?"),
        ("text: 0, ", "", 12, "needs a column for 'text'"),
        ("text: 0", "text: premise", 12, "all names or all positions"),
        ("columns:", "labels: {a: maybe}\n    columns:", 12, "'maybe' is no label"),
        ("splits:", "training_task: mine\nsplits:", 6, "no split 'train'"),
        ("splits:", "selection: {language: de}\nsplits:", 6, "no language 'de'"),
        ("  local:", "  lokal:", 9, "unknown key 'lokal'. Did you mean 'local'?"),
    ],
)
def test_faults_name_line_and_remedy(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in CARD
    path = write(tmp_path, CARD.replace(old, new, 1))
    with pytest.raises(StudyError) as caught:
        load_card(path)
    assert says in str(caught.value)
    assert f"{path}:{line}:" in str(caught.value)


def test_a_card_made_in_python_is_checked_too(tmp_path: Path) -> None:
    told = load_card(write(tmp_path, CARD)).model_dump(mode="json")
    with pytest.raises(ValueError, match="at least two labels"):
        Card.model_validate({**told, "labels": []})


def test_raw_labels_may_be_numbers(tmp_path: Path) -> None:
    text = CARD.replace("columns:", "labels: {0: no, 1: yes}\n    drop_labels: [-1]\n    columns:")
    source: Any = load_card(write(tmp_path, text)).source("local")
    assert source.labels == {"0": "no", "1": "yes"}
    assert source.drop_labels == ("-1",)


def test_two_cards_of_one_name(tmp_path: Path) -> None:
    write(tmp_path, CARD, "a")
    write(tmp_path, CARD, "b")
    with pytest.raises(StudyError, match="must be unique"):
        load_cards(tmp_path)
    with pytest.raises(StudyError, match="no folder of task cards"):
        load_cards(tmp_path / "none")


def test_asking_for_what_a_card_has_not() -> None:
    card = shipped_cards()["xnli"]
    with pytest.raises(StudyError, match="no source 'synthetic'"):
        card.source("synthetic")
    with pytest.raises(StudyError, match=r"no split 'tset'. Did you mean 'test'?"):
        card.split("tset")
    with pytest.raises(StudyError, match="no language 'ja'"):
        card.split("test", "ja")
    with pytest.raises(StudyError, match=r"Did you mean 'classification'?"):
        kinds.get("clasification")


def test_fill() -> None:
    assert fill("{language} {iso} {name} {flores}", "zh") == "zh cmn Chinese zho_Hans"


# ---- the shipped cards ------------------------------------------------------------------------


def test_shipped_cards() -> None:
    cards = shipped_cards()
    assert {"mnli", "xnli", "udpos", "panx", "tatoeba", "text_lines"} <= set(cards)
    for name, card in cards.items():
        assert card.licence and card.description, name
        trained = card.training_task
        if trained:
            trainer = cards[trained]
            assert "train" in trainer.splits
            assert trainer.labels == card.labels


@pytest.mark.parametrize(
    "name, split, languages",
    [("udpos", "test", 33), ("panx", "test", 40), ("tatoeba", "test", 36)],
)
def test_xtreme_languages(name: str, split: str, languages: int) -> None:
    card = shipped_cards()[name]
    assert len(card.splits[split].languages) == languages
    rows = card.splits[split].rows
    if name != "udpos":
        assert isinstance(rows, dict)
        assert set(rows) == set(card.splits[split].languages)


def test_xtreme_facts() -> None:
    cards = shipped_cards()
    test_only = set(cards["udpos"].splits["test"].languages)
    test_only -= set(cards["udpos"].splits["dev"].languages)
    assert test_only == {"kk", "th", "tl", "yo"}
    assert len(cards["xnli"].splits["test"].languages) == 15
    assert len(cards["udpos"].labels) == 17
    assert cards["xnli"].labels == ("entailment", "neutral", "contradiction")
    assert cards["panx"].splits["test"].rows_in("yo") == 100
    assert cards["xnli"].splits["dev"].rows_in("sw") == 2490


@pytest.mark.parametrize("name", synthetic.GENERATORS)
def test_demo_cards_say_what_the_generator_makes(name: str) -> None:
    card = shipped_cards()[name]
    seen: set[str] = set()
    for split, told in card.splits.items():
        for code in told.languages:
            rows = synthetic.rows(name, split, code)
            assert len(rows) == told.rows
            kind = kinds.get(card.kind)
            for row in rows:
                kind.row(row, card)
                given = row.get(kind.label_field) if kind.label_field else None
                seen |= set(given if isinstance(given, list) else [str(given)])
    assert seen == set(card.labels) or not card.labels


def test_importing_and_loading_cards_is_cheap() -> None:
    code = (
        "import sys, time; from sweeper.tasks import card; t = time.process_time();"
        "card.shipped_cards(); print(time.process_time() - t);"
        "print(*({'pandas', 'pyarrow', 'transformers', 'datasets', 'torch', 'numpy', 'ray'}"
        " & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    seconds, heavy = done.stdout.split("\n")[:2]
    assert heavy == ""
    assert float(seconds) < 0.1
