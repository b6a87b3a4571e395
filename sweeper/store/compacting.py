"""Writing a generation of compacted files; see `sweeper.store.compacted`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.store import tables
from sweeper.store.commits import Commits
from sweeper.store.compacted import (
    FOLDER,
    FORMAT,
    INDEX,
    MARKERS,
    UNITS,
    new_number,
    unit_key,
)  # fmt: skip
from sweeper.store.files import StoreFiles
from sweeper.store.folder import Stored
from sweeper.store.grouping import in_groups
from sweeper.store.markers import Commit
from sweeper.store.schema import TABLES

_MARKERS = 1 << 11
"""Markers that are read at once."""

_GROUP = 1 << 17
"""Rows of a row group at least: what is read at once."""


def compact(files: StoreFiles) -> dict[str, Any]:
    """Write all markers and rows that count now as a new generation; returns its manifest.

    A sweep may run meanwhile: what it commits is not in this generation. Nothing is deleted.

    Raises:
        StoreError: a small file is missing or damaged, or the store cannot be written.
    """
    commits = Commits(files)
    number = new_number(files)
    folder = f"{FOLDER}/{number}"
    counting = sorted(commits.by_address.values(), key=lambda one: (_place(one), one.job))
    made = [*_markers(files, folder, commits)]
    places: list[dict[str, Any]] = []
    for table in TABLES:
        small = [name for one in counting if (name := one.table(table))]
        made.append(_table(files, folder, table, small, places))
    made.append(_index(files, folder, places))
    manifest = {
        "format": FORMAT,
        "files": {one.name: {"size": one.size, "sha256": one.sha256} for one in made},
        "markers": len(commits.all),
        "rows": {name: sum(p["rows"] for p in places if p["table"] == name) for name in TABLES},
        "compacted": time.time(),
    }
    files.create(f"{FOLDER}/{number}.json", manifest)
    return manifest


def _place(commit: Commit) -> str:
    """Jobs of one target lie together: that is how they are asked for."""
    kind, _, rest = commit.job.partition("/")
    return f"{kind}/{rest.rpartition('>')[2]}"


def _markers(files: StoreFiles, folder: str, commits: Commits) -> Iterator[Stored]:
    """Every marker that could be read, those of one target together, and where each unit is."""
    ones = sorted(commits.all, key=lambda one: (_place(one), one.job, one.name))
    # Not read from the small files again: what is written here is not checked any more.
    texts = [one.content.decode() for one in ones]
    table = pa.table([pa.array([one.name for one in ones]), pa.array(texts)], schema=MARKERS)
    with files.writing(f"{folder}/markers.parquet") as draft:
        pq.write_table(table, draft.path, compression="zstd", row_group_size=_MARKERS)
    yield draft.stored
    pairs = [(unit_key(u), n) for n, one in enumerate(ones) for u in set(one.units.values())]
    both = zip(*sorted(pairs), strict=True) if pairs else ((), ())
    units = pa.table([pa.array(x, f.type) for x, f in zip(both, UNITS, strict=True)], schema=UNITS)
    with (
        files.writing(f"{folder}/units.arrow") as draft,
        pa.ipc.new_file(draft.path, UNITS) as writer,
    ):
        writer.write_table(units)
    yield draft.stored


def _index(files: StoreFiles, folder: str, places: list[dict[str, Any]]) -> Stored:
    """Where the rows of each small file are; a row group per table, in the order of `TABLES`."""
    with (
        files.writing(f"{folder}/index.parquet") as draft,
        pq.ParquetWriter(draft.path, INDEX, compression="zstd") as writer,
    ):
        for table in TABLES:
            own = [place for place in places if place["table"] == table]
            writer.write_table(pa.Table.from_pylist(own, schema=INDEX), max(1, len(own)))
    return draft.stored


def _table(
    files: StoreFiles, folder: str, table: str, names: list[str], places: list[dict[str, Any]]
) -> Stored:
    """All rows of a table in one file, and in ``places`` where those of each small file are."""
    first = 0
    with (
        files.writing(f"{folder}/{table}.parquet") as draft,
        pq.ParquetWriter(draft.path, TABLES[table], compression="zstd") as writer,
    ):
        for group in in_groups(
            tables.each(files, table, names), _GROUP, lambda one: one[1].num_rows
        ):
            for name, rows in group:
                count = rows.num_rows
                places.append({"table": table, "name": name, "first": first, "rows": count})
                first += count
            writer.write_table(pa.concat_tables(rows for _, rows in group))
    return draft.stored
