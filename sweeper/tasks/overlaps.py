"""Which tasks share examples, documents or training data, by what their cards say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, get_args

from sweeper.errors import StudyError, suggest
from sweeper.tasks.card import Card, Level, Overlap

LEVELS: tuple[str, ...] = get_args(Level)
"""From the gravest to the least: the same examples stop a plan, the others are flagged."""


class Part(NamedTuple):
    """A split of a task."""

    task: str
    split: str


class Shared(NamedTuple):
    """What two splits share."""

    level: str
    note: str


def shared(cards: Mapping[str, Card], one: Part, other: Part) -> Shared | None:
    """The gravest overlap of two splits that either card tells of; None if they share nothing.

    A split shares its examples with itself. Two splits of one task share nothing unless its card
    says so.
    """
    if one == other:
        return Shared("same_examples", "the same split")
    found = [*_told(cards, one, other), *_told(cards, other, one)]
    if not found:
        return None
    worst = min(found, key=lambda overlap: LEVELS.index(overlap.level))
    return Shared(worst.level, worst.note)


def _told(cards: Mapping[str, Card], teller: Part, other: Part) -> Iterator[Overlap]:
    if teller.task not in cards:
        return
    for overlap in cards[teller.task].overlaps:
        mine = not overlap.splits or teller.split in overlap.splits
        theirs = not overlap.with_splits or other.split in overlap.with_splits
        if overlap.task == other.task and mine and theirs:
            yield overlap


def check(cards: Mapping[str, Card]) -> None:
    """`StudyError` if a card tells of an overlap with a task or split that there is not."""
    for card in cards.values():
        for overlap in card.overlaps:
            if overlap.task not in cards:
                raise StudyError(
                    f"The task {card.name!r} says that it overlaps with {overlap.task!r}, which "
                    f"is no task.{suggest(overlap.task, cards)} Mend `overlaps:` in its card."
                )
            for split in overlap.with_splits:
                cards[overlap.task].split(split)
