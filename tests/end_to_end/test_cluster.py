"""The steps of cluster/local/README.md, with several nodes on this one machine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from helpers import free_port

from benchmarks.s3 import KEYS, new_address
from sweeper import Store
from tests.end_to_end.conftest import TINY, sweeper

HEAD = Path(__file__).parents[2] / "cluster" / "head.sh"
NODE = Path(__file__).parents[2] / "cluster" / "node.sh"


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
        for _ in range(2):  # not at once: they would be at the same files of Ray's
            nodes.append(start(NODE, env, f"127.0.0.1:{port}", "--num-cpus=1", agent))
            wait_for(nodes[-1], "Ray runtime started")
        yield {
            **env,
            "ADDRESS": f"127.0.0.1:{port}",
            "SERVER": f"http://127.0.0.1:{server}",
        }
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


# ---- from elsewhere, through the job server ---------------------------------------------------

HUB = "hf_TheTokenOfTheLaptopItself"


def test_a_submitted_study_is_stopped_goes_on_and_tells_no_secret(
    cluster: dict[str, str], s3: str
) -> None:
    store, at = new_address(), ("--address", cluster["SERVER"])
    env = {**cluster, "HF_TOKEN": HUB, **KEYS, "AWS_ENDPOINT_URL_S3": s3}

    def submit() -> str:
        ran = sweeper("submit", TINY, "--store", store, *at, env=env)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert "Submitted sweeper-tiny-1" in submit()  # and the process that did is no more
    assert "sweeper-tiny-1 is at it already" in submit()
    shown = sweeper("logs", "--driver", "tiny", *at, env=env)
    while " done " not in shown.stdout:  # the first job: then there is something to go on from
        assert "PENDING" in shown.stderr or "RUNNING" in shown.stderr, shown.stdout
        shown = sweeper("logs", "--driver", "tiny", *at, env=env)
    stop = ["ray", "job", "stop", "--no-wait", *at, "sweeper-tiny-1"]
    subprocess.run(stop, env=env, check=True, capture_output=True)
    followed = sweeper("logs", "--driver", "tiny", "--follow", *at, env=env)
    assert "SIGTERM: saving what runs, then stopping" in followed.stdout
    assert "are left, and nothing that was committed is lost" in followed.stdout
    assert "sweeper-tiny-1: STOPPED" in followed.stderr and followed.returncode == 143

    assert "Submitted sweeper-tiny-2" in submit()
    followed = sweeper("logs", "--driver", "tiny", "--follow", *at, env=env)
    assert followed.returncode == 0 and "Best checkpoint of each target" in followed.stdout
    assert set(Store(store).trials()["status"]) == {"done"}
    asked = sweeper("status", "tiny", "--store", store, "--json", *at, env=env)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert json.loads(asked.stdout)["studies"][0]["study"] == "tiny"

    kept = [HUB, KEYS["AWS_SECRET_ACCESS_KEY"], cluster["RAY_AUTH_TOKEN"]]
    with_token = {"Authorization": f"Bearer {cluster['RAY_AUTH_TOKEN']}"}
    listed = requests.get(f"{cluster['SERVER']}/api/jobs/", headers=with_token, timeout=60).text
    assert "sweeper-tiny-2" in listed and not any(one in listed for one in kept)
    paths = [path for path in Path(cluster["RAY_TMPDIR"]).rglob("*") if path.is_file()]
    assert len(paths) > 20
    for path in paths:
        assert not any(one.encode() in path.read_bytes() for one in kept), path


def test_the_doctor_looks_at_every_host(cluster: dict[str, str], tmp_path: Path) -> None:
    asked = ("doctor", TINY, "--store", tmp_path / "new" / "store", "--json", "--address")
    for address in (cluster["ADDRESS"], cluster["SERVER"]):
        ran = sweeper(*asked, address, env=cluster)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        found = {one["check"]: one for one in json.loads(ran.stdout)}
        assert "2 hosts for jobs" in found["address"]["said"]
        assert "the same on all 3 hosts" in found["versions"]["said"]
        assert "files that 6 made at once had one maker each" in found["exclusive"]["said"]
        assert {one["state"] for one in found.values()} <= {"ok", "note"}
    assert list(tmp_path.iterdir()) == []  # nothing is left of what it tried


def test_a_wrong_token_is_told(cluster: dict[str, str], tmp_path: Path) -> None:
    env = {**cluster, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ran = sweeper("submit", TINY, "--store", tmp_path, "--address", cluster["SERVER"], env=env)
    assert ran.returncode == 1 and "refuses the token" in ran.stderr
    assert "Set RAY_AUTH_TOKEN to the head's token" in ran.stderr
    ran = sweeper("doctor", "--address", cluster["ADDRESS"], "--json", env=env)
    assert ran.returncode == 1
    (found,) = (one for one in json.loads(ran.stdout) if one["state"] == "wrong")
    assert found["check"] == "address" and "RAY_AUTH_TOKEN is the head's token" in found["said"]
