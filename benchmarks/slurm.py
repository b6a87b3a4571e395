"""A sweep over the two nodes of a Slurm cluster of this machine, submitted as its README says.

    python -m benchmarks.slurm tests/end_to_end/tiny.yaml --store runs/slurm

Needs Linux, root, iproute2, and Slurm with munge (Debian: ``apt-get install slurm-wlm munge``).
The hosts are the network namespaces of ``benchmarks.hosts``, each with an address, a name and a
disk of its own: one has the controller, two have a ``slurmd`` of one core each. The job is
``cluster/slurm/sweep.sbatch``, first checked with ``--test-only``. Checked: the job ends as
completed, every job of the study is done, and both nodes worked. With ``--warn-at COMMITS`` the
job is told then, as Slurm does three minutes before its time limit, to save and queue again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.compare import commits
from benchmarks.hosts import ADDRESS, CLUSTER, HOSTS, network, on, space, wait
from sweeper import Store

NEEDED = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "ip")
RECIPE = CLUSTER / "slurm" / "sweep.sbatch"

UNDER_WAY = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED")

CONFIGURATION = """\
ClusterName=sweeper
SlurmctldHost={head}({head_ip})
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=30
NodeName={one} NodeAddr={one_ip} CPUs=1
NodeName={two} NodeAddr={two_ip} CPUs=1
PartitionName=all Nodes={one},{two} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """What this machine lacks for a Slurm cluster of its own."""
    lacking = [name for name in NEEDED if not shutil.which(name)]
    return lacking + ([] if os.geteuid() == 0 else ["root"])


class Slurm:
    """A controller and two nodes, and the commands that speak to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SLURM_CONF": str(folder / "slurm.conf"),
            "SLURM_TMPDIR": str(folder / "own"),  # each host mounts a disk of its own there
        }

    def said(self, *command: str) -> str:
        """What a command says on the host of the controller."""
        inside = ["ip", "netns", "exec", space(HOSTS[0]), *command]
        done = subprocess.run(
            inside, env=self.env, cwd=CLUSTER.parent, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def state(self, job: str) -> str:
        """A job's state, such as ``RUNNING``."""
        words = self.said("scontrol", "show", "job", job).split()
        return next(word for word in words if word.startswith("JobState=")).partition("=")[2]


@contextmanager
def slurm() -> Iterator[Slurm]:
    """A Slurm cluster of two idle nodes, for as long as the block lasts."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm")))
        cluster = Slurm(folder)
        for name in ("state", "own"):
            (folder / name).mkdir()
        hosts = dict(zip(("head", "one", "two"), HOSTS, strict=True))
        ips = {f"{name}_ip": ADDRESS.format(n) for n, name in enumerate(hosts, 1)}
        text = CONFIGURATION.format(folder=folder, **hosts, **ips)
        (folder / "slurm.conf").write_text(text)
        # A network namespace shows no cgroups, and these nodes need none.
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        stack.enter_context(network())
        key, socket = folder / "munge.key", folder / "munge.socket"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True)
        files = {"key-file": key, "socket": socket, "pid-file": folder / "munge.pid"}
        files |= {"seed-file": folder / "munge.seed", "log-file": folder / "munge.log"}
        daemons = [(HOSTS[0], ["munged", "--foreground", "--force"])]
        daemons[0][1].extend(f"--{name}={path}" for name, path in files.items())
        daemons.append((HOSTS[0], ["slurmctld", "-D"]))
        own = f'mount -t tmpfs disk {cluster.env["SLURM_TMPDIR"]} && exec "$@"'
        daemons += [(h, ["sh", "-c", own, "sh", "slurmd", "-D", "-N", h]) for h in HOSTS[1:]]
        for host, command in daemons:
            process = on(host, command, cluster.env, folder / f"{host}.said")
            stack.callback(end, process)
            if command[0] == "munged":
                wait(socket.exists, process)
        try:
            wait(lambda: idle(cluster) == 2, process)
        except SystemExit:
            print(*(f"{path}: {path.read_text()}" for path in folder.glob("*.log")), sep="\n")
            raise
        yield cluster


def idle(cluster: Slurm) -> int:
    """How many nodes are ready for a job."""
    asked = subprocess.run(
        ["ip", "netns", "exec", space(HOSTS[0]), "sinfo", "--noheader", "--Node", "--format=%T"],
        env=cluster.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return asked.stdout.split().count("idle")


def end(process: subprocess.Popen) -> None:
    """End a daemon, with what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                continue


def submit(cluster: Slurm, store: Path, warn_at: int, *arguments: str) -> tuple[str, str]:
    """Submit the recipe and wait for its end; its last state, and what it printed.

    If ``warn_at`` is not 0, the job is told at that many commits that its time is over.
    """
    script = str(RECIPE.relative_to(CLUSTER.parent))
    log = cluster.folder / "job.log"
    print(cluster.said("sbatch", "--test-only", script, *arguments).strip(), flush=True)
    job = cluster.said("sbatch", "--parsable", f"--output={log}", script, *arguments).strip()
    while (state := cluster.state(job)) in UNDER_WAY:
        if 0 < warn_at <= commits(store):
            cluster.said("scancel", "--batch", "--signal=USR1", job)
            print(f"told at {commits(store)} commits that its time is over", flush=True)
            warn_at = 0
        time.sleep(0.5)
    return state, log.read_text()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--store", type=Path, required=True, help="a new store")
    parser.add_argument("--warn-at", type=int, default=0, help="commits, then a time limit")
    given = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"This machine lacks {', '.join(lacking)}.")
    store, study = given.store.absolute(), Path(given.study)
    store.parent.mkdir(parents=True, exist_ok=True)
    began = time.time()
    with slurm() as cluster:
        named = str(study.absolute()) if study.exists() else given.study
        state, said = submit(cluster, store, given.warn_at, named, "--store", str(store))
    print(said[-5000:])
    trials = Store(store).trials()
    done = trials[trials["status"] == "done"]
    hosts = done["worker"].str.partition(":")[0].value_counts().to_dict()
    print(f"{state} after {time.time() - began:.0f} s; jobs done by {hosts}")
    sys.exit(not (state == "COMPLETED" and len(hosts) == 2 and len(done) == len(trials)))


if __name__ == "__main__":
    main()
