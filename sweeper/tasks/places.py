"""What a card says about where its rows are found: local files, the hub, or made by code."""

from __future__ import annotations

import string
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
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
    {flores} for the language; the format "parallel" takes two, foreign and English. ``columns``
    maps fields to column names, or to positions from 0 in a file without header. ``labels`` maps
    raw labels to the card's; rows with a raw label in ``drop_labels`` are left out.
    """

    format: str
    files: dict[str, str | Names]
    columns: dict[str, str | int] = {}
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
            if path.is_absolute() or ".." in path.parts or not pattern:
                raise ValueError(f"a path must lie below the data folder, it is {pattern!r}")
        return files

    def patterns(self, split: str) -> tuple[str, ...]:
        """The split's path patterns: one, or two for parallel files."""
        return _patterns_of(self.files[split])


class HubSource(Model):
    """A dataset of the Hugging Face hub; ``splits`` maps the card's splits to the hub's.

    ``labels`` maps the hub's labels to the card's: a list by number, or a mapping by raw label.
    Without ``revision`` the newest commit is looked up once and recorded.
    """

    dataset: str
    config: str | None = None
    revision: str | None = None
    splits: dict[str, str]
    columns: dict[str, str] = {}
    labels: Names | LabelMap | None = None
    drop_labels: RawLabels = ()

    @field_validator("config")
    @classmethod
    def _pattern(cls, config: str | None) -> str | None:
        if config is not None:
            _check_placeholders(config)
        return config


class SyntheticSource(Model):
    """Rows made by `sweeper.tasks.synthetic`."""

    generator: str


Source = LocalSource | HubSource | SyntheticSource


class Sources(TypedDict, total=False):
    """The places where a task's rows are found, by name."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]
    local: LocalSource
    hub: HubSource
    synthetic: SyntheticSource
