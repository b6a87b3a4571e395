"""The small files of a store once more, in a few large ones: quick to read, and of no authority.

``compacted/<number>.json`` is the manifest of a generation, written last; the files that it names
lie in ``compacted/<number>/``. What it covers, markers and tables, never changes once written, so
a generation is never wrong; it only lacks what came later, which is read from the small files.
Nothing is lost if all of ``compacted/`` is deleted.
"""

from __future__ import annotations

import hashlib
import itertools
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sweeper.errors import StoreError
from sweeper.store.schema import TABLES

if TYPE_CHECKING:
    from sweeper.store.files import StoreFiles

FOLDER = "compacted"

FORMAT = 2
"""Of a generation. One of another format is not read: the small files say the same."""

INDEX = pa.schema([("table", pa.string()), ("name", pa.string()), ("first", pa.int64()),
                   ("rows", pa.int64())])  # fmt: skip
MARKERS = pa.schema([("name", pa.string()), ("content", pa.string())])
UNITS = pa.schema([("key", pa.uint64()), ("marker", pa.int32())])
"""By `unit_key`, sorted: the row of a marker with such a unit."""

Place: TypeAlias = tuple[int, int]
"""Where the rows of a small file are in the large one: the first, and how many."""


def unit_key(unit: str) -> int:
    """What the index of units is sorted by. Two units with one key are told apart by markers."""
    return int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8], "big")


