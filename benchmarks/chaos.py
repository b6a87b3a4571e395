"""Kill drivers, workers and a node of a sweep, again and again; compare it with a calm one.

    python -m benchmarks.chaos demo --calm runs/demo --store runs/chaos --seed 7
    python -m benchmarks.chaos demo --calm runs/demo --store runs/pair --seed 7 --drivers 2

The sweep runs on a Ray cluster of a head without slots and two nodes of one core, all on this
machine (`ray.cluster_utils.Cluster`). At moments drawn from ``--seed``, as numbers of commits, and
after the first, the middle and the last-but-one commit, a driver is killed with SIGKILL and
started again; at some of the drawn moments it is a worker instead, and once a whole node, which
is replaced. With ``--drivers 2`` two drivers share the store all the time, and the killed one is
either of them. Checked at the end, against the calm store: the same addresses, one marker each;
no attempt began after its address had a marker; asks, commits and Optuna's studies agree; every
score is the same to the last bit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.compare import commits, faults
from sweeper import Store

DRIVER, WORKER, NODE = "driver", "worker", "node"


class Fault(NamedTuple):
    """What is killed once the store has that many commits."""

    commits: int
    what: str


def faults_to_be(total: int, kills: int, workers: int, seed: int) -> list[Fault]:
    """Driver kills at the first, middle and last-but-one commit and at drawn ones; others."""
    drawn = random.Random(seed)
    points = [1, total // 2, total - 1, *(drawn.randrange(2, total - 1) for _ in range(kills - 3))]
    found = [Fault(point, DRIVER) for point in points]
    found += [Fault(drawn.randrange(2, total - 1), WORKER) for _ in range(workers)]
    found.append(Fault(drawn.randrange(total // 4, 3 * total // 4), NODE))
    return sorted(found)


class Hosts:
    """A Ray cluster on this machine: a head that runs no jobs, and two nodes of one core."""

    def __init__(self) -> None:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(2)]
        self.address: str = self._cluster.address

    def kill_node(self, drawn: random.Random) -> None:
        """Kill a node with all that runs on it; another takes its place."""
        node = self._nodes.pop(drawn.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._cluster.add_node(num_cpus=1))

    def kill_worker(self, drawn: random.Random) -> None:
        """Kill one process that runs jobs."""
        found = subprocess.run(["pgrep", "-f", "^ray::Worker"], capture_output=True, text=True)
        mine = [int(word) for word in found.stdout.split() if self._is_mine(int(word))]
        if mine:
            with contextlib.suppress(ProcessLookupError):
                os.kill(drawn.choice(mine), signal.SIGKILL)

    def _is_mine(self, process: int) -> bool:
        """Whether a worker belongs to this cluster: its environment has the cluster's token."""
        with contextlib.suppress(OSError):
            token = os.environ["RAY_AUTH_TOKEN"].encode()
            return token in Path(f"/proc/{process}/environ").read_bytes()
        return False

    def close(self) -> None:
        """End the cluster."""
        self._cluster.shutdown()


class Drivers:
    """Some `sweeper run` with the same arguments, one of them a store."""

    def __init__(self, arguments: Sequence[str], log: Path, count: int) -> None:
        self._command = [sys.executable, "-m", "sweeper", "run", *arguments]
        self._log = log
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self.running = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(self._command, stdout=output, stderr=output)

    def kill(self, drawn: random.Random) -> None:
        """Kill one with SIGKILL, and start another in its place."""
        number = drawn.randrange(len(self.running))
        self.running[number].kill()
        self.running[number].wait()
        self.running[number] = self._start()

    def ended(self) -> bool:
        """Whether all are done; `SystemExit` where one ended with an error."""
        for driver in self.running:
            if driver.poll():
                raise SystemExit(f"a driver failed ({driver.returncode}): see {self._log}")
        return all(driver.poll() == 0 for driver in self.running)

    def wait(self) -> None:
        """Wait until all are done."""
        for driver in self.running:
            driver.wait()
        self.ended()


def until(store: Path, point: int, drivers: Drivers) -> bool:
    """Wait for a number of commits; False if the drivers ended before."""
    while commits(store) < point:
        if drivers.ended():
            return False
        time.sleep(0.02)  # the folder's state is the condition: there is no event to wait for
    return True


def torment(given: argparse.Namespace, hosts: Hosts) -> Counter[str]:
    """Run the study through all its faults; how many of each were committed."""
    drawn = random.Random(given.seed)
    done: Counter[str] = Counter()
    arguments = [given.study, "--store", str(given.store), "--address", hosts.address]
    log = given.store.parent / f"{given.store.name}.drivers.log"
    drivers = Drivers(arguments, log, given.drivers)
    actions = {DRIVER: drivers.kill, WORKER: hosts.kill_worker, NODE: hosts.kill_node}
    for fault in faults_to_be(commits(given.calm), given.kills, given.workers, given.seed):
        if not until(given.store, fault.commits, drivers):
            break
        actions[fault.what](drawn)
        done[fault.what] += 1
        print(f"{fault.what} killed at {commits(given.store)} commits", flush=True)
    drivers.wait()
    return done


@contextlib.contextmanager
def hosted() -> Iterator[Hosts]:
    """A cluster, for as long as the block lasts."""
    hosts = Hosts()
    try:
        yield hosts
    finally:
        hosts.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--calm", type=Path, required=True, help="a finished store of the study")
    parser.add_argument("--store", type=Path, required=True, help="a new store")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=20, help="of drivers")
    parser.add_argument("--workers", type=int, default=4, help="kills of workers")
    parser.add_argument("--drivers", type=int, default=1)
    given = parser.parse_args()
    print(f"seed {given.seed}, {commits(given.calm)} jobs, {given.drivers} drivers", flush=True)
    began = time.time()
    with hosted() as hosts:
        done = torment(given, hosts)
    trials: Any = Store(given.store).trials()["status"].value_counts().to_dict()
    wrong = faults(given.calm, given.store)
    print(f"killed: {dict(done)}; attempts with an outcome: {trials}; {time.time() - began:.0f} s")
    print(f"{commits(given.store)} commits; {len(wrong)} faults", *wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
