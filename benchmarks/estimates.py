"""How far estimates are off: made before a sweep, and held against what it then took.

    python -m benchmarks.estimates [STUDY] [--store FOLDER]

One row and one seed of the study are run first. Then three estimates of the whole study are made:
from the model alone, from what those jobs took, and by a scheduler with the true seconds of every
job, which shows what is due to scheduling. Then the rest is run, and compared: slot hours are the
sum over jobs from start to commit, wall time is that of the driver.

Wanted: within 30 % from the store. Measured on two idle cores (2026-11-20)::

    demo, 97 jobs after 30                     in jobs           wall time
    it took                                    103.4 s              60.8 s
    estimated from the model alone             347.6 s +236.3 %    193.8 s +219.0 %
    estimated from the store                   109.5 s  +5.9 %      74.6 s +22.8 %
    scheduled with the true seconds            103.4 s              61.7 s  +1.5 %

again (2026-11-29)::

    it took                                    109.2 s              64.1 s
    estimated from the store                   104.1 s  -4.7 %      71.8 s +12.0 %

and on two cores that others used, too (load 5 to 10)::

    demo, 97 jobs after 30                     in jobs           wall time
    it took                                    539.7 s             310.8 s
    estimated from the model alone             347.6 s -35.6 %     193.8 s -37.6 %
    estimated from the store                   651.5 s +20.7 %     345.9 s +11.3 %
    scheduled with the true seconds            539.7 s             280.4 s  -9.8 %

A third run, its part on a busy machine (load 8) and its rest on one that had become idle: 237.2 s
taken, 565.6 s estimated from the store (+138 %), 347.6 s by the model: the same load is a must.
Of jobs of a tenth of a second, as those of the tests' `tiny.yaml`, the sum is 32 % too small: a
new worker's first jobs are slow, and few are.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from sweeper.addressing import Resolved
from sweeper.cores import cores_here
from sweeper.engine.sweep import run
from sweeper.estimates import COLD, Estimate, estimate
from sweeper.planning import plan
from sweeper.prices import CPU, Prices
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.scheduling import TRAINING, list_schedule, on_cores
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.throughput import measured


def part_of(study: Study) -> Study:
    """Its first row and first seed."""
    row = next(iter(study.intermediates))
    update = {"intermediates": {row: study.intermediates[row]}, "seeds": study.seeds[:1]}
    return study.model_copy(update={"name": f"{study.name}-part", **update})


def true_seconds(progress: Progress, keys: set[str]) -> dict[str, float]:
    """Job -> seconds from its start to its commit."""
    names = {}
    for key in keys:
        units = progress.addressing.units(key) or {}
        commit = progress.commits.by_unit.get(next(iter(units.values()), ""))
        name = commit.table("trials") if commit else None
        if name:
            names[name] = key
    rows = tables.read(progress.files, "trials", names).to_pylist()
    made = zip(names.values(), rows, strict=True)
    return {key: row["committed"] - row["started"] for key, row in made}


def told(name: str, hours: float, wall: float, real: Mapping[str, float]) -> None:
    """A line of figures, and how far they are off."""
    print(
        f"{name:32} {3600 * hours:9.1f} s {hours / real['hours'] - 1:+7.1%} "
        f"{wall:9.1f} s {wall / real['wall'] - 1:+7.1%}",
        flush=True,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="demo")
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(Study.load(given.study), given.store or Path(folder) / "store")


def compare(study: Study, store: Path) -> None:
    """Run a part, estimate the rest, run it, and print how far each estimate was off."""
    began = time.monotonic()
    run(part_of(study), store)
    print(f"a part of it: {time.monotonic() - began:.1f} s with the start", flush=True)
    files, planned, prices, cores = StoreFiles(store), plan(study), Prices.load(), cores_here()
    resolved: Resolved = resolve(planned, files)
    before = Progress(planned, resolved, files)
    left = set(before.left)

    def made(samples: dict[str, list]) -> Estimate:  # type: ignore[type-arg]
        found = estimate(planned, before, samples, prices, gpu=CPU, slots=(), cores=cores)
        assert found is not None
        return found

    samples = measured(files, planned, prices)
    alone, informed = made({}), made(samples)
    began = time.monotonic()
    run(study, store)
    wall = time.monotonic() - began
    after = Progress(planned, resolved, files)
    took = true_seconds(after, left & set(after.done))
    real = {"hours": sum(took.values()) / 3600, "wall": wall}
    ideal = list_schedule(planned, before.urgency, took, {TRAINING: cores}, on_cores) + COLD
    print(f"{len(took)} jobs on {cores} cores; rests on {informed.measured} that were measured")
    print(f"{'':32} {'in jobs':>11} {'':7} {'wall time':>11}")
    told("it took", real["hours"], wall, real)
    told("estimated from the model alone", alone.hours, alone.schedules[0].wall, real)
    told("estimated from the store", informed.hours, informed.schedules[0].wall, real)
    told("scheduled with the true seconds", real["hours"], ideal, real)


if __name__ == "__main__":
    main()
