"""How long a driver takes to be back at work on a store with ten thousand committed jobs.

    python -m benchmarks.restart --store /tmp/restart

Makes the store if it is not there: the study of `benchmarks.world`, run by the cluster of
`benchmarks.virtual` until some 50 jobs are left, with all files, tables and markers. Measured,
from the start of a whole process each: ``sweeper run`` until it has handed out its first job (and
is killed, so that the store stays as it is), ``sweeper status`` and ``sweeper matrix``; and where
the time of ``sweeper run`` goes. ``--cold`` has the kernel forget the disk's content first (as
root).

Wanted: the first job within 10 s. Measured on two idle cores (2026-11-29): 4.3 s, of which Ray's
start takes 3.6 s; 8.3 s where the first jobs' leases are those of a driver that was killed, which
are looked at after 5 s; cold 8.3 s. Status 1.6 s, matrix 2.5 s; cold 2.6 s and 3.8 s.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.virtual import Cluster, Faults
from benchmarks.world import large_study, size, started
from sweeper.errors import EngineError
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.store.files import StoreFiles
from sweeper.study import Study

_LEFT = 50


def make(folder: Path, seeds: int) -> None:
    """A study file, and a store in which all but the last jobs of the study are committed."""
    study = large_study(seeds)
    (folder / "study.yaml").write_text(study.model_dump_json(exclude_unset=True))
    progress, driver = started(study, StoreFiles(folder / "store", create=True))
    cluster = Cluster(progress, driver, 64, seed=0, faults=Faults(), rows=True)
    cluster.run(until=lambda: len(progress.left) <= _LEFT)
    driver.end()  # this process lives on: else its leases would be waited for, 30 s long


def _forget_the_disk() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def first_job(folder: Path, progress: Progress) -> float:
    """Seconds from the start of ``sweeper run`` until an attempt at a job is in the store."""
    addresses = []
    while (key := progress.take()) is not None:
        addresses.append(progress.attempt_address(key))
    files = progress.files

    def attempts() -> int:
        return sum(len(files.names(f"attempts/{address}")) for address in addresses)

    before, began = attempts(), time.perf_counter()
    command = [sys.executable, "-m", "sweeper", "run", "study.yaml", "--store", "store"]
    with tempfile.TemporaryFile() as output:
        driver = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        # Polling a few folders is the condition itself: there is no event to wait for.
        while attempts() == before:
            time.sleep(0.02)
            if driver.poll() is not None:
                output.seek(0)
                raise EngineError(f"the driver ended too early: {output.read().decode()}")
        spent = time.perf_counter() - began
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    return spent


def command(folder: Path, *words: str) -> float:
    """Seconds that a command takes, as a whole process."""
    began = time.perf_counter()
    said = [sys.executable, "-m", "sweeper", *words, "--store", "store"]
    subprocess.run(said, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - began


@contextmanager
def _told(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"    {what:<34} {time.perf_counter() - began:6.2f} s")


def parts(folder: Path) -> Progress:
    """Print how long the steps of a start take, one by one, in this process."""
    files = StoreFiles(folder / "store")
    with _told("read the study"):
        study = Study.load(folder / "study.yaml")
    with _told("plan"):
        planned = plan(study)
    with _told("resolve, from the snapshot"):
        resolved = resolve(planned, files)
    with _told("read markers and asks, derive"):
        progress = Progress(planned, resolved, files, failures=False)
    with _told("import Ray Tune"):
        from ray import tune  # noqa: F401
    with _told("start Ray"):
        import ray

        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=2)
    ray.shutdown()
    return progress


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, required=True, help="a folder for study and store")
    parser.add_argument("--seeds", type=int, default=39, help="of the study: 259 jobs each")
    parser.add_argument("--cold", action="store_true", help="forget the disk's content each time")
    given = parser.parse_args()
    if not given.store.is_dir():
        given.store.mkdir(parents=True)
        make(given.store, given.seeds)
    forget = _forget_the_disk if given.cold else lambda: None
    forget()
    progress = parts(given.store)
    print(f"{size(progress.plan)}, {len(progress.done):,} done, {len(progress.left)} left")
    forget()
    print(f"sweeper run, to its first job  {first_job(given.store, progress):6.2f} s")
    for words in (["status"], ["matrix"]):
        forget()
        print(f"sweeper {words[0]:<22} {command(given.store, *words):6.2f} s")
    print(f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()
