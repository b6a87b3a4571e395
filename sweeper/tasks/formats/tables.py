"""Files of one row per line, or per record: tsv, csv, jsonl; and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError, suggest
from sweeper.tasks.formats.base import Record, bad, decoded, fault, lines, picked

if TYPE_CHECKING:
    from sweeper.tasks.card import LocalSource

Columns = Mapping[str, "str | int | tuple[str, ...]"]


def _tsv(path: Path) -> Iterator[tuple[int, list[str] | DataError]]:
    """Cells of every line that is not blank. A quotation mark is a character like any other."""
    for number, line, _ in decoded(path):
        if isinstance(line, DataError):
            yield number, line
        elif line:
            yield number, line.split("\t")


def _csv(path: Path) -> Iterator[tuple[int, list[str] | DataError]]:
    """Cells of every record, which begins at the line given and may span several."""
    reader = csv.reader((f"{line}\n" for _, line, _ in lines(path)), strict=True)
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
    path: Path, rows: Iterator[tuple[int, list[str] | DataError]], columns: Columns
) -> Iterator[Record]:
    width = None
    at: dict[str, int | list[int]]
    if any(not isinstance(column, int) for column in columns.values()):
        head = next(rows, None)
        if head is None:
            return
        if isinstance(head[1], DataError):
            raise head[1]
        width = len(head[1])
        at = {field: _positions(path, head[0], head[1], given) for field, given in columns.items()}
    else:
        at = {field: place for field, place in columns.items() if isinstance(place, int)}
    for number, cells in rows:
        try:
            values = _values(path, number, cells, at, width)
        except DataError as error:
            yield bad(path, number, error)
            continue
        yield Record(str(path), number, values)


def _values(
    path: Path,
    number: int,
    cells: list[str] | DataError,
    at: Mapping[str, int | list[int]],
    width: int | None,
) -> dict[str, str | list[str]]:
    if isinstance(cells, DataError):
        raise cells
    if width is not None and len(cells) != width:
        raise fault(
            path,
            number,
            f"a row must have {width} columns like the header, it has {len(cells)}",
            "Mend the row",
        )
    return {field: _cells(path, number, cells, field, place) for field, place in at.items()}


def _cells(
    path: Path, number: int, cells: list[str], field: str, place: int | list[int]
) -> str | list[str]:
    if isinstance(place, list):
        return [cells[one] for one in place]
    if place >= len(cells):
        raise fault(
            path,
            number,
            f"a row must have a column {place} (the field {field!r}), counted from 0; it has "
            f"{len(cells)} columns",
            "Mend the row, or the card's `columns:` (XTREME's own download leaves the labels out "
            "of its test files)",
        )
    return cells[place]


def _positions(
    path: Path, line: int, header: list[str], column: str | int | tuple[str, ...]
) -> int | list[int]:
    if isinstance(column, tuple):
        return [_position(path, line, header, name) for name in column]
    return _position(path, line, header, str(column))


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


def parse_jsonl(
    paths: Sequence[Path],
    source: LocalSource,
    language: str,
    wanted: Callable[[str], bool] = bool,
) -> Iterator[Record]:
    """One JSON object per line; those that are not ``wanted`` are passed over, not parsed."""
    path = paths[0]
    for number, line, ended in decoded(path):
        try:
            if isinstance(line, DataError):
                raise line
            if not line.strip() or not wanted(line):
                continue
            found = _object(path, number, line, ended)
        except DataError as error:
            yield bad(path, number, error)
            continue
        yield picked(found, source.columns, str(path), number)


def _object(path: Path, number: int, line: str, ended: bool) -> dict[str, Any]:
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
    return found


def parse_parquet(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """Rows of a Parquet file, numbered from 1 as lines are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = paths[0]
    wanted = [str(name) for column in source.columns.values() for name in _listed(column)]
    tops = list(dict.fromkeys(name.split(".")[0] for name in wanted))
    try:
        with pq.ParquetFile(path) as file:
            known = file.schema_arrow.names
            for top in tops:
                if top not in known:
                    raise DataError(
                        f"{path}: the file must have the column {top!r}.{suggest(top, known)} "
                        "Mend the card's `columns:`."
                    )
            number = 1
            for batch in file.iter_batches(batch_size=1000, columns=tops):
                for row in batch.to_pylist():
                    yield picked(row, source.columns, f"{path}, row", number)
                    number += 1
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"A Parquet file must be whole; {path} is not: {error}. Get the file again."
        ) from None


def _listed(column: str | int | tuple[str, ...]) -> tuple[str | int, ...]:
    return column if isinstance(column, tuple) else (column,)
