"""Writing and reading the tables: one small Parquet file per attempt, read with the schema."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles
from sweeper.store.folder import Stored
from sweeper.store.grouping import in_groups
from sweeper.store.schema import TABLES

_LARGE = 1 << 20
"""Bytes of a file from which on several threads read it."""
_MANY = 1000
"""Rows from which on a file is pressed harder."""
_AT_ONCE = 1 << 17
"""Rows that `each` reads at once: of compacted files about a row group."""
_SMALL_FILE = 1 << 11
"""Rows that a small file counts as there; how many it has is not known before it is read."""


def write(files: StoreFiles, table: str, name: str, rows: list[dict[str, Any]]) -> Stored:
    """Write rows as ``tables/<table>/<name>.parquet``, durably.

    A column that a row lacks is null; a key that is no column raises `StoreError`.
    """
    schema = TABLES[table]
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise StoreError(f"The table {table} has no columns {sorted(unknown)}.")
    # A few rows are no smaller by zstd, and take twice as long to read: its set-up, per column.
    codec = "zstd" if len(rows) > _MANY else "snappy"
    with files.writing(f"tables/{table}/{name}.parquet") as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), draft.path, compression=codec)
    return draft.stored


def read(
    files: StoreFiles, table: str, names: Iterable[str], columns: Sequence[str] | None = None
) -> pa.Table:
    """The rows of some of a table's files, with the schema of today; missing columns are null.

    ``columns`` are those that are wanted; default: all. Rows of one file stay together; those of
    files that were compacted come last.

    Raises:
        StoreError: a file is missing, truncated or not Parquet.
    """
    schema = TABLES[table]
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    wanted = list(names)
    large = files.compacted.places(table, wanted) if files.compacted and wanted else {}
    parts = list(_small(files, [name for name in wanted if name not in large], schema))
    if large:
        parts.append(_large(files, table, large.values(), schema))
    return pa.concat_tables(parts) if parts else schema.empty_table()


def read_one(files: StoreFiles, table: str, name: str) -> pa.Table:
    """The rows of one of a table's files as that very file has them, compacted or not.

    Raises:
        StoreError: it is missing, truncated or not Parquet.
    """
    return next(_small(files, [name], TABLES[table]))


def each(files: StoreFiles, table: str, names: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each of a table's files, as `read` has them, in the order of the names.

    Many are read at once: a compacted file is read by whole row groups, so that reading its parts
    one by one would keep a row group in memory for each of them.
    """
    places = files.compacted.places(table, names) if files.compacted else {}

    def rows_of(name: str) -> int:
        return places[name][1] if name in places else _SMALL_FILE

    for together in in_groups(names, _AT_ONCE, rows_of):
        small = [name for name in together if name not in places]
        rows = dict(zip(small, _small(files, small, TABLES[table]), strict=True))
        large = sorted((places[name], name) for name in together if name in places)
        if large:
            found = _large(files, table, [place for place, _ in large], TABLES[table])
            starts = itertools.accumulate((count for (_, count), _ in large), initial=0)
            for start, ((_, count), name) in zip(starts, large, strict=False):
                rows[name] = found.slice(start, count)
        yield from ((name, rows[name]) for name in together)


def _small(files: StoreFiles, names: list[str], schema: pa.Schema) -> Iterator[pa.Table]:
    mend = f"`sweeper store verify --repair --store {files.address}`"
    for name, content in zip(names, files.contents(names), strict=True):
        yield _parsed(files.where(name), content, schema, mend)


def _large(
    files: StoreFiles, table: str, places: Iterable[tuple[int, int]], schema: pa.Schema
) -> pa.Table:
    assert files.compacted is not None
    return _as(schema, files.compacted.read(table, places, schema.names))


def _parsed(where: str, content: bytes | None, schema: pa.Schema, mend: str) -> pa.Table:
    if content is None:
        raise StoreError(
            f"The store's marker names {where}, which is not there. Restore the file, or let the "
            f"next run make it again after {mend}."
        )
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        there = set(file.schema_arrow.names)
        wanted = [name for name in schema.names if name in there]
        # Of a small file the hand-over to other threads takes as long as the reading.
        return _as(schema, file.read(wanted, use_threads=len(content) > _LARGE))
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"{where} is damaged ({error}). Restore the file, or let the next run make it "
            f"again after {mend}."
        ) from None


def _as(schema: pa.Schema, found: pa.Table) -> pa.Table:
    columns = [
        _cast(found[field.name], field.type)
        if field.name in found.column_names
        else pa.nulls(len(found), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == wanted else column.cast(wanted)
