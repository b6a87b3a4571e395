"""Local file formats: from bytes to records, each with the line that it stands on.

Files are read as bytes and split at newlines only, never at the other characters that Unicode
calls line breaks, which occur inside sentences.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sweeper.errors import DataError, suggest

if TYPE_CHECKING:
    from sweeper.tasks.card import LocalSource


@dataclass(frozen=True)
class Record:
    """One raw row: field -> raw value, and where it stands.

    ``step`` is 1 when the entries of a list field stand on consecutive lines, else 0.
    """

    origin: str
    line: int
    values: Mapping[str, Any]
    step: int = 0

    def where(self, index: int = 0) -> str:
        """``file:line`` of the row, or of an entry of its list fields."""
        return f"{self.origin}:{self.line + index * self.step}"


Parser: TypeAlias = "Callable[[Sequence[Path], LocalSource, str], Iterator[Record]]"
"""(files of the unit, source, language) -> records. Faults are `DataError`s."""


def fault(path: Path | str, line: int, broken: str, advice: str) -> DataError:
    """The error for a line that breaks a rule (not raised yet)."""
    return DataError(f"{path}:{line}: {broken}. {advice.rstrip('.')}.")


def _lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(1-based number, line without its end, whether it has an end)."""
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise fault(
                        path,
                        number,
                        f"a line must be UTF-8, its byte {error.start} is "
                        f"0x{raw[error.start]:02x}",
                        "Re-save the file as UTF-8",
                    ) from None
                yield number, line.rstrip("\r\n"), raw.endswith(b"\n")
    except OSError as error:
        raise DataError(
            f"A data file must be readable; {path} is not: {error.strerror}. Mend the file."
        ) from None


# ---- tables -----------------------------------------------------------------------------------


def _tsv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Cells of every line that is not blank. A quotation mark is a character like any other."""
    for number, line, _ in _lines(path):
        if line:
            yield number, line.split("\t")


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Cells of every record, which begins at the line given and may span several."""
    reader = csv.reader((f"{line}\n" for _, line, _ in _lines(path)), strict=True)
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise fault(
            path, start, f"a record must be valid CSV: {error}", "Mend its quotes"
        ) from None


def _table(
    path: Path, rows: Iterator[tuple[int, list[str]]], columns: Mapping[str, str | int]
) -> Iterator[Record]:
    positions = {field: at for field, at in columns.items() if isinstance(at, int)}
    width = None
    if not positions:
        head = next(rows, None)
        if head is None:
            return
        width = len(head[1])
        positions = {
            field: _position(path, head[0], head[1], str(name)) for field, name in columns.items()
        }
    for number, cells in rows:
        if width is not None and len(cells) != width:
            raise fault(
                path,
                number,
                f"a row must have {width} columns like the header, it has {len(cells)}",
                "Mend the row",
            )
        for field, at in positions.items():
            if at >= len(cells):
                raise fault(
                    path,
                    number,
                    f"a row must have a column {at} (the field {field!r}), counted from 0; it "
                    f"has {len(cells)} columns",
                    "Mend the row, or the card's `columns:` (XTREME's own download leaves the "
                    "labels out of its test files)",
                )
        yield Record(str(path), number, {field: cells[at] for field, at in positions.items()})


def _position(path: Path, line: int, header: list[str], name: str) -> int:
    if name not in header:
        raise fault(
            path,
            line,
            f"the header must have the column {name!r}.{suggest(name, header)}".rstrip("."),
            "Mend the header, or the card's `columns:`",
        )
    return header.index(name)


