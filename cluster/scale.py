"""Ask a cluster's autoscaler for hosts for as long as a command runs.

    python3 cluster/scale.py HEAD:6379 --gpus 8 -- sweeper run STUDY --store s3://... --address ...

A sweep starts as many jobs as the hosts that are there can run, so an autoscaler that starts from
none has to be asked. The command starts when the first host has joined. Hosts that a cloud takes
away are asked for anew. When the command ends, by itself or by SIGTERM or Ctrl-C (which are handed
to it), the request is taken back, and the autoscaler ends the idle hosts. Should this program be
killed, ``--gpus 0`` without a command takes the request back.
"""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import contextmanager

import ray
from ray.autoscaler.sdk import request_resources
from wait_for import joined

BOOT_SECONDS = 1800.0
"""For the first host: a cloud may be short of spot hosts, and the image is large."""


@contextmanager
def connected(address: str):
    """A connection to the cluster for as long as the block lasts."""
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def run(command: Sequence[str]) -> int:
    """The command's exit status; the signals that end this process are the command's."""
    child = subprocess.Popen(command)  # noqa: S603  (what this program is given to run)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    status = child.wait()
    return status if status >= 0 else 128 - status


def main() -> None:
    """Command line."""
    what = {"usage": "%(prog)s address (--gpus N | --cores N) [-- command ...]"}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], **what)
    parser.add_argument("address", help="the head's, such as 10.0.0.1:6379")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--gpus", type=int, help="how many jobs at once, a GPU for each")
    wanted.add_argument("--cores", type=int, help="how many jobs at once, a core for each")
    before, command = sys.argv[1:], []
    if "--" in before:
        at = before.index("--")
        before, command = before[:at], before[at + 1 :]
    given = parser.parse_args(before)
    shape = {"CPU": 1} if given.gpus is None else {"CPU": 1, "GPU": 1}
    with connected(given.address):
        request_resources(bundles=[shape] * (given.cores if given.gpus is None else given.gpus))
        there = not command or joined(1, BOOT_SECONDS)
    try:
        if not there:
            print(f"No host has joined in {BOOT_SECONDS / 60:.0f} minutes.", file=sys.stderr)
        status = 0 if not command else run(command) if there else 1
    finally:
        if command:
            with connected(given.address):
                request_resources(bundles=[])
    sys.exit(status)


if __name__ == "__main__":
    main()
