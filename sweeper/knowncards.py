"""The task cards that a study may name: the shipped ones, and the user's own beside them."""

from __future__ import annotations

from pathlib import Path

from sweeper.errors import StudyError
from sweeper.study import Study
from sweeper.tasks.card import Card, load_cards, shipped_cards
from sweeper.tasks.overlaps import check as check_overlaps


def known_cards(study: Study) -> dict[str, Card]:
    """The shipped cards, and the user's own, which may not take a shipped name."""
    if study.tasks_path is None:
        return cards_with(None)
    folder = study.folder / Path(study.tasks_path).expanduser()
    if not folder.is_dir():
        raise StudyError(
            f"{study.where('tasks_path')}: tasks_path must be a folder of cards; {folder} is "
            "none. Mend the path (it is relative to the study's file)."
        )
    return cards_with(folder)


def cards_with(folder: Path | None) -> dict[str, Card]:
    """The shipped cards and those of a folder.

    Raises:
        StudyError: there is no such folder, a card of it is wrong or has a shipped name, or tells
            of an overlap with a task that there is not.
    """
    cards = shipped_cards()
    if folder is None:
        return cards
    own = load_cards(folder.expanduser())
    taken = sorted(set(own) & set(cards))
    if taken:
        raise StudyError(f"{folder}: the card name {taken[0]!r} is a shipped one. Rename yours.")
    known = {**cards, **own}
    check_overlaps(known)
    return known
