"""The whole life of a sweep on an S3 endpoint of which some requests fail.

    python -m benchmarks.object_store --share 0.05 --seed 1

The study runs into a store on disk, and into one in a bucket of a moto server behind
`benchmarks.flaky`: 500s, 503s that ask to slow down, requests without an answer, dropped
connections and answers that are cut off, half of them after the request was executed. Checked at
the end: every job was committed exactly once, what markers name is there with their hashes, and
scores and matrix are those of the store on disk. Needs ``pip install 'sweeper[dev]'``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from benchmarks.compare import faults
from benchmarks.flaky import flaky
from benchmarks.s3 import new_address, s3_server
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles

TINY = Path(__file__).parent.parent / "tests" / "end_to_end" / "tiny.yaml"


def run(study: str, store: str, log: Path) -> float:
    """`sweeper run`, in seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "sweeper", "run", study, "--store", store]
    with log.open("ab") as output:
        code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    if code:
        raise SystemExit(f"the run into {store} failed ({code}): see {log}")
    return time.perf_counter() - began


def wrong_with(store: str) -> list[str]:
    """What a store in a bucket lacks of what its markers name, and what was committed twice."""
    files = StoreFiles(store)
    commits = Commits(files)
    units = Counter(unit for c in commits.by_address.values() for unit in c.units.values())
    found = [f"made twice: unit {unit}" for unit, count in units.items() if count > 1]
    named = {
        name: said
        for commit in commits.by_address.values()
        for name, said in commit.files.items()
        if not (commit.dropped and name.startswith("attempts/"))
    }
    for name, content in zip(named, files.contents(named), strict=True):
        if content is None:
            found.append(f"lost: {name}")
        elif hashlib.sha256(content).hexdigest() != named[name]["sha256"]:
            found.append(f"damaged: {name}")
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default=str(TINY))
    parser.add_argument("--share", type=float, default=0.05, help="of the requests that fail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hang", type=float, default=3.0, help="seconds until a client gives up")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="object-store-"))
    print(f"seed {given.seed}, {given.share:.0%} of the requests fail; logs in {work}", flush=True)
    disk, bucket = str(work / "store"), new_address()
    print(f"on disk: {run(given.study, disk, work / 'disk.log'):.1f} s", flush=True)
    with s3_server(work / "cache") as url:
        with flaky(url, given.share, given.seed, 2 * given.hang) as (proxy, broken):
            impatient = json.dumps({"config_kwargs": {"read_timeout": given.hang}})
            with patch.dict(os.environ, AWS_ENDPOINT_URL_S3=proxy, FSSPEC_S3=impatient):
                seconds = run(given.study, bucket, work / "bucket.log")
        print(f"in a bucket that fails: {seconds:.1f} s", flush=True)
        made = dict(sorted(broken.made.items()))
        print(f"{broken.made.total()} of {broken.seen} requests failed: {made}")
        wrong = [*wrong_with(bucket), *faults(disk, bucket)]
        files = StoreFiles(bucket)
        print(f"{len(files.names('commits'))} commits, {len(files.sizes('failures'))} failed "
              f"attempts; {len(wrong)} faults", *wrong, sep="\n")  # fmt: skip
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
