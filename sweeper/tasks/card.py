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
from sweeper.tasks import formats, kinds, without
from sweeper.tasks.places import (
    HubParts,
    HubSource,
    Labels,
    LocalParts,
    LocalSource,
    Model,
    Names,
    Source,
    Sources,
    SyntheticSource,
    fill,
)

__all__ = [
    "Card",
    "HubParts",
    "HubSource",
    "LocalParts",
    "LocalSource",
    "Overlap",
    "Provenance",
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


Provenance = Literal["native", "human-translated", "machine-translated", "synthetic"]

Level = Literal["same_examples", "same_documents", "same_data"]


class Split(Model):
    """A part of a task: its languages, and how many rows each has where that is known.

    ``exact`` makes another number of rows an error, whatever the source. ``without`` names a list
    of documents (``cards/without/<name>.txt``) whose rows are left out.
    """

    languages: Names = Field(min_length=1)
    rows: int | dict[str, int] | None = None
    exact: bool = False
    without: str | None = None

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


class Overlap(Model):
    """What a task shares with another one.

    ``same_examples``: examples that the two have in common. ``same_documents``: other examples
    about the same texts. ``same_data``: the one contains, or continues, the training data of the
    other. ``splits`` are this task's and ``with_splits`` the other's; empty means all.
    """

    task: str
    level: Level
    splits: Names = ()
    with_splits: Names = ()
    note: str = ""


class _Fields(Model):
    """A card's fields, each right in itself."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    kind: str
    licence: str
    labels: Labels = ()
    description: str = ""
    how_to_get: str = ""
    """Told when a file is missing: where data that cannot simply be downloaded comes from."""
    training_task: str | None = None
    selection: Selection | None = None
    metric: str | None = None
    options: dict[str, bool | int | float | str | dict[str, str]] = Field(default_factory=dict)
    provenance: Provenance | dict[str, Provenance] | None = None
    overlaps: tuple[Overlap, ...] = Field((), strict=False)
    splits: dict[str, Split] = Field(min_length=1)
    sources: Sources = Field(min_length=1)

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, name: str) -> str:
        if name not in kinds.names():
            raise ValueError(f"there is no such kind.{suggest(name, kinds.names())}")
        return name

    @field_validator("provenance")
    @classmethod
    def _known_languages(cls, given: Any) -> Any:
        for code in given if isinstance(given, dict) else ():
            if code != "other":
                try:
                    language(code)
                except SweeperError as error:
                    raise ValueError(str(error)) from None
        return given


class Card(_Fields):
    """A task: what it is, in which languages, and where its rows are found.

    ``training_task`` (targets only) names the task on whose ``train`` split the target's head is
    trained; ``selection`` says by which split a checkpoint is chosen.
    ``metric`` chooses among the scorers of a kind that has several, ``options`` change the kind's
    settings. ``provenance`` says how the texts came about, per language where that differs (the
    key "other" stands for the rest); ``overlaps`` what the task shares with others.
    """

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for location, problem in _faults(self):
            raise ValueError(f"{'.'.join(map(str, location))}: {problem}")
        return self

    def option(self, name: str) -> Any:
        """The card's value of one of the kind's options, or the kind's own."""
        return self.options.get(name, kinds.get(self.kind).options[name])

    @property
    def scorer(self) -> str | None:
        """The card's `metric`, or the kind's first; None for a kind with one way to score."""
        known = kinds.get(self.kind).metrics
        return self.metric or (known[0] if known else None)

    def provenance_of(self, code: str) -> Provenance | None:
        """How the texts of a language came about, if the card says so."""
        if isinstance(self.provenance, dict):
            return self.provenance.get(code, self.provenance.get("other"))
        return self.provenance

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

Place = tuple[str | int, ...]
Fault = tuple[Place, str]


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
    yield from _setting_faults(card, kind)
    chosen = card.selection
    if chosen and chosen.task in (None, card.name):
        yield from _missing_unit(card, ("selection",), chosen.split, chosen.language)
    if card.training_task == card.name and "train" not in card.splits:
        yield ("training_task",), f"the card has no split 'train'.{suggest('train', card.splits)}"
    for number, overlap in enumerate(card.overlaps):
        for split in overlap.splits:
            if split not in card.splits:
                problem = f"the card has no split {split!r}.{suggest(split, card.splits)}"
                yield ("overlaps", number, "splits"), problem
    for name, part in card.splits.items():
        yield from _split_faults(kind, name, part)
    for name, source in card.sources.items():
        yield from _source_faults(card, kind, name, source)


def _split_faults(kind: kinds.Kind, name: str, split: Split) -> Iterator[Fault]:
    if split.exact and any(split.rows_in(code) is None for code in split.languages):
        yield ("splits", name, "exact"), "`rows` must say how many there are"
    if split.without and split.without not in without.names():
        known = suggest(split.without, without.names())
        yield ("splits", name, "without"), f"there is no such list.{known}"
    if split.without and kind.document_field is None:
        yield ("splits", name, "without"), f"rows of a {kind.name} task have no document"


def _setting_faults(card: _Fields, kind: kinds.Kind) -> Iterator[Fault]:
    if card.metric is not None and card.metric not in kind.metrics:
        known = suggest(card.metric, kind.metrics) if kind.metrics else ""
        yield ("metric",), f"a {kind.name} task has no metric {card.metric!r} to choose.{known}"
    for name, value in card.options.items():
        if name not in kind.options:
            yield ("options", name), f"there is no such option.{suggest(name, kind.options)}"
        elif type(value) is not type(kind.options[name]):
            wanted = type(kind.options[name]).__name__
            yield ("options", name), f"it must be of the type {wanted}, it is {value!r}"
        elif isinstance(value, int) and value < 1 and not isinstance(value, bool):
            yield ("options", name), f"it must be at least 1, it is {value}"


def _missing_unit(card: _Fields, place: Place, split: str, code: str) -> Iterator[Fault]:
    if split not in card.splits:
        yield place, f"the card has no split {split!r}.{suggest(split, card.splits)}"
    elif code not in card.splits[split].languages:
        known = card.splits[split].languages
        yield place, f"the split {split!r} has no language {code!r}.{suggest(code, known)}"


def _source_faults(card: _Fields, kind: kinds.Kind, name: str, source: Any) -> Iterator[Fault]:
    if isinstance(source, SyntheticSource):
        return
    for part, member in source.members():
        place = ("sources", name, "parts", part) if part else ("sources", name)
        yield from _member_faults(card, kind, place, member)


def _member_faults(
    card: _Fields, kind: kinds.Kind, place: Place, source: LocalSource | HubSource
) -> Iterator[Fault]:
    mapped = source.labels.values() if isinstance(source.labels, dict) else source.labels or ()
    for label in mapped:
        if label not in card.labels:
            yield (*place, "labels"), f"{label!r} is no label.{suggest(label, card.labels)}"
    for split in source.told():
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


def _format_faults(kind: kinds.Kind, place: Place, source: LocalSource) -> Iterator[Fault]:
    known = {**formats.PARSERS, **kind.formats}
    if source.format not in known:
        problem = f"there is no format {source.format!r}.{suggest(source.format, known)}"
        yield (*place, "format"), problem
        return
    if source.format in formats.WITH_COLUMNS:
        yield from _missing_columns(kind, place, source.columns)
    wanted = formats.TOGETHER.get(source.format)
    for split in source.files:
        if wanted and len(source.patterns(split)) != wanted:
            yield (*place, "files", split), f"the format {source.format!r} takes {wanted} path(s)"
        if wanted and any("*" in pattern for pattern in source.patterns(split)):
            yield (*place, "files", split), f"a path of the format {source.format!r} has no *"


def _missing_columns(
    kind: kinds.Kind, place: Place, columns: Mapping[str, Any]
) -> Iterator[Fault]:
    for field in kind.fields:
        if field not in columns:
            yield (*place, "columns"), f"a {kind.name} task needs a column for {field!r}"
    if len({isinstance(column, int) for column in columns.values()}) > 1:
        yield (*place, "columns"), "columns are all names or all positions"


# ---- reading cards ----------------------------------------------------------------------------


def load_card(path: Path) -> Card:
    """The card in a YAML file; `StudyError` lists every fault with its line."""
    data, marks = yamlfile.load(path)
    fields = yamlfile.validate(_Fields, data, marks)
    faults = [
        f"{marks.where(place)}: {'.'.join(map(str, place))}: {text}"
        for place, text in _faults(fields)
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
