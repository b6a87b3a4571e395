"""A store as the first sweeper wrote it answers and goes on; a newer one asks for an upgrade."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged import SCORE, commit_of
from real_work import Run, small

from sweeper import Store
from sweeper.analysis.kept import keep
from sweeper.errors import StoreError
from sweeper.report.checkpoint import export_checkpoint
from sweeper.report.export import export
from sweeper.store.compacting import compact
from sweeper.store.copying import copy
from sweeper.store.files import SCHEMA_VERSION, StoreFiles
from sweeper.store.folder import file_digest
from sweeper.store.markers import withdraw
from sweeper.store.schema import TABLES
from sweeper.store.verify import verify

_TEXT, _REAL, _WHOLE, _TRUTH = pa.string(), pa.float64(), pa.int64(), pa.bool_()

_JOB = {"job": _TEXT, "address": _TEXT, "attempt": _TEXT, "study": _TEXT, "intermediate": _TEXT,
        "target": _TEXT, "seed": _WHOLE}  # fmt: skip

FIRST = {
    "trials": _JOB | {
        "kind": _TEXT, "trial": _WHOLE, "status": _TEXT, "message": _TEXT, "parameters": _TEXT,
        "selections": _TEXT, "curve": _TEXT, "loss": _REAL, "steps": _WHOLE, "examples": _WHOLE,
        "released": _REAL, "started": _REAL, "first_batch": _REAL, "committed": _REAL,
        "seconds_setup": _REAL, "seconds_data": _REAL, "seconds_compute": _REAL,
        "seconds_evaluate": _REAL, "seconds_score": _REAL, "seconds_save": _REAL,
        "peak_memory": _WHOLE, "worker": _TEXT, "device": _TEXT, "parents": _TEXT,
        "versions": _TEXT,
    },
    "scores": _JOB | {
        "unit": _TEXT, "split": _TEXT, "language": _TEXT, "metric": _TEXT, "value": _REAL,
        "n": _WHOLE, "main": _TRUTH, "zero_shot": _TRUTH, "overlap": _TEXT, "checkpoint": _TEXT,
        "representation": _TEXT,
    },
    "examples": _JOB | {
        "unit": _TEXT, "split": _TEXT, "language": _TEXT, "id": _TEXT, "gold": _TEXT,
        "predicted": _TEXT, "correct": _TRUTH, "score": _REAL,
    },
}  # fmt: skip
"""The tables' columns as the first schema had them. This never changes."""

LATER = {
    "trials": ["micro_batch", "made_from", "kept"],
    "scores": ["parameters", "weights"],
    "examples": ["ranking"],
}
"""What came since, for comparison. Whoever adds a column adds it here."""

_SAID = ["intermediate", "language", "metric", "value", "n"]

OUTCOME = {"status", "message", "selections"}
"""What a marker said of an outcome at first."""


@pytest.fixture
def old(store: Path) -> Path:
    """The finished store as the first sweeper would have left it."""
    for marker in (store / "commits").iterdir():
        said = json.loads(marker.read_text())
        for name in said["files"]:
            if name.startswith("tables/"):
                said["files"][name] = _as_at_first(store / name)
        said["outcome"] = {key: said["outcome"][key] for key in OUTCOME}
        marker.write_text(json.dumps(said))
    return store


def _as_at_first(path: Path) -> dict[str, object]:
    columns = FIRST[path.parent.name]
    table = pq.read_table(path).select(list(columns)).cast(pa.schema(list(columns.items())))
    pq.write_table(table, path)
    return {"size": path.stat().st_size, "sha256": file_digest(path)}


def test_what_came_later_is_listed_here() -> None:
    for table, schema in TABLES.items():
        assert {*FIRST[table], *LATER[table]} == set(schema.names)
        assert all(schema.field(name).type == kind for name, kind in FIRST[table].items())


def test_every_query_answers_as_it_does_today(finished: Path, old: Path) -> None:
    now, then = Store(finished), Store(old)
    for table in ("scores", "examples", "trials"):
        ours, theirs = getattr(now, table)(), getattr(then, table)()
        # Which weights were scored is told by the plan: of an old store those of the matrix.
        assert table == "trials" or set(theirs["weights"]) == {"selected"}
        later = [name for name in LATER[table] if name != "weights"]
        assert theirs[later].isna().all(axis=None)
        pd.testing.assert_frame_equal(ours.drop(columns=later), theirs.drop(columns=later))
    for value in ("score", "gain"):
        ours, theirs = (one.transfer(value) for one in (now, then))
        assert export(ours, "csv") == export(theirs, "csv")
    assert now.best("topic").why == then.best("topic").why
    query = "select intermediate, language, avg(value) as v from scores group by all order by all"
    assert now.sql(query).equals(then.sql(query)) and len(now.sql(query))
    assert then.sql("select count(ranking) as n from examples")["n"].tolist() == [0]
    assert then.sql("select * from best, gain, languages, trials limit 1").shape[0] == 1


def test_it_is_whole_exported_compacted_copied_and_goes_on(old: Path, tmp_path: Path) -> None:
    assert verify(StoreFiles(old)).faults == []
    then = Store(old)
    for found in (then.scores(), then.examples(), then.trials(), then.transfer()):
        for form in ("csv", "parquet", "json", "markdown", "latex", "xlsx"):
            assert export(found, form)
    export_checkpoint(then.view(), "topic", tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint/config.json").is_file()
    before = then.scores(metric="all")
    compact(StoreFiles(old))
    keep(StoreFiles(old))
    pd.testing.assert_frame_equal(Store(old).scores(metric="all"), before)
    copy(StoreFiles(old), tmp_path / "c")
    pd.testing.assert_frame_equal(Store(tmp_path / "c").scores(metric="all"), before)
    # Old and new rows stand side by side.
    withdraw(StoreFiles(old), commit_of(old, SCORE).name, "for this test")
    assert Run(small(), old).go().ran == [SCORE]
    found = Store(old).scores(metric="all")
    pd.testing.assert_frame_equal(found[_SAID], before[_SAID])
    assert set(found[found["parameters"].notna()]["job"]) == {SCORE}
    assert verify(StoreFiles(old)).faults == []


def test_a_newer_store_says_to_upgrade(old: Path, tmp_path: Path) -> None:
    said = json.loads((old / "store.json").read_text())
    (old / "store.json").write_text(json.dumps({**said, "sweeper_store": SCHEMA_VERSION + 1}))
    with pytest.raises(StoreError, match=r"made by a newer sweeper.*Upgrade sweeper"):
        Store(old)
    with pytest.raises(StoreError, match=r"made by a newer sweeper.*Upgrade sweeper"):
        copy(StoreFiles(tmp_path / "mine", create=True), old)
