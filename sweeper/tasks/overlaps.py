"""What tasks share: examples, documents or training data.

Cards tell of it (`overlaps:`). Besides, two splits that read one file, or one split of a dataset
on the hub, have the same examples, whatever their tasks are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import NamedTuple, TypeAlias, get_args

from sweeper.errors import StudyError, suggest
from sweeper.tasks.card import Card, Level, LocalSource, SyntheticSource, fill
from sweeper.tasks.formats import TOGETHER

LEVELS: tuple[str, ...] = get_args(Level)
"""From the gravest to the least: the same examples stop a plan, the others are flagged."""


@dataclass(frozen=True)
class Part:
    """A split of a task, in some languages."""

    task: str
    split: str
    languages: frozenset[str]

    def __str__(self) -> str:
        return f"{self.task}/{self.split}"


class Shared(NamedTuple):
    """What two parts share."""

    level: str
    note: str


_Split: TypeAlias = tuple[str, str]  # task and split


class Overlaps:
    """The overlaps between the tasks of some cards; an answer is worked out once."""

    def __init__(self, cards: Mapping[str, Card]) -> None:
        self._cards = cards
        self._places: dict[_Split, dict[str, set[str]]] = {}
        self._met: dict[tuple[_Split, _Split], list[tuple[str, Set[str], Set[str]]]] = {}
        self._answers: dict[tuple[Part, Part], Shared | None] = {}

    def shared(self, one: Part, other: Part) -> Shared | None:
        """The gravest overlap of two parts; None if they share nothing.

        What cards tell holds across languages. Parts that read at one place (a split and itself
        do) have the same examples in a language that both have, and in others, too, where the
        texts are translations: a translated example is the same example.
        """
        if (one, other) not in self._answers:
            found = [*self._told(one, other), *self._told(other, one), *self._read(one, other)]
            worst = min(found, key=lambda shared: LEVELS.index(shared.level), default=None)
            self._answers[one, other] = worst
        return self._answers[one, other]

    def _told(self, teller: Part, other: Part) -> Iterator[Shared]:
        for overlap in self._cards[teller.task].overlaps:
            mine = not overlap.splits or teller.split in overlap.splits
            theirs = not overlap.with_splits or other.split in overlap.with_splits
            if overlap.task == other.task and mine and theirs:
                yield Shared(overlap.level, overlap.note)

    def _read(self, one: Part, other: Part) -> Iterator[Shared]:
        mine, theirs = (one.task, one.split), (other.task, other.split)
        for place, codes, others in self._meeting(mine, theirs):
            if any(self._same_examples(one, other, *pair) for pair in product(codes, others)):
                what = "the same split" if mine == theirs else f"both read {place}"
                in_common = one.languages & other.languages & codes & others
                more = "" if in_common else ", in translation: see `provenance`"
                yield Shared("same_examples", what + more)
                return

    def _same_examples(self, one: Part, other: Part, read: str, also: str) -> bool:
        """Whether parts that read a place in the languages ``read`` and ``also`` meet there."""
        return (
            (read in one.languages or self._translated(one.task, {read, *one.languages}))
            and (also in other.languages or self._translated(other.task, {also, *other.languages}))
            and (
                read == also
                or self._translated(one.task, {read, also})
                or self._translated(other.task, {read, also})
            )
        )

    def _translated(self, task: str, codes: Set[str]) -> bool:
        """Whether some of a task's languages are translations, or may be: its card is silent."""
        card = self._cards[task]
        return any(card.provenance_of(code) not in ("native", "synthetic") for code in codes)

    def _meeting(self, one: _Split, other: _Split) -> list[tuple[str, Set[str], Set[str]]]:
        """The places that both splits read, and in which languages each of them does."""
        if (one, other) not in self._met:
            mine, theirs = self._places_of(one), self._places_of(other)
            pairs = [(place, place) for place in mine if place in theirs]
            pairs += [(p, q) for p in mine if "*" in p for q in theirs if fnmatchcase(q, p)]
            pairs += [(p, q) for q in theirs if "*" in q for p in mine if fnmatchcase(p, q)]
            self._met[one, other] = [(place, mine[place], theirs[also]) for place, also in pairs]
        return self._met[one, other]

    def _places_of(self, of: _Split) -> dict[str, set[str]]:
        """Where a split's rows are read: place -> languages."""
        if of not in self._places:
            card, found = self._cards[of[0]], self._places.setdefault(of, {})
            for code in card.split(of[1]).languages:
                for place in _places(card, of[1], code):
                    found.setdefault(place, set()).add(code)
        return self._places[of]


def _places(card: Card, split: str, code: str) -> Iterator[str]:
    """The files and splits of the hub that a split reads in a language, and the split itself."""
    yield f"split {card.name}/{split}"
    for name in card.sources:
        source = card.source(name)
        if isinstance(source, SyntheticSource):
            continue
        for _, member in source.members(split):
            if isinstance(member, LocalSource):
                paths = [fill(pattern, code) for pattern in member.patterns(split)]
                # Of files that belong together (a text, and the numbers of its tags) one may
                # serve several splits: only all of them are the same rows.
                yield from [" ".join(paths)] if member.format in TOGETHER else paths
            else:
                config = "" if member.config is None else f" {fill(member.config, code)}"
                for part in member.splits[split].split("+"):
                    yield f"{member.dataset}{config} {part.strip()}"


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
