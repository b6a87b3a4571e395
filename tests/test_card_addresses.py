"""Addresses: which parts of a card move what rests on its task, and which are mere prose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import addresses, files_at, progress_of, small_study

from sweeper.planning import plan
from sweeper.tasks.card import Card, shipped_cards

OPINIONS: dict[str, Any] = {
    "kind": "classification", "labels": ["good", "bad"],
    "local": {"format": "tsv", "files": {"train": "train.tsv"}, "columns": {"text": 0, "label": 1},
              "labels": {"1": "good", "0": "bad"}, "drop_labels": ["-"]},
}  # fmt: skip
HUB_OPINIONS: dict[str, Any] = {
    "kind": "classification", "labels": ["good", "bad"],
    "hub": {"dataset": "a/b", "revision": "0" * 40, "splits": {"train": "train"},
            "columns": {"text": "text", "label": "label"}, "labels": ["good", "bad"]},
}  # fmt: skip
QUESTIONS: dict[str, Any] = {
    "kind": "span_extraction", "metric": "squad", "options": {"doc_stride": 16},
    "local": {"format": "squad", "files": {"train": "train.tsv"}},
}  # fmt: skip


def units_with(root: Path, card: dict[str, Any]) -> dict[str, Any]:
    """The addresses of a study with a row of its own, `mine`, that this card describes."""
    (root / "train.tsv").write_text("a\tb\n")
    source = "hub" if "hub" in card else "local"
    said = {name: value for name, value in card.items() if name != source}
    told = {"name": "mine", "title": "t", "licence": "l", "sources": {source: card[source]}}
    mine = Card.model_validate({**told, "splits": {"train": {"languages": ["en"]}}, **said})
    rows = {"mine": None, "surface": None}
    targets = {"demo_retrieval": None}
    study = small_study(intermediates=rows, targets=targets, seeds=[0], data=str(root))
    planned = plan(study, cards={**shipped_cards(), "mine": mine})
    return addresses(progress_of(planned, files_at(root / "store")))


RESTS_ON_MINE = {"prepare/mine/train/48", "train/mine/seed=0", "score/mine>demo_retrieval/seed=0"}


@pytest.mark.parametrize(
    ("card", "change"),
    [
        (OPINIONS, {"labels": ["bad", "good"]}),
        (OPINIONS, {"labels": ["good", "bad", "other"]}),
        (OPINIONS, {"local": {"columns": {"text": 1, "label": 0}}}),
        (OPINIONS, {"local": {"columns": {"text": 0, "label": 1, "pair": 2}}}),
        (OPINIONS, {"local": {"labels": {"1": "bad", "0": "good"}}}),
        (OPINIONS, {"local": {"drop_labels": ["-", "?"]}}),
        (OPINIONS, {"local": {"format": "csv"}}),
        (HUB_OPINIONS, {"labels": ["bad", "good"]}),
        (HUB_OPINIONS, {"hub": {"labels": ["bad", "good"]}}),
        (HUB_OPINIONS, {"hub": {"columns": {"text": "title", "label": "label"}}}),
        (HUB_OPINIONS, {"hub": {"revision": "1" * 40}}),
        (QUESTIONS, {"metric": "mlqa"}),
        (QUESTIONS, {"options": {"doc_stride": 17}}),
        (QUESTIONS, {"options": {"doc_stride": 16, "n_best": 5}}),
    ],
)
def test_what_a_card_says_of_its_rows_and_their_scores_moves_what_rests_on_it(
    tmp_path: Path, card: dict[str, Any], change: dict[str, Any]
) -> None:
    source = "hub" if "hub" in card else "local"
    other = {**card, **change, source: {**card[source], **change.get(source, {})}}
    before, after = units_with(tmp_path, card), units_with(tmp_path, other)
    assert {key for key in before if before[key] != after[key]} == RESTS_ON_MINE


@pytest.mark.parametrize("card", [OPINIONS, HUB_OPINIONS, QUESTIONS])
@pytest.mark.parametrize(
    "change",
    [
        {"title": "other"},
        {"description": "other"},
        {"licence": "other"},
        {"how_to_get": "other"},
        {"provenance": "native"},
        {"splits": {"train": {"languages": ["en"], "rows": 1}}},
        {"overlaps": [{"task": "mnli", "level": "same_documents"}]},
    ],
)
def test_what_a_card_says_about_its_task_moves_nothing(
    tmp_path: Path, card: dict[str, Any], change: dict[str, Any]
) -> None:
    assert units_with(tmp_path, card) == units_with(tmp_path, {**card, **change})


def test_the_labels_of_a_target_move_its_trials_too(tmp_path: Path) -> None:
    study, files = small_study(targets={"topic": None}, seeds=[0]), files_at(tmp_path / "store")
    cards = shipped_cards()
    before = addresses(progress_of(study, files))
    labels = cards["topic"].model_copy(update={"labels": cards["topic"].labels[::-1]})
    after = addresses(progress_of(plan(study, cards={**cards, "topic": labels}), files))
    moved = {key for key in before if before[key] != after[key]}
    # A score has no address before its winner is known.
    assert moved == {key for key in before if key.startswith(("prepare/topic/", "tune/"))}
