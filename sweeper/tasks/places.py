"""What a card says about where its rows are found: local files, the hub, or made by code."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
)
from typing_extensions import TypedDict

from sweeper.errors import suggest
from sweeper.languages import language

PLACEHOLDERS = ("language", "iso", "name", "flores")


def _as_text(value: Any) -> Any:
    """Raw labels are compared as text, so a card may write ``0`` for ``"0"``."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text_items(value: Any) -> Any:
    return [_as_text(item) for item in value] if isinstance(value, (list, tuple)) else value


def _text_keys(value: Any) -> Any:
    return {_as_text(k): v for k, v in value.items()} if isinstance(value, dict) else value


Names = Annotated[tuple[str, ...], Field(strict=False)]


def _numbered(value: Any) -> Any:
    """A number of labels stands for the numbers from 0."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return tuple(map(str, range(value))) if whole else _text_items(value)


Labels = Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_numbered)]
RawLabels = Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_text_items)]
LabelMap = Annotated[dict[str, str], BeforeValidator(_text_keys)]


class Model(BaseModel):
    """Strict and frozen, as all parts of a card are."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def fill(pattern: str, code: str) -> str:
    """A path or config pattern for one language.

    >>> fill("tatoeba.{iso}-eng", "de")
    'tatoeba.deu-eng'
    """
    row = language(code)
    return pattern.format(language=code, iso=row.iso, name=row.name, flores=row.flores)


def _patterns_of(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def _check_placeholders(pattern: str) -> None:
    try:
        found = [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        raise ValueError(f"{pattern!r} has a brace that does not close: {error}") from None
    for name in found:
        if name not in PLACEHOLDERS:
            raise ValueError(f"there is no placeholder {name!r}.{suggest(name, PLACEHOLDERS)}")


class LocalSource(Model):
    """Files below the data folder.

    ``files`` gives per split a path with {language} (XTREME's code), {iso} (ISO 639-3), {name} or
    {flores} for the language, and perhaps * for any text. The format "parallel" takes two paths,
    foreign and English, and "bucc" three; of other formats, several files are read one after the
    other. ``columns`` maps fields to column names, or to positions from 0 in a file without
    header; a list of them makes a list field; "a.b" is b inside a. ``labels`` maps raw labels to
    the card's; rows with a raw label in ``drop_labels`` are left out.
    """

    format: str
    files: dict[str, str | Names]
    columns: dict[str, str | int | Names] = {}
    labels: LabelMap | None = None
    drop_labels: RawLabels = ()
    language_prefix: bool = False
    """Tokens may bear the language in front ("de:Haus"), as in the raw PAN-X; it is taken off."""

    @field_validator("files")
    @classmethod
    def _patterns(cls, files: dict[str, str | tuple[str, ...]]) -> dict[str, Any]:
        for pattern in (p for given in files.values() for p in _patterns_of(given)):
            _check_placeholders(pattern)
            path = PurePosixPath(pattern)
            if path.is_absolute() or ".." in path.parts or not pattern or "\0" in pattern:
                raise ValueError(f"a path must lie below the data folder, it is {pattern!r}")
        return files

    def patterns(self, split: str) -> tuple[str, ...]:
        """The split's path patterns."""
        return _patterns_of(self.files[split])

    def told(self) -> tuple[str, ...]:
        """The splits that the source has."""
        return tuple(self.files)

    def members(self, split: str | None = None) -> Iterator[tuple[str, LocalSource]]:
        """The parts of the source (itself, unnamed), those that have ``split``."""
        if split is None or split in self.files:
            yield "", self


class LocalParts(Model):
    """Several local sources whose rows follow one another, such as ANLI, SNLI and MultiNLI."""

    parts: dict[str, LocalSource] = Field(min_length=1)

    def patterns(self, split: str) -> tuple[str, ...]:
        """The split's path patterns, of all parts."""
        return tuple(p for _, part in self.members(split) for p in part.patterns(split))

    def told(self) -> tuple[str, ...]:
        """The splits that some part has."""
        return tuple(dict.fromkeys(split for part in self.parts.values() for split in part.told()))

    def members(self, split: str | None = None) -> Iterator[tuple[str, LocalSource]]:
        """Name and source of the parts, those that have ``split``."""
        for name, part in self.parts.items():
            if split is None or split in part.files:
                yield name, part


class HubSource(Model):
    """A dataset of the Hugging Face hub; ``splits`` maps the card's splits to the hub's.

    "a+b" is the hub's split a followed by b. Where one config holds all languages, ``id_prefix``
    (with {name} and so on, in any case) keeps the rows of one. ``labels`` maps
    the hub's labels to the card's: a list by number, or a mapping by raw label.
    Without ``revision`` the newest commit is looked up once and recorded.
    """

    dataset: str
    config: str | None = None
    revision: str | None = None
    splits: dict[str, str]
    columns: dict[str, str | Names] = {}
    labels: Names | LabelMap | None = None
    drop_labels: RawLabels = ()
    id_prefix: str | None = None

    @field_validator("config", "id_prefix")
    @classmethod
    def _pattern(cls, config: str | None) -> str | None:
        if config is not None:
            _check_placeholders(config)
        return config

    def told(self) -> tuple[str, ...]:
        """The splits that the source has."""
        return tuple(self.splits)

    def members(self, split: str | None = None) -> Iterator[tuple[str, HubSource]]:
        """The parts of the source (itself, unnamed), those that have ``split``."""
        if split is None or split in self.splits:
            yield "", self


class HubParts(Model):
    """Several datasets of the hub whose rows follow one another."""

    parts: dict[str, HubSource] = Field(min_length=1)

    @property
    def dataset(self) -> str:
        """The names of all datasets."""
        return ", ".join(dict.fromkeys(part.dataset for part in self.parts.values()))

    def told(self) -> tuple[str, ...]:
        """The splits that some part has."""
        return tuple(dict.fromkeys(split for part in self.parts.values() for split in part.told()))

    def members(self, split: str | None = None) -> Iterator[tuple[str, HubSource]]:
        """Name and source of the parts, those that have ``split``."""
        for name, part in self.parts.items():
            if split is None or split in part.splits:
                yield name, part


class SyntheticSource(Model):
    """Rows made by `sweeper.tasks.synthetic`."""

    generator: str


Source = LocalSource | LocalParts | HubSource | HubParts | SyntheticSource


# Branches of a union stand in a fault's location; those in brackets are not shown to people.
_ONE, _PARTS = "(one)", "(parts)"


def _one_or_parts(value: Any) -> str:
    has = "parts" in value if isinstance(value, dict) else hasattr(value, "parts")
    return _PARTS if has else _ONE


class Sources(TypedDict, total=False):
    """The places where a task's rows are found, by name."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]
    local: Annotated[
        Annotated[LocalSource, Tag(_ONE)] | Annotated[LocalParts, Tag(_PARTS)],
        Discriminator(_one_or_parts),
    ]
    hub: Annotated[
        Annotated[HubSource, Tag(_ONE)] | Annotated[HubParts, Tag(_PARTS)],
        Discriminator(_one_or_parts),
    ]
    synthetic: SyntheticSource
