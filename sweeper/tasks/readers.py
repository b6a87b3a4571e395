"""From a resolution to rows: read, rename, translate labels, check.

Every fault is a `DataError` that names the file (or the hub dataset), the row and the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sweeper.errors import DataError, suggest
from sweeper.languages import LANGUAGES
from sweeper.tasks import formats, hub, kinds, without
from sweeper.tasks.card import Card, HubSource, LocalSource
from sweeper.tasks.formats import Record
from sweeper.tasks.kinds.base import Row, RowFault, shown
from sweeper.tasks.sources import Resolution, check_unchanged


def read(
    card: Card,
    split: str,
    language: str,
    resolution: Resolution,
    root: Path | None,
    limit: int | None = None,
    skipped: list[str] | None = None,
) -> list[Row]:
    """The rows of one unit: the fields of the card's kind, and ``id``.

    ``id`` is the value of the ``id`` column, else the row's number in the file, from 0 (blank
    lines are not counted, dropped rows are). ``limit`` takes the first rows that are left after
    dropping, or what the kind makes of that (see `Kind.first`).

    With a list as ``skipped``, a row that breaks a rule is left out and what is wrong with it is
    added to the list. Files that are broken as a whole, or where a fault casts doubt on what
    follows (CSV's quotes and bytes, CoNLL's lines, parallel, BUCC, SQuAD's structure), are errors
    all the same; `docs/add_a_task.md` lists them.

    Raises:
        DataError: a file is missing, has changed since it was resolved, or breaks a rule.
    """
    wanted = card.split(split, language)
    kind = kinds.get(card.kind)
    # To say that a split has exactly so many rows, all must be counted.
    most = None if wanted.exact or kind.whole else limit
    rows = list(islice(_rows(card, split, language, resolution, root, skipped), most))
    origin = _origin(resolution, root)
    if wanted.exact and len(rows) != wanted.rows_in(language):
        raise DataError(
            f"{origin}: the split {split!r} of the task {card.name!r} must have exactly "
            f"{wanted.rows_in(language)} rows in the language {language!r}, it has {len(rows)}. "
            "Get the right data: with other rows, scores mean something else."
        )
    rows = rows if limit is None else kind.first(rows, limit)
    if not rows and limit != 0:
        raise DataError(
            f"{origin}: the task {card.name!r} needs at least one row in the split {split!r} and "
            f"the language {language!r}; there is none. Get the data again, or leave the "
            "language out."
        )
    lack = kind.lack(rows) if rows else ""
    if lack:
        raise DataError(
            f"{origin}: a unit of a {kind.name} task needs {lack}; there is none. Get the data "
            "again."
        )
    return rows


def _rows(
    card: Card,
    split: str,
    language: str,
    resolution: Resolution,
    root: Path | None,
    skipped: list[str] | None,
) -> Iterator[Row]:
    kind = kinds.get(card.kind)
    excluded = card.split(split, language).without
    left_out = without.listed(excluded) if excluded else frozenset()
    seen: set[str] = set()
    for stream in _streams(card, split, language, resolution, root):
        for number, record in enumerate(stream.records):
            try:
                row = _row(card, kind, stream, record, language)
                if row is None or (left_out and _is_listed(row, kind, left_out)):
                    continue
                named = record.values.get("id", number)
                row["id"] = f"{stream.prefix}{named}"
                _check_new(row["id"], seen, record, stream)
            except DataError as error:
                if skipped is None:
                    raise
                skipped.append(str(error))
                continue
            yield row


def _row(
    card: Card, kind: kinds.Kind, stream: _Stream, record: Record, language: str
) -> Row | None:
    """The row of a record; None if it is of another language or its label is dropped."""
    if record.fault:
        raise record.fault
    values = dict(record.values)
    try:
        if "language" in values and _known_language(values.pop("language")) != language:
            return None
        if kind.label_field and not stream.translation.apply(values, kind.label_field):
            return None
        return kind.row(values, card)
    except RowFault as error:
        where = record.where(error.index)
        raise DataError(f"{where}: {error.broken}. {error.advice.rstrip('.')}.") from None


def _known_language(code: Any) -> str:
    """The language that a row says it is in: another one than the unit's may, none may not."""
    if isinstance(code, str) and code in LANGUAGES:
        return code
    raise RowFault(
        f"the field 'language' must be a code of the language table, it is {shown(code)}",
        "Mend the row; the table is sweeper/languages.py",
    )


def _is_listed(row: Row, kind: kinds.Kind, marks: frozenset[str]) -> bool:
    return without.mark(str(row[str(kind.document_field)])) in marks


def _check_new(name: str, seen: set[str], record: Record, stream: _Stream) -> None:
    if name in seen:
        other = ", or leave the `id` column out of the card" if stream.id_column else ""
        raise DataError(
            f"{record.where()}: ids must be unique in a split and language; {name!r} is not. Mend "
            f"the data{other}."
        )
    seen.add(name)


@dataclass(frozen=True)
class _Translation:
    """Raw labels -> the card's, and the raw labels whose rows are dropped."""

    labels: Mapping[str, str]
    drop: frozenset[str]

    @classmethod
    def of(cls, source: LocalSource | HubSource | None) -> _Translation:
        if source is None:
            return cls({}, frozenset())
        labels = source.labels or {}
        if not isinstance(labels, dict):
            labels = {str(number): label for number, label in enumerate(labels)}
        return cls(labels, frozenset(source.drop_labels))

    def apply(self, values: dict[str, Any], field: str) -> bool:
        """Translate the labels in ``field``; False if the row is to be dropped."""
        raw = values.get(field)
        if isinstance(raw, (list, tuple)):
            values[field] = [self._one(label, index) for index, label in enumerate(raw)]
            return True
        if _text(raw) in self.drop:
            return False
        values[field] = self._one(raw, 0)
        return True

    def _one(self, raw: Any, index: int) -> Any:
        label = _text(raw)
        if not self.labels:
            return label
        if label not in self.labels:
            raise RowFault(
                f"a label must be one of those in the card's `labels:`, it is {shown(raw)}",
                f"Mend the row or the card.{suggest(str(label), self.labels)}",
                index,
            )
        return self.labels[label]


def _text(raw: Any) -> Any:
    """Numbers as text, since raw labels are compared as text; anything else as it is."""
    return str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw


def _origin(resolution: Resolution, root: Path | None) -> str:
    if resolution["source"] == "local" and root is not None:
        return ", ".join(str(root / file["path"]) for file in resolution["files"])
    if resolution["source"] == "hub":
        return ", ".join(map(hub.origin, resolution.get("parts", {"": resolution}).values()))
    return f"synthetic generator {resolution.get('generator')}"


# ---- sources ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stream:
    """The records of a part of a source, how their labels are translated, how ids begin.

    ``id_column``: the card says which column the ids are, where other formats know it themselves.
    """

    records: Iterator[Record]
    translation: _Translation
    prefix: str = ""
    id_column: bool = False


def _streams(
    card: Card, split: str, language: str, resolution: Resolution, root: Path | None
) -> Iterator[_Stream]:
    source: Any = card.source(resolution["source"])
    if resolution["source"] == "synthetic":
        records = _synthetic_records(resolution, split, language)
        yield _Stream(records, _Translation.of(None))
        return
    for part, member in source.members(split):
        # Rows are numbered in each part: their ids must tell the parts apart.
        prefix = f"{part}:" if part else ""
        if resolution["source"] == "local":
            paths = check_unchanged(resolution, root, part)
            records = _local_records(card, member, language, paths)
        else:
            records = hub.records(member, resolution["parts"][part] if part else resolution)
        yield _Stream(records, _Translation.of(member), prefix, "id" in member.columns)


def _local_records(
    card: Card, source: LocalSource, language: str, paths: Sequence[Path]
) -> Iterator[Record]:
    parsers = {**formats.PARSERS, **kinds.get(card.kind).formats}
    parse = parsers[source.format]
    if source.format in formats.TOGETHER:
        yield from parse(paths, source, language)
        return
    for path in paths:
        yield from parse([path], source, language)


def _synthetic_records(resolution: Resolution, split: str, language: str) -> Iterator[Record]:
    from sweeper.tasks import synthetic

    if resolution["version"] != synthetic.GENERATOR_VERSION:
        raise DataError(
            f"The synthetic data was planned with generator version {resolution['version']}; this "
            f"is version {synthetic.GENERATOR_VERSION}. Run again with one version of sweeper."
        )
    generator = resolution["generator"]
    for number, values in enumerate(synthetic.rows(generator, split, language)):
        yield Record(f"synthetic generator {generator}, row", number, values)
