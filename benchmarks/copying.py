"""Copying a store: folder to folder, to an S3 on this machine and back; time and memory.

    python -m benchmarks.copying [--commits 2000] [--checkpoints 4] [--megabytes 250]

The store has so many commits with a row of `trials` each, and so many checkpoints of that size.
The S3 is moto's, on the same cores: what it takes is in the figures.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from pathlib import Path

from benchmarks.s3 import new_address, s3_server
from sweeper.store import tables
from sweeper.store.copying import copy
from sweeper.store.files import StoreFiles, digest
from sweeper.store.markers import commit


def main() -> None:
    """Make the store, copy it, and print a line per copy."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--commits", type=int, default=2000)
    options.add_argument("--checkpoints", type=int, default=4)
    options.add_argument("--megabytes", type=int, default=250)
    said = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        files = StoreFiles(root / "store", create=True)
        for number in range(said.commits):
            _commit(files, number, said.megabytes * (number < said.checkpoints))
        print(f"{_peak():,} MB of memory before", flush=True)
        with s3_server(root / "cache"):
            bucket = new_address()
            for source, target in (
                (root / "store", root / "copy"),
                (root / "store", root / "copy"),
                (root / "store", bucket),
                (root / "store", bucket),
                (bucket, root / "back"),
            ):
                _timed(source, target)


def _commit(files: StoreFiles, number: int, megabytes: int) -> None:
    address = digest({"number": number})
    folder = files.attempt_folder(address, "a")
    with (folder / "weights").open("wb") as stream:
        for _ in range(megabytes):
            stream.write(os.urandom(1 << 20))
    row = {"job": f"prepare/{number}", "address": address, "attempt": "a", "status": "done"}
    made = [tables.write(files, "trials", f"{address}-a", [row])]
    commit(
        files,
        address=address,
        generation=0,
        attempt="a",
        job=row["job"],
        kind="prepare",
        units={"all": address},
        made=[*made, *files.publish(f"attempts/{address}/a")],
        outcome={"status": "done", "message": "", "selections": {}},
    )


def _timed(source: Path | str, target: Path | str) -> None:
    done = copy(StoreFiles(source), target)
    sorts = ["bucket" if "://" in str(one) else "folder" for one in (source, target)]
    print(
        f"{' to '.join(sorts)}: {done.files:,} files, {done.bytes / 1e6:,.0f} MB in "
        f"{done.seconds:.1f} s; at most {_peak():,} MB of memory so far",
        flush=True,
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


if __name__ == "__main__":
    main()
