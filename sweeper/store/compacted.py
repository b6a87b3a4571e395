"""The small files of a store once more, in a few large ones: quick to read, and of no authority.

``compacted/<number>.json`` is the manifest of a generation, written last; the files that it names
lie in ``compacted/<number>/``. What it covers, markers and tables, never changes once written, so
a generation is never wrong; it only lacks what came later, which is read from the small files.
Nothing is lost if all of ``compacted/`` is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.errors import StoreError
from sweeper.store.schema import TABLES

if TYPE_CHECKING:
    from sweeper.store.files import StoreFiles

FOLDER = "compacted"

INDEX = pa.schema([("table", pa.string()), ("name", pa.string()), ("first", pa.int64()),
                   ("rows", pa.int64())])  # fmt: skip
MARKERS = pa.schema([("name", pa.string()), ("content", pa.string())])


class Compacted:
    """A generation of compacted files.

    Args:
        files: The store.
        number: The generation's, six digits.
        manifest: What its manifest says.
    """

    def __init__(self, files: StoreFiles, number: str, manifest: dict[str, Any]) -> None:
        self.files = files
        self.number = number
        self.manifest = manifest

    @property
    def folder(self) -> str:
        """Where its files lie."""
        return f"{FOLDER}/{self.number}"

    @cached_property
    def markers(self) -> dict[str, bytes]:
        """Marker -> its content."""
        with self._opened("markers") as file:
            table = file.read()
        names, contents = (table[name].to_pylist() for name in MARKERS.names)
        return {name: text.encode() for name, text in zip(names, contents, strict=True)}

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """A table's small file -> its first row, and how many it has, in the large one."""
        with self._opened("index") as file:
            index = file.read()
        name, first, rows = (index[column].to_pylist() for column in INDEX.names[1:])
        return {n: (f, r) for n, f, r in zip(name, first, rows, strict=True)}

    def read(self, table: str, names: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """The rows of some of a table's small files, which `places` has, in the order given."""
        with self._opened(table) as file:
            there = [name for name in columns if name in file.schema_arrow.names]
            rows = _Rows(file, there)
            # By place: in any other order a row group would be read once per small file.
            found = {
                n: rows.of(*self.places[n]) for n in sorted(names, key=self.places.__getitem__)
            }
        parts = [found[name] for name in names]
        if not parts:
            return pa.schema([TABLES[table].field(name) for name in there]).empty_table()
        return pa.concat_tables(parts)

    @contextmanager
    def _opened(self, name: str) -> Iterator[pq.ParquetFile]:
        relative = f"{self.folder}/{name}.parquet"
        try:
            with self.files.reading(relative) as path:
                yield pq.ParquetFile(path, memory_map=True)
        except (FileNotFoundError, pa.ArrowException) as error:
            raise StoreError(
                f"{self.files.where(relative)} is missing or damaged ({type(error).__name__}). "
                f"Delete the folder {FOLDER}: nothing is lost, and `sweeper store compact` makes "
                "it again."
            ) from None


class _Rows:
    """Cuts rows out of a file, of which each row group is read once and not kept for long."""

    def __init__(self, file: pq.ParquetFile, columns: Sequence[str]) -> None:
        self.file = file
        self.columns = list(columns)
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        self.starts = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
        self._group = -1
        self._table = pa.table({})

    def of(self, first: int, count: int) -> pa.Table:
        """Some rows, which may lie in several row groups."""
        from bisect import bisect_right

        parts: list[pa.Table] = []
        group = max(0, bisect_right(self.starts, first) - 1)
        while count or not parts:
            rows = self._of_group(group)
            inside = first - self.starts[group]
            taken = min(count, rows.num_rows - inside)
            parts.append(rows.slice(inside, taken))
            first, count, group = first + taken, count - taken, group + 1
        return pa.concat_tables(parts)

    def _of_group(self, group: int) -> pa.Table:
        if group != self._group:
            self._table = self.file.read_row_group(group, columns=self.columns)
            self._group = group
        return self._table


def newest(files: StoreFiles) -> Compacted | None:
    """The newest generation; None if the store was never compacted."""
    manifests = [name for name in files.names(FOLDER) if name.endswith(".json")]
    if not manifests:
        return None
    manifest = files.read(f"{FOLDER}/{manifests[-1]}")
    return Compacted(files, manifests[-1].removesuffix(".json"), manifest)


def next_number(files: StoreFiles) -> str:
    """The number that the next generation bears."""
    taken = [int(name.removesuffix(".json")) for name in files.names(FOLDER)]
    return f"{max(taken, default=-1) + 1:06d}"


def covered(files: StoreFiles, names: Iterable[str]) -> set[str]:
    """Those of some small files of tables that the newest generation has."""
    found = files.compacted
    return set(names) & found.places.keys() if found else set()
