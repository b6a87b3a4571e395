"""The recipe of cluster/README.md, with several nodes on this one machine."""

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

from benchmarks.s3 import KEYS, new_address
from sweeper import Store
from tests.end_to_end.conftest import TINY, sweeper

HEAD = Path(__file__).parents[2] / "cluster" / "head.sh"
NODE = Path(__file__).parents[2] / "cluster" / "node.sh"


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


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A head that runs no jobs and two nodes of one core each; yields the environment."""
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
    nodes = [start(HEAD, env)]
    try:
        wait_for(nodes[0], "Ray runtime started")
        nodes += [start(NODE, env, f"127.0.0.1:{port}", "--num-cpus=1") for _ in range(2)]
        for node in nodes[1:]:
            wait_for(node, "Ray runtime started")
        yield {**env, "ADDRESS": f"127.0.0.1:{port}"}
    finally:
        for node in nodes:  # not by a signal that it obeys: each would wait for the others
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def refused(
    cluster: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> subprocess.Popen[str]:
    """A run with a wrong token, which Ray takes its time to refuse: it goes on meanwhile."""
    env = {**cluster, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    store = tmp_path_factory.mktemp("refused") / "store"
    command = ["run", TINY, "--store", store, "--address", cluster["ADDRESS"]]
    return subprocess.Popen(
        [sys.executable, "-m", "sweeper", *map(str, command)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_sweep_over_two_nodes_with_a_token_and_a_bucket(
    cluster: dict[str, str], refused: subprocess.Popen[str], s3: str
) -> None:
    store = new_address()
    where = ("--store", store, "--address", cluster["ADDRESS"])
    secret = {"HF_TOKEN": "hf_TheTokenOfTheDriver", **KEYS, "AWS_ENDPOINT_URL_S3": s3}
    ran = sweeper("run", TINY, *where, env={**cluster, **secret})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trials = Store(store).trials()
    assert set(trials["status"]) == {"done"}
    assert trials["worker"].nunique() >= 2  # both nodes worked
    logs = [path for path in Path(cluster["RAY_TMPDIR"]).rglob("*.*") if path.is_file()]
    kept = [secret["HF_TOKEN"], KEYS["AWS_SECRET_ACCESS_KEY"], cluster["RAY_AUTH_TOKEN"]]
    assert len(logs) > 20
    for path in logs:
        assert not any(one.encode() in path.read_bytes() for one in kept), path


def test_a_wrong_token_is_refused_with_a_sentence(refused: subprocess.Popen[str]) -> None:
    said = refused.communicate()[1]
    assert refused.returncode == 1
    assert "token" in said
    assert "Traceback" not in said


def test_an_address_without_a_cluster_is_refused_with_a_sentence(tmp_path: Path) -> None:
    where = ("--store", tmp_path / "store", "--address", f"127.0.0.1:{free_port()}")
    ran = sweeper("run", TINY, *where, env={**os.environ, "RAY_AUTH_MODE": "disabled"})
    assert ran.returncode == 1
    assert "ray status" in ran.stderr
    assert "Traceback" not in ran.stderr
