"""How long answers take, from stores of the sizes that they are to be quick for.

    python -m benchmarks.answers --folder /tmp/answers [--scale 0.01]

Makes four things in the folder, if they are not there: a store of 6,000 commits of small files
(the study of `benchmarks.world`); the same store compacted, among 10 million score rows and 100
million example rows of other studies' commits; that one after 300 more commits, of which some 50
are the study's own; and score rows as plain JSON files, one per commit. ``--scale`` makes
everything but the study smaller. Measured: the matrix, the gains with their intervals, and the
best checkpoint, each as a whole process: from small files, from kept answers, after later commits,
and without kept answers; the paired bootstrap of one column of 15 languages, 5,010 examples, 11
rows and 3 seeds; and the same mean scores by pandas from JSON.

Wanted: matrix and best below 1 s with less than 2 GB, the bootstrap of 10,000 draws below 5 s; the
matrix of 6,000 uncompacted commits below 2 s.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import restart, world
from benchmarks.virtual import Cluster, Faults
from sweeper.analysis.kept import keep
from sweeper.analysis.resampling import bootstrap
from sweeper.store import compacting, tables
from sweeper.store.files import StoreFiles, digest
from sweeper.store.schema import TABLES

SEEDS = 23
"""Of the study: about 6,000 jobs."""

METRICS, LANGUAGES, COUNT = 4, 40, 40
"""Of a made-up score commit: 160 score rows, 1,600 example rows."""

COMMITS = 62_500
"""Of the others, at scale 1."""

LATER = 300
"""Commits after the store was compacted."""


def make_small(folder: Path) -> None:
    """The study's store, of small files only."""
    folder.mkdir(parents=True)
    with mock.patch("os.fsync"):  # nobody pulls the plug of a benchmark
        restart.make(folder, SEEDS)


def make_large(small: Path, folder: Path, commits: int) -> None:
    """The same store among others' commits, compacted."""
    shutil.copytree(small, folder)
    files = StoreFiles(folder / "store")
    for number in range(commits):
        _commit_of_another(folder, number)
    with mock.patch.object(tables, "each", _with_others(commits)):
        compacting.compact(files)
    keep(StoreFiles(folder / "store"))


def _commit_of_another(folder: Path, number: int) -> None:
    address = digest(["other", number])
    marker = {
        "address": address, "generation": 0, "attempt": "0", "job": f"score/r>t/seed={number}",
        "kind": "score", "units": dict(zip(_places(), _units(number), strict=True)),
        "files": {f"tables/{t}/{address}-0.parquet": {"size": 1, "sha256": "0" * 64}
                  for t in ("scores", "examples", "trials")},
        "outcome": {"status": "done", "message": "", "selections": {}}, "committed": 0.0,
    }  # fmt: skip
    (folder / f"store/commits/{address}.0").write_text(json.dumps(marker))


def make_later(large: Path, folder: Path, commits: int) -> None:
    """The compacted store after more commits: the study's last, and others' up to 300."""
    shutil.copytree(large, folder, copy_function=os.link)
    before = len(list((folder / "store/commits").iterdir()))
    shutil.rmtree(folder / "store/leases")  # of the driver that made the store
    with mock.patch("os.fsync"):
        progress, driver = world.started(world.large_study(SEEDS), StoreFiles(folder / "store"))
        Cluster(progress, driver, 64, seed=0, faults=Faults(), rows=True).run()
    own = len(list((folder / "store/commits").iterdir())) - before
    for number in range(LATER - own):
        _commit_of_another(folder, commits + number)


def _places() -> list[str]:
    return [f"test/l{n:02d}" for n in range(LANGUAGES)]


def _units(number: int) -> list[str]:
    return [f"{number:08x}{place:024x}" for place in range(LANGUAGES)]


def _with_others(commits: int) -> Any:
    """What `compacting` reads: the rows of small files, and made-up ones for the others."""
    plain = tables.each

    def parts(files: StoreFiles, table: str, names: list[str]) -> Iterator[tuple[str, pa.Table]]:
        others = {f"tables/{table}/{digest(['other', n])}-0.parquet": n for n in range(commits)}
        yield from plain(files, table, [name for name in names if name not in others])
        for name, number in others.items():
            yield name, _rows(table, number)

    return parts


def _rows(table: str, number: int) -> pa.Table:
    """The rows of one commit: a drawn one's, under its own names."""
    rows = _drawn(table, number % _DRAWN)
    count = rows.num_rows
    own = {
        "job": pa.repeat(f"score/r>t/seed={number}", count),
        "address": pa.repeat(digest(["other", number]), count),
        "seed": pa.repeat(pa.scalar(number, pa.int64()), count),
    }
    if table != "trials":
        own["unit"] = pa.array(_units(number)).take(_of_language(count))
    for name, column in own.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows


_DRAWN = 64
"""Commits whose rows are drawn; the others repeat them."""


