"""64 processes that commit at once, on disk and on S3: one marker per address, every row there.

    python -m benchmarks.committing --processes 64

Each process makes attempts at addresses that all of them want, and at addresses of its own: a
file, a row of a table and the marker, as a worker does at the end of a job. Checked: of every
address one process was told that it is the outcome, the marker names that one's attempt, the file
that it names is the one that this process wrote, and every row of every marker is there. The S3
is a moto server: ``pip install 'sweeper[dev]'``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier

from benchmarks.s3 import new_address, s3_server
from sweeper.store import tables
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles, digest
from sweeper.store.markers import commit

OUTCOME = {"status": "done", "message": "", "selections": {}}
Won = list[tuple[str, str]]


def addresses(process: int, each: int) -> Iterator[str]:
    """The addresses that a process commits: in turn one that all want, and one of its own."""
    for number in range(each):
        yield digest({"number": number})
        yield digest({"number": number, "process": process})


def attempt(files: StoreFiles, address: str, process: int) -> bool:
    """What a worker does at the end of a job; whether its attempt was the first."""
    name = f"p{process}"
    (files.attempt_folder(address, name) / "weights").write_text(f"{address} {name}")
    rows = [{"job": "j", "address": address, "attempt": name, "value": float(process)}]
    made = [
        *files.publish(f"attempts/{address}/{name}"),
        tables.write(files, "scores", f"{address}-{name}", rows),
    ]
    return commit(files, address=address, generation=0, attempt=name, job="j", kind="train",
                  units={"all": address}, made=made, outcome=OUTCOME)  # fmt: skip


def work(
    store: str, process: int, each: int, ready: Barrier, won: Won, environment: dict[str, str]
) -> None:
    """One process: it waits for the others, then commits."""
    os.environ.update(environment)
    files = StoreFiles(store)
    ready.wait()
    for address in addresses(process, each):
        if attempt(files, address, process):
            won.append((address, f"p{process}"))


def faults(store: str, won: Won, processes: int, each: int) -> list[str]:
    """What is wrong with a store after all have committed."""
    files = StoreFiles(store)
    commits = Commits(files).by_address
    wanted = {address for process in range(processes) for address in addresses(process, each)}
    found = [f"no such address: {address}" for address in commits.keys() ^ wanted]
    named = sorted((one.address, one.attempt) for one in commits.values())
    if sorted(won) != named:
        found.append(f"{len(won)} processes were told that they were first; {len(named)} markers")
    written = files.contents(f"attempts/{address}/{name}/weights" for address, name in named)
    for (address, name), content in zip(named, written, strict=True):
        if content != f"{address} {name}".encode():
            found.append(f"the file of {address} is not that of {name}")
    parts = [name for one in commits.values() if (name := one.table("scores"))]
    rows = tables.read(files, "scores", parts).select(["address", "attempt"]).to_pylist()
    if sorted((row["address"], row["attempt"]) for row in rows) != named:
        found.append(f"{len(rows)} rows of {len(named)} markers")
    return found


def measure(store: str, processes: int, each: int) -> list[str]:
    """Let all commit at once; says how long it took, and returns the faults."""
    StoreFiles(store, create=True)
    # Not forked from this process, whose threads talk to S3.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["s3fs", "sweeper.store.bucket", "sweeper.store.tables"])
    with context.Manager() as manager:
        won, ready = manager.list(), manager.Barrier(processes + 1)
        running = [
            context.Process(target=work, args=(store, n, each, ready, won, dict(os.environ)))
            for n in range(processes)
        ]
        for process in running:
            process.start()
        ready.wait()
        began = time.perf_counter()
        for process in running:
            process.join()
        seconds = time.perf_counter() - began
        wrong = [f"process {n} failed" for n, process in enumerate(running) if process.exitcode]
        wrong += faults(store, list(won), processes, each)
    made = processes * each * 2
    print(f"{store}: {made} attempts by {processes} processes in {seconds:.1f} s; "
          f"{len(wrong)} faults", *wrong[:20], sep="\n", flush=True)  # fmt: skip
    return wrong


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--each", type=int, default=5, help="addresses of each sort per process")
    given = parser.parse_args()
    work_folder = Path(tempfile.mkdtemp(prefix="committing-"))
    wrong = measure(str(work_folder / "store"), given.processes, given.each)
    with s3_server(work_folder / "cache"):
        wrong += measure(new_address(), given.processes, given.each)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
