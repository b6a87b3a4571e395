"""Task cards: what a task is, in which languages, and where its rows are found.

A card is a YAML file. The shipped ones lie in ``sweeper/tasks/cards``; a study can bring its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from sweeper import yamlfile
from sweeper.errors import StudyError, SweeperError, suggest
from sweeper.languages import language
from sweeper.tasks import formats, kinds
from sweeper.tasks.places import (
    HubSource,
    LocalSource,
    Model,
    Names,
    RawLabels,
    Source,
    Sources,
    SyntheticSource,
    fill,
)

__all__ = [
    "Card",
    "HubSource",
    "LocalSource",
    "Selection",
    "Source",
    "SourceName",
    "Split",
    "SyntheticSource",
    "fill",
    "load_card",
    "load_cards",
    "shipped_cards",
]

SourceName = Literal["local", "hub", "synthetic"]

RESERVED_FIELDS = ("id", "language")
"""Fields of every kind: a row's name, and the language of a row in a file of several."""


class Split(Model):
    """A part of a task: its languages, and how many rows each has where that is known."""

    languages: Names = Field(min_length=1)
    rows: int | dict[str, int] | None = None

    @field_validator("languages")
    @classmethod
    def _known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            try:
                language(code)
            except SweeperError as error:
                raise ValueError(str(error)) from None
        if len(set(codes)) != len(codes):
            raise ValueError("a language may stand here once only")
        return codes

    def rows_in(self, code: str) -> int | None:
        """How many rows the split has in a language, if the card knows."""
        return self.rows.get(code) if isinstance(self.rows, dict) else self.rows


class Selection(Model):
    """The split and language by which a checkpoint of this target is chosen."""

    task: str | None = None
    split: str = "dev"
    language: str = "en"


class _Fields(Model):
    """A card's fields, each right in itself."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    kind: str
    licence: str
    labels: RawLabels = ()
    description: str = ""
    training_task: str | None = None
    selection: Selection | None = None
    splits: dict[str, Split] = Field(min_length=1)
    sources: Sources = Field(min_length=1)

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, name: str) -> str:
        if name not in kinds.names():
            raise ValueError(f"there is no such kind.{suggest(name, kinds.names())}")
        return name


class Card(_Fields):
    """A task: what it is, in which languages, and where its rows are found.

    ``training_task`` (targets only) names the task on whose ``train`` split the target's head is
    trained; ``selection`` says by which split a checkpoint is chosen.
    """

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for location, problem in _faults(self):
            raise ValueError(f"{'.'.join(location)}: {problem}")
        return self

    def source(self, name: str) -> Source:
        """One of the card's sources; `StudyError` if it has none of that name."""
        found: Mapping[str, Any] = self.sources
        if name not in found:
            raise StudyError(
                f"The task {self.name!r} has no source {name!r}.{suggest(name, found)}"
            )
        source: Source = found[name]
        return source

    def split(self, name: str, code: str | None = None) -> Split:
        """One of the card's splits; `StudyError` if it is missing, or lacks the language."""
        if name not in self.splits:
            raise StudyError(
                f"The task {self.name!r} has no split {name!r}.{suggest(name, self.splits)}"
            )
        found = self.splits[name]
        if code is not None and code not in found.languages:
            raise StudyError(
                f"The split {name!r} of the task {self.name!r} has no language {code!r}."
                f"{suggest(code, found.languages, most=60)}"
            )
        return found


# ---- what must fit together -------------------------------------------------------------------

Fault = tuple[tuple[str, ...], str]


def _faults(card: _Fields) -> Iterator[Fault]:
    """Where the card contradicts itself: place and problem."""
    kind = kinds.get(card.kind)
    if kind.label_field and len(card.labels) < 2:
        yield ("labels",), f"a {kind.name} task needs at least two labels"
    if not kind.label_field and card.labels:
        yield ("labels",), f"a {kind.name} task has no labels"
    if len(set(card.labels)) != len(card.labels):
        yield ("labels",), "a label may stand here once only"
    if any(not label or len(label.split()) != 1 for label in card.labels):
        yield ("labels",), "a label must be one word"
    chosen = card.selection
    if chosen and chosen.task in (None, card.name):
        yield from _missing_unit(card, ("selection",), chosen.split, chosen.language)
    if card.training_task == card.name and "train" not in card.splits:
        yield ("training_task",), f"the card has no split 'train'.{suggest('train', card.splits)}"
    for name, source in card.sources.items():
        yield from _source_faults(card, kind, name, source)