@functools.cache
def _of_language(count: int) -> pa.Array:
    """The number of the language of each row."""
    return pa.array(np.repeat(np.arange(LANGUAGES), count // LANGUAGES))


@functools.cache
def _drawn(table: str, number: int) -> pa.Table:
    count = {"trials": 1, "scores": LANGUAGES * METRICS, "examples": LANGUAGES * COUNT}[table]
    each = count // LANGUAGES or 1
    chance = np.random.default_rng(number)
    right = chance.random(count) < 0.7
    made = {
        "attempt": ["0"] * count, "study": ["other"] * count, "intermediate": ["r"] * count,
        "target": ["t"] * count,
        "language": np.repeat([f"l{n:02d}" for n in range(LANGUAGES)], each)[:count],
        "split": ["test"] * count, "id": np.tile(np.arange(each).astype(str), LANGUAGES)[:count],
        "metric": np.tile(["accuracy", "f1", "precision", "recall"], LANGUAGES)[:count],
        "value": chance.random(count) * 100, "n": [COUNT] * count,
        "main": np.arange(count) % METRICS == 0,
        "gold": ["a"] * count, "predicted": np.where(right, "a", "b"), "correct": right,
        "kind": ["score"] * count, "status": ["done"] * count,
    }  # fmt: skip
    schema = TABLES[table]
    columns = [
        pa.array(made[field.name], field.type)
        if field.name in made and len(made[field.name]) == count
        else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def make_json(store: Path, folder: Path, most: int) -> int:
    """The score rows of a compacted store as JSON files, a file per commit; returns the rows."""
    folder.mkdir()
    rows = 0
    file = pq.ParquetFile(next(store.glob("compacted/*/scores.parquet")))
    columns = ["address", "intermediate", "target", "seed", "language", "metric", "value", "main"]
    for batch in file.iter_batches(columns=columns):
        for address, own in batch.to_pandas().groupby("address", sort=False):
            own.to_json(folder / f"{address}.json", orient="records")
            rows += len(own)
            if rows >= most:
                return rows
    return rows


def command(*words: str) -> tuple[float, float, float]:
    """Seconds that a command takes as a whole process, its CPU seconds, and its memory in GB."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, after.ru_maxrss / 1e6


def measured_bootstrap() -> float:
    """Seconds of 10,000 draws of one column: every language has examples of its own."""
    rng = np.random.default_rng(0)
    hardness, noise = rng.random((15, 1, 1, 5010)), rng.normal(0, 0.15, (15, 11, 3, 5010))
    right = (hardness + noise > 0.3) * 100.0 / 15
    gains = right[:, 1:] - right[:, :1]
    began = time.perf_counter()
    bootstrap(list(gains), 10_000)
    return time.perf_counter() - began


def pandas_from_json(folder: Path) -> float:
    """Seconds that the mean scores of every row and target take pandas."""
    began = time.perf_counter()
    rows = pd.concat([pd.read_json(path) for path in sorted(folder.glob("*.json"))])
    rows[rows["main"]].groupby(["intermediate", "target", "seed"])["value"].mean()
    return time.perf_counter() - began


def _queries(store: Path) -> None:
    for words in (["matrix"], ["matrix", "--value", "gain"], ["best", "--target", "xnli"]):
        seconds, cpu, memory = command("-m", "sweeper", *words, "--store", str(store))
        told = f"{seconds:7.2f} s ({cpu:.2f} s of CPU), the largest so far {memory:.2f} GB"
        print(f"  sweeper {' '.join(words):<24} {told}", flush=True)


_FOLDERS = ("small", "large", "later", "json")


def make(folder: Path, scale: float) -> None:
    """Make what is not there."""
    small, large, later, plain = (folder / name for name in _FOLDERS)
    if not small.is_dir():
        make_small(small)
    if not large.is_dir():
        make_large(small, large, round(COMMITS * scale))
    if not later.is_dir():
        make_later(large, later, round(COMMITS * scale))
    if not plain.is_dir():
        make_json(large / "store", plain, 100_000)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--make", action="store_true", help="make the stores, and measure nothing")
    given = parser.parse_args()
    if given.make:
        make(given.folder, given.scale)
        return
    # In a process of its own: what this one used would count as its children's.
    command("-m", "benchmarks.answers", "--make", "--folder", str(given.folder),
            "--scale", str(given.scale))  # fmt: skip
    measure(*(given.folder / name for name in _FOLDERS))


def measure(small: Path, large: Path, later: Path, plain: Path) -> None:
    """Print all figures."""
    print(f"{len(list((small / 'store/commits').iterdir())):,} commits, not compacted")
    _queries(small / "store")
    compacted = StoreFiles(large / "store").compacted
    assert compacted is not None
    total = compacted.manifest["rows"]
    counts = ", ".join(f"{count:,} rows of {table}" for table, count in total.items())
    print(f"compacted: {compacted.manifest['markers']:,} markers, {counts}")
    _queries(large / "store")
    print(f"after {LATER} more commits")
    _queries(later / "store")
    kept = next((large / "store/compacted").glob("*/answers/*.json"))
    kept.rename(kept.with_suffix(".away"))
    print("the same, the answers not kept")
    _queries(large / "store")
    kept.with_suffix(".away").rename(kept)
    print(f"bootstrap of a column, 10,000 draws {measured_bootstrap():7.2f} s")
    rows = min(100_000, total["scores"])
    seconds = pandas_from_json(plain)
    whole = seconds * total["scores"] / rows
    print(f"pandas over JSON: {seconds:.1f} s for {rows:,} score rows, so {whole:.0f} s for all")
    print(f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()