class Compacted:
    """A generation of compacted files. Of each no more is read than is asked for.

    Args:
        files: The store.
        number: The generation's, six digits.
        manifest: What its manifest says.
    """

    def __init__(self, files: StoreFiles, number: str, manifest: dict[str, Any]) -> None:
        self.files = files
        self.number = number
        self.manifest = manifest
        self._contents: dict[int, list[str]] = {}  # by row group

    @property
    def folder(self) -> str:
        """Where its files lie."""
        return f"{FOLDER}/{self.number}"

    # -- markers -------------------------------------------------------------------------------

    @cached_property
    def markers(self) -> dict[str, int]:
        """Marker -> its row, for `content`."""
        with self._told("markers"):
            names = self._marker_file.read(["name"])["name"].to_pylist()
        return dict(zip(names, itertools.count()))

    def content(self, row: int) -> str:
        """What a marker says."""
        group = bisect_right(self._marker_starts, row) - 1
        if group not in self._contents:
            with self._told("markers"):
                found = self._marker_file.read_row_group(group, columns=["content"])
            self._contents[group] = found["content"].to_pylist()
        return self._contents[group][row - self._marker_starts[group]]

    def having(self, unit: str) -> list[int]:
        """The rows of the markers that may have a unit: others seldom, all that do for sure."""
        keys, rows = self._units
        wanted = np.uint64(unit_key(unit))
        first = int(np.searchsorted(keys, wanted))
        last = first
        while last < len(keys) and keys[last] == wanted:
            last += 1
        return [int(row) for row in rows[first:last]]

    def among(self, units: Sequence[str]) -> list[bool]:
        """Which of many units a marker may have."""
        keys, _ = self._units
        if not len(keys):
            return [False] * len(units)
        wanted = np.array([unit_key(unit) for unit in units], np.uint64)
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found: list[bool] = (keys[places] == wanted).tolist()
        return found

    def contested(self, unit: str) -> bool:
        """Whether several markers may have a unit."""
        return bool(self._contested) and unit_key(unit) in self._contested

    @cached_property
    def _contested(self) -> set[int]:
        keys, _ = self._units
        return set(keys[1:][keys[1:] == keys[:-1]].tolist())

    @cached_property
    def _marker_file(self) -> pq.ParquetFile:
        with self._opened("markers") as file:
            return file

    @cached_property
    def _marker_starts(self) -> list[int]:
        return _starts(self._marker_file)

    @cached_property
    def _units(self) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        with self._told("units.arrow"), self.files.reading(f"{self.folder}/units.arrow") as path:
            # Mapped: a search looks at a few pages of what may be millions of units.
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        key, marker = (table[name].to_numpy() for name in UNITS.names)
        return key, marker

    # -- tables --------------------------------------------------------------------------------

    def places(self, table: str, names: Iterable[str]) -> dict[str, Place]:
        """Those of a table's small files that it has, and where their rows are."""
        wanted = list(names)
        index = self._index(table)
        rows = pc.index_in(pa.array(wanted, pa.string()), value_set=index["name"])
        found = index.take(rows.drop_null())
        there = itertools.compress(wanted, rows.is_valid().to_pylist())
        both = zip(found["first"].to_pylist(), found["rows"].to_pylist(), strict=True)
        return dict(zip(there, both, strict=True))

    def _index(self, table: str) -> pa.Table:
        with self._opened("index") as file:
            group = list(TABLES).index(table)
            return file.read_row_group(group, columns=["name", "first", "rows"])

    def read(self, table: str, places: Iterable[Place], columns: Sequence[str]) -> pa.Table:
        """Rows of a table, in the order of the file; of row groups without any nothing is read."""
        with self._opened(table) as file:
            there = [name for name in columns if name in file.schema_arrow.names]
            parts = list(_cut(file, there, _runs(places)))
        empty = pa.schema([TABLES[table].field(name) for name in there]).empty_table()
        return pa.concat_tables([empty, *parts])

    @contextmanager
    def _opened(self, name: str) -> Iterator[pq.ParquetFile]:
        relative = f"{self.folder}/{name}.parquet"
        with self._told(f"{name}.parquet"), self.files.reading(relative) as path:
            yield pq.ParquetFile(path, memory_map=True)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Say what to do about a file that cannot be read."""
        try:
            yield
        except (FileNotFoundError, pa.ArrowException) as error:
            raise StoreError(
                f"{self.files.where(f'{self.folder}/{name}')} is missing or damaged "
                f"({type(error).__name__}). Delete the folder {FOLDER}: nothing is lost, and "
                "`sweeper store compact` makes it again."
            ) from None


def _starts(file: pq.ParquetFile) -> list[int]:
    """The first row of each row group, and the number of all rows."""
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    return [0, *itertools.accumulate(sizes)]


def _runs(places: Iterable[Place]) -> Iterator[Place]:
    """The same rows in their order, those that follow one another together."""
    first = end = 0
    for start, count in sorted(places):
        if start != end:
            if end > first:
                yield first, end - first
            first = start
        end = start + count
    if end > first:
        yield first, end - first


def _cut(file: pq.ParquetFile, columns: list[str], runs: Iterable[Place]) -> Iterator[pa.Table]:
    """Some rows of a file; each row group is read once and not kept."""
    starts = _starts(file)
    group, rows = -1, pa.table({})
    for first, count in runs:
        while count:
            wanted = bisect_right(starts, first) - 1
            if wanted != group:
                group, rows = wanted, file.read_row_group(wanted, columns=columns)
            inside = first - starts[group]
            taken = min(count, rows.num_rows - inside)
            yield rows.slice(inside, taken)
            first, count = first + taken, count - taken


def newest(files: StoreFiles) -> Compacted | None:
    """The newest generation; None if the store was never compacted, or by an older sweeper."""
    manifests = [name for name in files.names(FOLDER) if name.endswith(".json")]
    if not manifests:
        return None
    manifest = files.read(f"{FOLDER}/{manifests[-1]}")
    if manifest.get("format") != FORMAT:
        return None
    return Compacted(files, manifests[-1].removesuffix(".json"), manifest)


def new_number(files: StoreFiles) -> str:
    """The number of a new generation, into whose folder nobody else writes."""
    taken = [int(name.removesuffix(".json")) for name in files.names(FOLDER)]
    for number in itertools.count(max(taken, default=-1) + 1):
        if files.create(f"{FOLDER}/{number:06d}/began.json", {"by": uuid.uuid4().hex}):
            break
    return f"{number:06d}"
