"""Wait until a cluster's nodes are there.

    python3 cluster/wait_for.py HEAD:6379 2

Ends with 0 when that many nodes give cores or GPUs, or when at least one does after five minutes:
the others may join later. Ends with 1 when by then there is none.
"""

from __future__ import annotations

import logging
import sys
import time

import ray

PATIENCE_SECONDS = 300.0


def joined(wanted: int, patience: float) -> int:
    """How many nodes can run jobs: as soon as it is as many as wanted, or patience is over."""
    began = time.monotonic()
    while True:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        there = sum(1 for has in alive if has.get("CPU") or has.get("GPU"))
        if there >= wanted or time.monotonic() - began > patience:
            return there
        time.sleep(0.5)


def main() -> None:
    """Command line."""
    address, wanted = sys.argv[1], int(sys.argv[2])
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    there = joined(wanted, PATIENCE_SECONDS)
    print(f"{there} of {wanted} nodes have joined {address}", flush=True)
    sys.exit(not there)


if __name__ == "__main__":
    main()
