"""Whole sweeps on real Ray, as a user starts them: run once, shared by the tests that look."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HEAD = Path(__file__).parents[2] / "cluster" / "head.sh"
NODE = Path(__file__).parents[2] / "cluster" / "node.sh"
TINY = Path(__file__).parent / "tiny.yaml"


def sweeper(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Run the command line; both streams are captured."""
    return subprocess.run(
        [sys.executable, "-m", "sweeper", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store of tiny.yaml; tests may read it and run the study again, not change it."""
    store = tmp_path_factory.mktemp("tiny") / "store"
    ran = sweeper("run", TINY, "--store", store)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return store


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The shipped demo as `sweeper run demo` leaves it: its store, and what was printed."""
    store = tmp_path_factory.mktemp("demo") / "store"
    ran = sweeper("run", "demo", "--store", store)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return store, ran.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(script: Path, env: dict[str, str], *arguments: str) -> subprocess.Popen:
    """A node in the foreground (`--block`), in a process group of its own."""
    return subprocess.Popen(
        ["bash", str(script), *arguments, "--block"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(node: subprocess.Popen, line: str) -> None:
    assert node.stdout
    said = []
    for text in node.stdout:
        said.append(text)
        if line in text:
            return
    raise AssertionError("".join(said))


@pytest.fixture(scope="session")
def cluster() -> Iterator[dict[str, str]]:
    """A head that runs no jobs and two nodes of one core each; yields the environment.

    ADDRESS is Ray's own address, SERVER that of the job server.
    """
    folder = tempfile.mkdtemp(prefix="ray")  # short: Ray's sockets lie below it
    port = free_port()
    env = {
        # The nodes know nothing of S3: the driver tells its workers.
        **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_AUTH_MODE": "token",
        "RAY_TMPDIR": folder,
        "SWEEPER_PORT": str(port),
    }
    # Several of them on one host: not the usual ports.
    server, agent = free_port(), "--dashboard-agent-listen-port=0"
    nodes = [start(HEAD, env, f"--dashboard-port={server}", agent)]
    try:
        wait_for(nodes[0], "Ray runtime started")
        for _ in range(2):
            nodes.append(start(NODE, env, f"127.0.0.1:{port}", "--num-cpus=1", agent))
            wait_for(nodes[-1], "Ray runtime started")
        yield {**env, "ADDRESS": f"127.0.0.1:{port}", "SERVER": f"http://127.0.0.1:{server}"}
    finally:
        for node in nodes:  # all at once: each takes its time
            os.killpg(node.pid, signal.SIGTERM)
        for node in nodes:
            node.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
