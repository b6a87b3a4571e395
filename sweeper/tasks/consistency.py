"""What must fit together in a card: kind, labels, splits and sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweeper.errors import suggest
from sweeper.tasks import formats, kinds, without
from sweeper.tasks.kinds import Kind
from sweeper.tasks.places import HubSource, LocalSource, SyntheticSource

if TYPE_CHECKING:
    from sweeper.tasks.card import Fields, Split

RESERVED_FIELDS = ("id", "language")
"""Fields of every kind: a row's name, and the language of a row in a file of several."""

Place = tuple[str | int, ...]
Fault = tuple[Place, str]


def faults(card: Fields) -> Iterator[Fault]:
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


def _split_faults(kind: Kind, name: str, split: Split) -> Iterator[Fault]:
    if split.exact and any(split.rows_in(code) is None for code in split.languages):
        yield ("splits", name, "exact"), "`rows` must say how many there are"
    if split.without and split.without not in without.names():
        known = suggest(split.without, without.names())
        yield ("splits", name, "without"), f"there is no such list.{known}"
    if split.without and kind.document_field is None:
        yield ("splits", name, "without"), f"rows of a {kind.name} task have no document"


def _setting_faults(card: Fields, kind: Kind) -> Iterator[Fault]:
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


def _missing_unit(card: Fields, place: Place, split: str, code: str) -> Iterator[Fault]:
    if split not in card.splits:
        yield place, f"the card has no split {split!r}.{suggest(split, card.splits)}"
    elif code not in card.splits[split].languages:
        known = card.splits[split].languages
        yield place, f"the split {split!r} has no language {code!r}.{suggest(code, known)}"


def _source_faults(card: Fields, kind: Kind, name: str, source: Any) -> Iterator[Fault]:
    if isinstance(source, SyntheticSource):
        return
    for part, member in source.members():
        place = ("sources", name, "parts", part) if part else ("sources", name)
        yield from _member_faults(card, kind, place, member)


def _member_faults(
    card: Fields, kind: Kind, place: Place, source: LocalSource | HubSource
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


def _format_faults(kind: Kind, place: Place, source: LocalSource) -> Iterator[Fault]:
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


def _missing_columns(kind: Kind, place: Place, columns: Mapping[str, Any]) -> Iterator[Fault]:
    for field in kind.fields:
        if field not in columns:
            yield (*place, "columns"), f"a {kind.name} task needs a column for {field!r}"
    if len({isinstance(column, int) for column in columns.values()}) > 1:
        yield (*place, "columns"), "columns are all names or all positions"
