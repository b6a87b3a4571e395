"""Task cards: what a task is, in which languages, and where its rows are found.

A card is a YAML file. The shipped ones lie in ``sweeper/tasks/cards``; a study can bring its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sweeper import yamlfile
from sweeper.errors import StudyError, SweeperError, suggest
from sweeper.languages import language
from sweeper.tasks import kinds
from sweeper.tasks.consistency import faults
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
from sweeper.yamlfile import LONGEST_NAME, Name

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

    @field_validator("rows")
    @classmethod
    def _counts(cls, rows: Any, info: ValidationInfo) -> Any:
        codes = info.data.get("languages", ())
        for code, count in (rows if isinstance(rows, dict) else {"": rows}).items():
            if code and codes and code not in codes:
                raise ValueError(f"the split has no language {code!r}.{suggest(code, codes)}")
            if count is not None and count < 1:
                raise ValueError(f"a count must be at least 1, it is {count}")
        return rows

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


class Fields(Model):
    """A card's fields, each right in itself."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", max_length=LONGEST_NAME)
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
    subwords: int | None = Field(None, gt=0)
    """Of a row, all its sequences together, on average; for estimates."""
    options: dict[str, bool | int | float | str | dict[str, str]] = Field(default_factory=dict)
    provenance: Provenance | dict[str, Provenance] | None = None
    overlaps: tuple[Overlap, ...] = Field((), strict=False)
    splits: dict[Name, Split] = Field(min_length=1)
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


class Card(Fields):
    """A task: what it is, in which languages, and where its rows are found.

    ``training_task`` (targets only) names the task on whose ``train`` split the target's head is
    trained; ``selection`` says by which split a checkpoint is chosen.
    ``metric`` chooses among the scorers of a kind that has several, ``options`` change the kind's
    settings. ``provenance`` says how the texts came about, per language where that differs (the
    key "other" stands for the rest); ``overlaps`` what the task shares with others.
    """

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for location, problem in faults(self):
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
        """How the texts of a language came about; None if the card does not say."""
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


# ---- reading cards ----------------------------------------------------------------------------


def load_card(path: Path) -> Card:
    """The card in a YAML file; `StudyError` lists every fault with its line."""
    data, marks = yamlfile.load(path)
    fields = yamlfile.validate(Fields, data, marks)
    found = [
        f"{marks.where(place)}: {'.'.join(map(str, place))}: {text}"
        for place, text in faults(fields)
    ]
    if found:
        raise StudyError("\n".join(found))
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
