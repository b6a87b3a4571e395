"""Two thousand short jobs on real Ray: how busy the slots are, and what the driver costs.

    python -m benchmarks.scale

The study of `benchmarks.world` is run by the engine as it is, on one machine, but for its worker
(`benchmarks.sleeper`): a job sleeps and commits. Busy is the time slept over slots times the time
from the first start to the last end, so that commits and hand-overs count as idle.

Wanted: at least 95 % busy, at most 20 ms of the driver's processor time per job, the last 500
jobs no slower than 1.2 times the first 500, and less than 1 GB of memory in the driver.

Measured on two cores, otherwise idle (2026-11-29)::

    2097 jobs in 538.6 s: 97.3% busy; a worker was up after 8.6 s, from then 98.9%
    driver: 15.1 ms CPU per job, 384 MB at most
    first 500 jobs 138.5 s, last 500 125.3 s (99.8% busy): 0.90

Others' load of 3 to 5 beside the sixteen workers made that 93.7 %, 15.8 ms and 0.85: all sixteen
import Ray Tune at once, so the first of them was up after 21.0 s.
"""

from __future__ import annotations

import argparse
import cProfile
import math
import os
import pstats
import resource
import tempfile
import time
from pathlib import Path
from unittest import mock

from benchmarks.world import SLEEP, large_study, size, started
from sweeper.engine.connecting import RAY_SETTINGS
from sweeper.engine.dispatch import Event
from sweeper.engine.sweep import execute
from sweeper.store.files import StoreFiles

WORD_SECONDS = 1.0
"""How old a job is when its worker first speaks."""


class Watch:
    """Listens to a run, and keeps when jobs started and ended."""

    def __init__(self) -> None:
        self.started: list[float] = []
        self.up = math.inf  # when the first worker was
        self.ended: list[float] = []
        self.worked = 0.0  # seconds that the workers say their jobs took, commits included
        self.faults: list[str] = []

    def hear(self, event: Event) -> None:
        """Take an event in; seconds."""
        now = time.monotonic()
        if event.what == "started":
            self.started.append(now)
        elif event.what == "progress":
            self.up = min(self.up, now - WORD_SECONDS)
        elif event.what == "done":
            self.ended.append(now)
            self.worked += event.seconds
        elif event.what in ("retry", "failed"):
            self.faults.append(f"{event.what} {event.key}: {event.message}")


def report(watch: Watch, slots: int, seconds: float, cpu: float) -> None:
    """Print the figures of a run."""
    jobs, began, ends = len(watch.ended), watch.started[0], watch.ended
    whole = ends[-1] - began
    part = min(500, jobs // 2)
    first, last = ends[part - 1] - began, ends[-1] - ends[-part - 1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ideal, late = seconds / slots, watch.up - began
    print(f"{jobs} jobs in {whole:.1f} s: {jobs * ideal / whole:.1%} busy; a worker was up "
          f"after {late:.1f} s, from then {jobs * ideal / (whole - late):.1%}")  # fmt: skip
    commit, idle = watch.worked / jobs - seconds, slots * whole / jobs - watch.worked / jobs
    print(f"per job: {commit * 1000:.0f} ms to commit, {idle * 1000:.0f} ms between two jobs")
    print(f"driver: {cpu / jobs * 1000:.1f} ms CPU per job, {memory:.0f} MB at most")
    print(f"first {part} jobs {first:.1f} s, last {part} {last:.1f} s ({part * ideal / last:.1%} "
          f"busy): {last / first:.2f}")  # fmt: skip
    print(f"load of the machine {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
    print(*watch.faults, sep="\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8, help="of the study: 259 jobs each")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a job")
    parser.add_argument("--profile", action="store_true", help="show where the driver's time goes")
    given = parser.parse_args()
    # Before Ray is imported, and inherited by the workers.
    os.environ.update({**RAY_SETTINGS, SLEEP: str(given.seconds)})
    from benchmarks.sleeper import Sleeper

    watch, profile = Watch(), cProfile.Profile(time.thread_time)
    with tempfile.TemporaryDirectory() as folder:
        files = StoreFiles(Path(folder) / "store", create=True)
        progress, driver = started(large_study(given.seeds), files)
        print(f"{size(progress.plan)} of {given.seconds} s on {given.slots} slots")
        cpu = time.process_time()
        with mock.patch("sweeper.engine.connecting.cores_here", return_value=given.slots):
            if given.profile:
                profile.enable()
            execute(progress, driver, listener=watch.hear, worker=Sleeper)
            profile.disable()
        report(watch, given.slots, given.seconds, time.process_time() - cpu)
    if given.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
