"""Kill the driver with SIGKILL again and again, and compare the store with an undisturbed one.

    python -m benchmarks.kills demo --calm runs/demo --store runs/killed --seed 7

The driver of ``sweeper run`` is killed after the first, the middle and the last-but-one commit,
and at ``--random`` numbers of commits drawn from ``--seed``; then it runs to its end. Checked:
the same set of committed addresses as in the calm store, one marker per address, and no attempt
started after its address had a marker.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from sweeper.store.files import StoreFiles


def commits(store: Path) -> int:
    """How many markers a store has."""
    folder = store / "commits"
    return sum(not p.name.startswith(".") for p in folder.iterdir()) if folder.is_dir() else 0


def run_until(study: str, store: Path, stop_at: int | None) -> bool:
    """Run the driver; kill it once the store has ``stop_at`` commits. False if it ended first."""
    command = [sys.executable, "-m", "sweeper", "run", study, "--store", str(store)]
    log = store.parent / f"{store.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        driver = subprocess.Popen(command, stdout=output, stderr=output)
        while driver.poll() is None:
            if stop_at is not None and commits(store) >= stop_at:
                driver.send_signal(signal.SIGKILL)
                driver.wait()
                return True
            # Polling a folder is the condition itself: there is no event to wait for.
            time.sleep(0.02)
    if driver.returncode:
        raise SystemExit(f"the driver failed ({driver.returncode}): see {log}")
    return False


def kill_points(total: int, draws: int, seed: int) -> list[int]:
    """After how many commits to kill: the first, the middle, the last but one, and some drawn."""
    drawn = random.Random(seed).sample(range(2, total - 1), draws)
    return sorted({1, total // 2, total - 1, *drawn})


def faults(calm: Path, killed: Path) -> list[str]:
    """What differs between the stores, and what was done twice in the killed one."""
    want, have = (set(StoreFiles(s).names("commits")) for s in (calm, killed))
    found = [f"lost: {name}" for name in sorted(want - have)]
    found += [f"extra: {name}" for name in sorted(have - want)]
    for name in sorted(have):
        marker = json.loads((killed / "commits" / name).read_text())
        for attempt in (killed / "attempts" / marker["address"]).glob("*/job.json"):
            # An attempt's name begins with its start in milliseconds.
            started = int(attempt.parent.name.split("-")[0], 16) / 1000
            if started > marker["committed"]:
                found.append(f"done again after its commit: {marker['job']}")
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--calm", type=Path, required=True, help="a finished store of the study")
    parser.add_argument("--store", type=Path, required=True, help="a new store, to be killed")
    parser.add_argument("--random", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    points = kill_points(commits(given.calm), given.random, given.seed)
    print(f"seed {given.seed}: kill after {points} of {commits(given.calm)} commits")
    for point in points:
        killed = run_until(given.study, given.store, point)
        print(f"{'killed' if killed else 'ended'} at {commits(given.store)} commits")
    run_until(given.study, given.store, None)
    wrong = faults(given.calm, given.store)
    print(f"{commits(given.store)} commits; {len(wrong)} faults", *wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
