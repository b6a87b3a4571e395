"""Read and tokenise every row of every card whose files are there, twice.

    python -m benchmarks.preparing --data ../shared/data --tokenizer ../shared/models/small-xlm-r

Every split and language with local files, at ``--length`` subwords, on ``--processes`` cores.
Prints rows and features per task and split, wall time and peak memory (of all processes
together); then the time of a second pass, which finds everything prepared: files unchanged,
addresses known, tables mapped. The targets: 300 s, 2 GB, 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from sweeper.errors import DataError
from sweeper.store.files import digest
from sweeper.tasks import encoding, readers, sources, tokenizers
from sweeper.tasks.card import shipped_cards
from sweeper.tasks.presence import has_files


class Unit(NamedTuple):
    """One language of a split of a task."""

    task: str
    split: str
    language: str


class Prepared(NamedTuple):
    """What a unit has; ``problem`` says why it has nothing."""

    unit: Unit
    rows: int
    features: int
    peak: int  # bytes, of the process that made it, so far
    process: int
    problem: str = ""


def units_in(root: Path) -> Iterator[Unit]:
    """Every unit of the shipped cards that has its files below ``root``."""
    for name, card in sorted(shipped_cards().items()):
        for split, one in card.splits.items():
            for code in one.languages:
                if has_files(card, split, code, root):
                    yield Unit(name, split, code)


@cache
def _tokenizer(folder: Path) -> Any:
    """One per process, and only if there is something to encode: it brings transformers along."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    return tokenizers.load(folder)


def prepare(unit: Unit, root: Path, folder: Path, length: int, store: Path) -> Prepared:
    """Resolve, read, encode and write a unit, unless it lies in ``store`` under its address.

    ``root`` is the data's folder, ``folder`` the tokenizer's.
    """
    card = shipped_cards()[unit.task]
    known = store / "resolved" / f"{'-'.join(unit)}.json"
    found = json.loads(known.read_text()) if known.is_file() else None
    rows = features = 0
    problem = ""
    try:
        if found is None or not sources.fresh(found, root):
            found = sources.resolve(card, unit.split, [unit.language], source="local", root=root)[
                unit.language
            ]
            known.write_text(json.dumps(found))
        said = [*unit, sources.identity(found), length, encoding.ENCODING_VERSION]
        target = store / "data" / digest(said)
        if target.is_dir():
            made = encoding.open_unit(target)
        else:
            read = readers.read(card, unit.split, unit.language, found, root)
            tokenizer = _tokenizer(folder)
            made = encoding.prepare_unit(card, *unit[1:], read, tokenizer, length, target)
        rows, features = made.examples.num_rows, made.features.num_rows
    except DataError as error:
        problem = str(error)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Prepared(unit, rows, features, peak, os.getpid(), problem)


def run(units: list[Unit], given: argparse.Namespace, store: Path) -> tuple[list[Prepared], float]:
    """Prepare all units; returns what they have, and the wall time in seconds."""
    began = time.monotonic()
    place = (given.data, given.tokenizer, given.length, store)
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        calls = [pool.submit(prepare, unit, *place) for unit in units]
        done = [call.result() for call in calls]
    return done, time.monotonic() - began


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SWEEPER_DATA"))
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    if given.data is None:
        parser.error("give --data, or set SWEEPER_DATA")
    units = list(units_in(given.data))
    with tempfile.TemporaryDirectory(prefix="sweeper-") as folder:
        store = Path(folder)
        (store / "resolved").mkdir()
        done, seconds = run(units, given, store)
        again, second = run(units, given, store)
        size = sum(path.stat().st_size for path in store.rglob("*.arrow"))
    assert [p[:3] for p in done] == [p[:3] for p in again], "the second pass has other data"

    print(f"{'task/split':28} {'languages':>9} {'examples':>9} {'features':>9}")
    for name in dict.fromkeys(f"{one.unit.task}/{one.unit.split}" for one in done):
        mine = [one for one in done if f"{one.unit.task}/{one.unit.split}" == name]
        rows, features = (sum(getattr(one, what) for one in mine) for what in ("rows", "features"))
        print(f"{name:28} {len(mine):9} {rows:9,} {features:9,}")
    for one in done:
        if one.problem:
            print(f"not prepared: {'/'.join(one.unit)}: {one.problem}")
    memory = sum({one.process: one.peak for one in done}.values())
    print(
        f"{len(units)} units, {sum(one.rows for one in done):,} examples, {size / 1e6:.0f} MB\n"
        f"first time {seconds:.1f} s, peak memory {memory / 1e9:.2f} GB in {given.processes} "
        f"processes; second time {second:.1f} s"
    )


if __name__ == "__main__":
    main()
