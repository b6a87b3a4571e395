"""Writing and reading the tables: one small Parquet file per attempt, read with the schema."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles, explained, make_folder, sync_folder
from sweeper.store.schema import TABLES


def write(files: StoreFiles, table: str, name: str, rows: list[dict[str, Any]]) -> str:
    """Write rows as ``tables/<table>/<name>.parquet``, durably; returns that relative name.

    A column that a row lacks is null; a key that is no column raises `StoreError`.
    """
    schema = TABLES[table]
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise StoreError(f"The table {table} has no columns {sorted(unknown)}.")
    relative = f"tables/{table}/{name}.parquet"
    path = files.path(relative)
    with explained(path):
        make_folder(path.parent)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")
        sync_file(path)
        sync_folder(path.parent)
    return relative


def read(files: StoreFiles, table: str, names: Iterable[str]) -> pa.Table:
    """The rows of some of a table's files, with the schema of today; missing columns are null.

    Raises:
        StoreError: a file is missing, truncated or not Parquet.
    """
    schema = TABLES[table]
    mend = f"`sweeper store verify --repair --store {files.root}`"
    parts = [_read_one(files.path(name), schema, mend) for name in names]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _read_one(path: Path, schema: pa.Schema, mend: str) -> pa.Table:
    try:
        return _as(schema, pq.ParquetFile(path).read())
    except FileNotFoundError:
        raise StoreError(
            f"The store's marker names {path}, which is not there. Restore the file, or let the "
            f"next run make it again after {mend}."
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"{path} is damaged ({error}). Restore the file, or let the next run make it again "
            f"after {mend}."
        ) from None


def _as(schema: pa.Schema, found: pa.Table) -> pa.Table:
    columns = [
        found[field.name].cast(field.type)
        if field.name in found.column_names
        else pa.nulls(len(found), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
