"""Parquet files of the tables: schema, nulls, older and newer files, damage."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import put

from sweeper.errors import StoreError
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.store.schema import SCORES, TABLES

ROW = {"job": "j", "language": "de", "value": 61.5, "n": 300, "main": True}


def test_rows_come_back_with_the_schema(files: StoreFiles) -> None:
    made = tables.write(files, "scores", "a-1", [ROW, {**ROW, "language": "fr"}])
    assert made.name == "tables/scores/a-1.parquet"
    assert made.sha256 == sha256(files.content(made.name) or b"").hexdigest()
    found = tables.read(files, "scores", [made.name])
    assert found.schema == SCORES
    assert found["language"].to_pylist() == ["de", "fr"]
    assert found["seed"].to_pylist() == [None, None]


@pytest.mark.parametrize("table", TABLES)
def test_no_files_are_an_empty_table(on_disk: StoreFiles, table: str) -> None:
    found = tables.read(on_disk, table, [])
    assert (len(found), found.schema) == (0, TABLES[table])


def test_files_are_read_in_the_order_given(files: StoreFiles) -> None:
    names = [tables.write(files, "scores", str(n), [{**ROW, "n": n}]).name for n in range(20)]
    assert tables.read(files, "scores", reversed(names))["n"].to_pylist() == [*range(19, -1, -1)]


def test_an_unknown_column_is_refused(on_disk: StoreFiles) -> None:
    with pytest.raises(StoreError, match=r"scores has no columns \['valeu'\]"):
        tables.write(on_disk, "scores", "a", [ROW, {"valeu": 1.0}])
    assert on_disk.names("tables/scores") == []


def _write_raw(files: StoreFiles, columns: dict[str, pa.Array]) -> str:
    with files.writing("tables/scores/raw.parquet") as draft:
        pq.write_table(pa.table(columns), draft.path)
    return draft.stored.name


def test_columns_that_an_older_sweeper_did_not_know_are_null(on_disk: StoreFiles) -> None:
    name = _write_raw(on_disk, {"job": pa.array(["old"]), "value": pa.array([1.0])})
    new = tables.write(on_disk, "scores", "new", [ROW]).name
    found = tables.read(on_disk, "scores", [name, new])
    assert found.schema == SCORES
    assert found["language"].to_pylist() == [None, "de"]
    assert found["value"].to_pylist() == [1.0, 61.5]


def test_rankings_are_lists_and_null_in_older_files(on_disk: StoreFiles) -> None:
    with on_disk.writing("tables/examples/old.parquet") as draft:
        pq.write_table(pa.table({"id": ["q0"], "predicted": ["c3"]}), draft.path)
    rows = [{"id": "q1", "ranking": ["c2", "c1"]}, {"id": "q2", "ranking": None}]
    new = tables.write(on_disk, "examples", "new", rows).name
    found = tables.read(on_disk, "examples", ["tables/examples/old.parquet", new])
    assert found["ranking"].to_pylist() == [None, ["c2", "c1"], None]


def test_columns_that_only_a_newer_sweeper_knows_are_left_out(on_disk: StoreFiles) -> None:
    name = _write_raw(on_disk, {"job": pa.array(["new"]), "mood": pa.array(["good"])})
    assert tables.read(on_disk, "scores", [name]).schema == SCORES


def test_a_column_of_another_type_is_said(on_disk: StoreFiles) -> None:
    name = _write_raw(on_disk, {"value": pa.array(["sixty"])})
    with pytest.raises(StoreError, match=r"raw\.parquet is damaged"):
        tables.read(on_disk, "scores", [name])


@pytest.mark.parametrize("cut", [0, 10, 0.5, -1])
def test_a_truncated_file_is_named(files: StoreFiles, cut: float) -> None:
    good = tables.write(files, "scores", "good", [ROW]).name
    name = tables.write(files, "scores", "bad", [ROW] * 50).name
    whole = files.content(name) or b""
    end = int(cut * len(whole)) if isinstance(cut, float) else cut
    put(files, name, whole[:end])
    with pytest.raises(
        StoreError, match=r"bad\.parquet is damaged.*sweeper store verify --repair"
    ):
        tables.read(files, "scores", [good, name])


def test_a_file_that_is_gone_is_named(files: StoreFiles) -> None:
    with pytest.raises(StoreError, match=r"gone\.parquet, which is not there"):
        tables.read(files, "scores", ["tables/scores/gone.parquet"])


def test_a_full_disk_while_writing(small_disk: Path) -> None:
    files = StoreFiles(small_disk / "s", create=True)
    rows = [{"job": f"{n * 7919 % 100_003}-{n}", "predicted": f"{n**3}"} for n in range(60_000)]
    with pytest.raises(StoreError, match="disk of the store is full"):
        tables.write(files, "examples", "a", rows)