def _missing_unit(card: _Fields, place: tuple[str, ...], split: str, code: str) -> Iterator[Fault]:
    if split not in card.splits:
        yield place, f"the card has no split {split!r}.{suggest(split, card.splits)}"
    elif code not in card.splits[split].languages:
        known = card.splits[split].languages
        yield place, f"the split {split!r} has no language {code!r}.{suggest(code, known)}"


def _source_faults(card: _Fields, kind: kinds.Kind, name: str, source: Any) -> Iterator[Fault]:
    place = ("sources", name)
    if isinstance(source, SyntheticSource):
        return
    mapped = source.labels.values() if isinstance(source.labels, dict) else source.labels or ()
    for label in mapped:
        if label not in card.labels:
            yield (*place, "labels"), f"{label!r} is no label.{suggest(label, card.labels)}"
    parts = source.files if isinstance(source, LocalSource) else source.splits
    for split in parts:
        if split not in card.splits:
            where = (*place, "files" if isinstance(source, LocalSource) else "splits", split)
            yield where, f"the card has no split {split!r}.{suggest(split, card.splits)}"
    known = (*kind.fields, *kind.optional, *RESERVED_FIELDS)
    for field in source.columns:
        if field not in known:
            yield (*place, "columns", field), f"there is no such field.{suggest(field, known)}"
    if isinstance(source, LocalSource):
        yield from _format_faults(kind, place, source)
    else:
        yield from _missing_columns(kind, place, source.columns)


def _format_faults(
    kind: kinds.Kind, place: tuple[str, ...], source: LocalSource
) -> Iterator[Fault]:
    known = {**formats.PARSERS, **kind.formats}
    if source.format not in known:
        problem = f"there is no format {source.format!r}.{suggest(source.format, known)}"
        yield (*place, "format"), problem
        return
    if source.format in formats.WITH_COLUMNS:
        yield from _missing_columns(kind, place, source.columns)
    wanted = 2 if source.format == "parallel" else 1
    for split in source.files:
        if len(source.patterns(split)) != wanted:
            yield (*place, "files", split), f"the format {source.format!r} takes {wanted} path(s)"


def _missing_columns(
    kind: kinds.Kind, place: tuple[str, ...], columns: Mapping[str, Any]
) -> Iterator[Fault]:
    for field in kind.fields:
        if field not in columns:
            yield (*place, "columns"), f"a {kind.name} task needs a column for {field!r}"
    if len({isinstance(column, str) for column in columns.values()}) > 1:
        yield (*place, "columns"), "columns are all names or all positions"


# ---- reading cards ----------------------------------------------------------------------------


def load_card(path: Path) -> Card:
    """The card in a YAML file; `StudyError` lists every fault with its line."""
    data, marks = yamlfile.load(path)
    fields = yamlfile.validate(_Fields, data, marks)
    faults = [
        f"{marks.where(place)}: {'.'.join(place)}: {text}" for place, text in _faults(fields)
    ]
    if faults:
        raise StudyError("\n".join(faults))
    return Card.model_construct(**dict(fields))


def load_cards(folder: Path) -> dict[str, Card]:
    """All cards (``*.yaml``) of a folder by name; `StudyError` if two have one name."""
    if not folder.is_dir():
        raise StudyError(f"There is no folder of task cards {folder}. Give an existing folder.")
    cards: dict[str, Card] = {}
    origin: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        card = load_card(path)
        if card.name in cards:
            raise StudyError(
                f"Task names must be unique; {card.name!r} is the name in {origin[card.name]} "
                f"and in {path}. Rename one."
            )
        cards[card.name], origin[card.name] = card, path
    return cards


@cache
def _shipped() -> dict[str, Card]:
    return load_cards(Path(__file__).parent / "cards")


def shipped_cards() -> dict[str, Card]:
    """The cards that come with sweeper, by name; they are read once per process."""
    return dict(_shipped())
