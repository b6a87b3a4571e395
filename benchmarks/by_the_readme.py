"""A sweep over hosts of one's own, by the commands of cluster/local/README.md and no others.

    python -m benchmarks.by_the_readme tests/end_to_end/tiny.yaml --store runs/by_the_readme

The commands are read from the README and typed into a shell of each host. The hosts are those of
``benchmarks.hosts`` (Linux, root, iproute2), here with processes and a ``/tmp`` of their own too,
so that a store below ``/tmp`` is shared by none.
Put in place of what the README says are the study, the store and the head's address, and a node
gives one core. Left out is step 1: the environment is the one that this runs in. Checked: every
command ends well, both nodes are there before the sweep, both worked, every job is done, and after
the last step no process of Ray is left.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.hosts import ADDRESS, CLUSTER, HOSTS, ip, network, space
from sweeper import Store

README = CLUSTER / "local" / "README.md"
SAYS = {
    "address": "10.0.0.1",
    "study": "search_spaces/local_files.yaml",
    "store": "/shared/runs/local",
    "data": "/shared/data",
}


def steps() -> dict[int, list[str]]:
    """The commands of each numbered step."""
    text = README.read_text().partition("## Several hosts")[2]
    found: dict[int, list[str]] = {}
    number = 0
    for line in text.splitlines():
        if begins := re.match(r"(\d+)\. ", line):
            number = int(begins[1])
        elif command := re.match(r" {7}(\S.*)", line):
            found.setdefault(number, []).append(command[1])
    return found


class Shell:
    """A person's shell on a host."""

    def __init__(self, host: str) -> None:
        self.host = host
        own = f"hostname {host}; mount -t tmpfs disk /tmp; exec bash"
        inside = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c", own]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", space(host), *inside],
            env={k: v for k, v in os.environ.items() if "RAY" not in k} | {"PATH": path},
            cwd=CLUSTER.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, command: str) -> str:
        """What a command says; ends this program if the command fails."""
        assert self.process.stdin and self.process.stdout
        # What is typed next is for the shell, not for what it has started.
        self.process.stdin.write(f'{{ {command}\n}} < /dev/null\necho "ended with $?"\n')
        self.process.stdin.flush()
        said = []
        for line in self.process.stdout:
            if line.startswith("ended with "):
                if line.strip() != "ended with 0":
                    raise SystemExit(f"{self.host}$ {command}\n{''.join(said)}{line}")
                break
            said.append(line)
        return "".join(said)

    def leave(self) -> None:
        """End the host."""
        self.process.kill()
        self.process.wait()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--store", type=Path, required=True, help="a new store")
    given = parser.parse_args()
    store = given.store.absolute()
    store.parent.mkdir(parents=True, exist_ok=True)
    puts = {"address": ADDRESS.format(1), "study": given.study, "store": str(store)}
    puts["data"] = os.environ.get("SWEEPER_DATA", "/nowhere")
    todo = steps()
    for number, commands in todo.items():
        for name, value in puts.items():
            commands = [command.replace(SAYS[name], value) for command in commands]
        todo[number] = commands
    began = time.time()
    with network(), ExitStack() as stack:
        for host in HOSTS:  # by which Ray finds a host's address, as on any host of a network
            ip("-n", space(host), "route", "add", "default", "dev", "eth0")
        shells = [Shell(host) for host in HOSTS]
        for shell in shells:
            stack.callback(shell.leave)
        head, *nodes = shells
        token = subprocess.check_output(["bash", "-c", f"{todo[2][0]}; echo $RAY_AUTH_TOKEN"])
        for shell in shells:
            shell.type(f"export RAY_AUTH_TOKEN={token.decode().strip()}")
        head.type(todo[3][0])
        for node in nodes:
            node.type(f"{todo[4][0]} --num-cpus=1")
        while f"/{len(nodes)}.0 CPU" not in (there := nodes[0].type(todo[5][0])):
            pass  # a host that has joined is shown some seconds later
        print(there)
        for command in todo[6]:
            said = head.type(command)
        print(said[-3000:])
        for shell in shells:
            shell.type(todo[7][0])
            left = shell.type("ps -eo args | grep -E 'raylet|gcs_server' | grep -v grep || true")
            if left:
                raise SystemExit(f"{shell.host} still has {left}")
    done = Store(store).trials()
    hosts = done["worker"].str.partition(":")[0].value_counts().to_dict()
    print(f"after {time.time() - began:.0f} s; jobs done by {hosts}")
    sys.exit(not (set(done["status"]) == {"done"} and set(hosts) == set(HOSTS[1:])))


if __name__ == "__main__":
    main()
