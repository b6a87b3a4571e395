"""A sweep over three hosts of which one loses its network in mid-run, and gets it back.

    python -m benchmarks.hosts demo --store runs/hosts --calm runs/demo

The hosts are network namespaces of this machine (Linux, root, iproute2), each with an address and
a name of its own behind one bridge; the cluster is started in them by ``cluster/head.sh`` and
``cluster/node.sh``, with a token. When a third of the calm store's commits are there, the second
node's cable is pulled. Ray takes the node for dead, and its jobs are done elsewhere, while the
processes on it live on and may even commit: the store is not behind that cable. At two thirds the
cable is put back and the node is started anew, as whatever supervises a host would. Checked: the
sweep ends complete, with the addresses of the calm store and one marker each, and the node that
came back has worked again.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.compare import commits, faults
from sweeper import Store

CLUSTER = Path(__file__).parent.parent / "cluster"
SWITCH, HOSTS = "sweeper-switch", ("sweeper-head", "sweeper-one", "sweeper-two")
ADDRESS = "10.77.0.{}"
CUT = HOSTS[2]

# Ray's own defaults would take half a minute to find a host dead.
SETTINGS = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "1000"}


def ip(*words: str) -> None:
    """One command of iproute2."""
    subprocess.run(["ip", *words], check=True)


def space(host: str) -> str:
    """The network namespace of a host: this process's own, so that two runs do not meet."""
    return f"{host}-{os.getpid()}"


@contextmanager
def network() -> Iterator[None]:
    """Three hosts and the bridge between them, for as long as the block lasts."""
    with ExitStack() as made:
        for name in (SWITCH, *HOSTS):
            ip("netns", "add", space(name))
            made.callback(ip, "netns", "delete", space(name))
            ip("-n", space(name), "link", "set", "lo", "up")
        switch = space(SWITCH)
        ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", switch, "link", "set", "bridge", "up")
        for number, host in enumerate(map(space, HOSTS), 1):
            plug = ("peer", "name", f"port{number}", "netns", switch)
            ip("link", "add", "eth0", "netns", host, "type", "veth", *plug)
            ip("-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
            ip("-n", host, "address", "add", f"{ADDRESS.format(number)}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
        yield


def cable(host: str, state: str) -> None:
    """Pull (``down``) or plug in (``up``) a host's cable, at the switch."""
    ip("-n", space(SWITCH), "link", "set", f"port{HOSTS.index(host) + 1}", state)


def on(host: str, command: Sequence[str], env: dict[str, str], log: Path) -> subprocess.Popen:
    """Start a command on a host, in a process group of its own; what it says goes to ``log``."""
    named = ["unshare", "--uts", "sh", "-c", f'hostname {host}; exec "$@"', "sh", *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            ["ip", "netns", "exec", space(host), *named],
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class Cluster:
    """The processes of the cluster: ends them all when it is closed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head = f"{ADDRESS.format(1)}:6379"
        self.env = {
            **os.environ,
            **SETTINGS,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_AUTH_MODE": "token",
            "RAY_TMPDIR": tempfile.mkdtemp(prefix="ray"),  # short: Ray's sockets lie below it
        }
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, host: str) -> None:
        """Start Ray on a host, and wait until it says that it runs."""
        script = "head.sh" if host == HOSTS[0] else "node.sh"
        where = [] if host == HOSTS[0] else [self.head, "--num-cpus=1"]
        address = f"--node-ip-address={ADDRESS.format(HOSTS.index(host) + 1)}"
        log = self.folder / f"{host}.log"
        log.unlink(missing_ok=True)
        command = ["bash", str(CLUSTER / script), *where, address, "--block"]
        self.running[host] = on(host, command, self.env, log)
        wait(lambda: log.exists() and "Ray runtime started" in log.read_text(), self.running[host])

    def end(self, host: str) -> None:
        """End a host's Ray, with all its processes."""
        process = self.running.pop(host)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                try:
                    process.wait(timeout=40)
                except subprocess.TimeoutExpired:
                    continue

    def close(self) -> None:
        """End every host's Ray."""
        for host in list(self.running):
            self.end(host)


def wait(condition, process: subprocess.Popen) -> None:
    """Wait for a condition, as long as a process lives that may bring it about."""
    while not condition():
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended ({process.returncode}) too early")
        time.sleep(0.05)  # a file's state is the condition: there is no event to wait for


def sweep(study: str, store: Path, cluster: Cluster, total: int) -> int:
    """Run the study, pulling and replugging the cable on the way; the driver's exit status."""
    log = cluster.folder / "driver.log"
    command = [sys.executable, "-m", "sweeper", "run", study, "--store", str(store)]
    driver = on(HOSTS[0], [*command, "--address", cluster.head], cluster.env, log)
    wait(lambda: commits(store) >= total // 3, driver)
    cable(CUT, "down")
    print(f"cable of {CUT} pulled at {commits(store)} commits", flush=True)
    wait(lambda: commits(store) >= 2 * total // 3, driver)
    cable(CUT, "up")
    cluster.end(CUT)
    cluster.start(CUT)
    print(f"{CUT} is back at {commits(store)} commits", flush=True)
    return driver.wait()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--calm", type=Path, required=True, help="a finished store of the study")
    parser.add_argument("--store", type=Path, required=True, help="a new store")
    given = parser.parse_args()
    store = given.store.absolute()
    store.parent.mkdir(parents=True, exist_ok=True)
    began = time.time()
    with network(), tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        cluster = Cluster(Path(folder))
        stack.callback(cluster.close)
        for host in HOSTS:
            cluster.start(host)
        status = sweep(given.study, store, cluster, commits(given.calm))
        print((Path(folder) / "driver.log").read_text()[-3000:])
        back = time.time() - began
    trials = Store(store).trials()
    done = trials[trials["status"] == "done"]
    hosts = done["worker"].str.partition(":")[0].value_counts().to_dict()
    print(f"driver ended with {status} after {back:.0f} s; jobs done by {hosts}")
    print(f"attempts: {trials['status'].value_counts().to_dict()}")
    wrong = faults(given.calm, store)
    print(f"{commits(store)} commits; {len(wrong)} faults", *wrong, sep="\n")
    sys.exit(bool(wrong) or status)


if __name__ == "__main__":
    main()