def parse_tsv(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """Tab-separated columns; quotation marks have no meaning, as in XTREME's own reader."""
    return _table(paths[0], _tsv(paths[0]), source.columns)


def parse_csv(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """Comma-separated columns, quoted as RFC 4180 has it."""
    return _table(paths[0], _csv(paths[0]), source.columns)


# ---- the other formats ------------------------------------------------------------------------


def parse_jsonl(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """One JSON object per line."""
    path = paths[0]
    for number, line, ended in _lines(path):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            broken = (
                f"a line must be a JSON object; {error.msg} at column {error.colno}"
                if ended
                else "the last line must be a whole JSON object; it is cut off"
            )
            advice = "Mend the line" if ended else "Get the file again"
            raise fault(path, number, broken, advice) from None
        if not isinstance(found, dict):
            raise fault(
                path,
                number,
                f"a line must be a JSON object, it is a {type(found).__name__}",
                "Mend the line",
            )
        values = {}
        for field, key in source.columns.items():
            if key not in found:
                raise fault(
                    path,
                    number,
                    f"a row must have the key {key!r}.{suggest(str(key), found)}".rstrip("."),
                    "Mend the row, or the card's `columns:`",
                )
            values[field] = found[str(key)]
        yield Record(str(path), number, values)


def parse_lines(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """One text per line; blank lines are passed over."""
    for number, line, _ in _lines(paths[0]):
        if line.strip():
            yield Record(str(paths[0]), number, {"text": line})


def parse_parallel(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """Two files of one sentence per line; line n of one translates line n of the other."""
    foreign, pivot = paths
    ours, theirs = _lines(foreign), _lines(pivot)
    number = 0
    while True:
        one, other = next(ours, None), next(theirs, None)
        if one is None and other is None:
            return
        if one is None or other is None:
            raise _unequal(foreign, pivot, number, ours, theirs, short_is_foreign=one is None)
        number = one[0]
        yield Record(str(foreign), number, {"text": one[1], "pair": other[1]})


def _unequal(
    foreign: Path,
    pivot: Path,
    number: int,
    ours: Iterator[Any],
    theirs: Iterator[Any],
    *,
    short_is_foreign: bool,
) -> DataError:
    short, long = (foreign, pivot) if short_is_foreign else (pivot, foreign)
    more = number + 1 + sum(1 for _ in (theirs if short_is_foreign else ours))
    return fault(
        long,
        number + 1,
        f"parallel files must have equally many lines; this one has {more} and {short} has "
        f"{number}",
        "Get both files again",
    )


def parse_conll(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """A token and its tag per line, separated by a tab; a blank line ends a sentence."""
    path = paths[0]
    at_token = _column(source.columns.get("tokens", 0))
    at_tag = _column(source.columns.get("tags", 1))
    prefix = f"{language}:" if source.language_prefix else ""
    tokens: list[str] = []
    tags: list[str] = []
    start = 0
    for number, line, _ in _lines(path):
        if not line.strip():
            if tokens:
                yield Record(str(path), start, {"tokens": tokens, "tags": tags}, step=1)
            tokens, tags = [], []
            continue
        cells = line.split("\t")
        if len(cells) <= max(at_token, at_tag) or not cells[at_token] or not cells[at_tag]:
            raise fault(
                path,
                number,
                f"a line must have a token and a tag with a tab between them, it is {line!r}",
                "Mend the line (XTREME's own download leaves the tags out of its test files)",
            )
        if not tokens:
            start = number
        tokens.append(cells[at_token].removeprefix(prefix) or cells[at_token])
        tags.append(cells[at_tag])
    if tokens:
        yield Record(str(path), start, {"tokens": tokens, "tags": tags}, step=1)


def _column(given: str | int) -> int:
    if isinstance(given, str):
        raise DataError(
            f"Columns of the format 'conll' are positions from 0; the card says {given!r}. "
            "Write a number in the card's `columns:`."
        )
    return given


PARSERS: dict[str, Parser] = {
    "tsv": parse_tsv,
    "csv": parse_csv,
    "jsonl": parse_jsonl,
    "conll": parse_conll,
    "lines": parse_lines,
    "parallel": parse_parallel,
}

WITH_COLUMNS = frozenset({"tsv", "csv", "jsonl"})
"""Formats for which a card must name the columns."""
