"""Mine random sentence vectors: seconds and peak memory by the number of sentences per side.

    python -m benchmarks.mining --dim 128

Per size, in a process of its own: two sides of random vectors of length 1 are written to a file,
and mined as a scored bitext is (k = 4, both ways, on the GPU if there is one). "mining" is the
process's peak memory above what it was before the vectors were made, "device" the GPU's peak.
Bounded means: the same at every size, but for the neighbours found (a few numbers per sentence).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import torch

from sweeper.tasks.metrics import neighbours
from sweeper.training import forward
from sweeper.training.batches import Features
from sweeper.training.vectors import BLOCKS, Sides

SIZES = (10_000, 50_000, 150_000)
PART = 4096


def sides_of(size: int, dim: int) -> Sides:
    """Two sides of random vectors; every second pair is alike."""
    table = pa.table(
        {
            "input_ids": pa.array([[]] * (2 * size), pa.list_(pa.int32())),
            "example": pa.array(np.arange(2 * size, dtype=np.int32)),
            "side": pa.array(np.arange(2 * size) >= size).cast(pa.int8()),
        }
    )
    sides = Sides(Features([table]), dim, forward.device())
    for start in range(0, size, PART):
        rows = np.arange(start, min(start + PART, size))
        for side in (0, 1):
            alike = np.random.default_rng([start, 2]).standard_normal((len(rows), dim))
            drawn = np.random.default_rng([start, side]).standard_normal((len(rows), dim))
            drawn[::2] += 2 * alike[::2]
            found = neighbours.normalised(drawn.astype(np.float32))
            sides.put(rows + side * size, found)
    return sides


def peak() -> float:
    """This process's peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(size: int, dim: int) -> str:
    """One size: a line of the table."""
    where = forward.device()
    # What the libraries need for their first product is not mining's.
    torch.ones(64, 64, device=where) @ torch.ones(64, 64, device=where)
    before = peak()
    start = time.perf_counter()
    sides = sides_of(size, dim)
    made = time.perf_counter() - start
    (unit,) = sides.units()
    start = time.perf_counter()
    found = sides.mine(*unit.vectors, 4)
    seconds = time.perf_counter() - start
    right = float((found.source == found.target)[found.source % PART % 2 == 0].sum())
    device = torch.cuda.max_memory_allocated() / 2**20 if where.type == "cuda" else 0.0
    sides.close()
    return (
        f"{size:>9} {made:>8.1f} {seconds:>9.1f} {peak() - before:>10.0f} {device:>10.0f} "
        f"{2 * size * dim * 4 / 2**20:>10.0f} {100 * right / (size / 2):>9.1f}"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(measure(given.one, given.dim))
        return
    where = forward.device().type
    height, width = BLOCKS[where]
    print(f"{where}, {torch.get_num_threads()} threads, dim {given.dim}, ", end="")
    print(f"blocks of {height} x {width} (products of {height * width * 4 / 2**20:.0f} MB)")
    print(
        f"{'sentences':>9} {'write s':>8} {'mine s':>9} {'mining MB':>10} {'device MB':>10} ",
        end="",
    )
    print(f"{'vectors MB':>10} {'found %':>9}", flush=True)
    for size in given.sizes:
        # A peak never falls, so every size has its own process.
        command = [sys.executable, "-m", "benchmarks.mining", "--one", str(size)]
        subprocess.run([*command, "--dim", str(given.dim)], check=True)


if __name__ == "__main__":
    main()
