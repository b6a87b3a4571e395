"""Ray's own autoscaler, asked by `scale.py`: from no hosts to two, and back.

The provider is the one with which Ray tests its autoscaler: what it calls a host
is one more raylet here.
"""

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

from sweeper import Store
from tests.end_to_end.conftest import TINY
from tests.end_to_end.test_cluster import HEAD, free_port, start, wait_for

SCALE = HEAD.parent / "scale.py"
FAKE = "ray.autoscaler._private.fake_multi_node"
HEAD_ID = "f" * 51 + "00000"  # the provider knows its head by this name

HOSTS = """\
import ray, time
ray.init(address="auto", logging_level="error")
while sum(1 for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")) != {wanted}:
    time.sleep(0.2)
"""


@pytest.fixture
def cluster() -> Iterator[dict[str, str]]:
    """A head with the autoscaler (v2) and no hosts yet; yields the environment."""
    folder = tempfile.mkdtemp(prefix="ray")
    port = free_port()
    config = {
        "cluster_name": "fake",
        "max_workers": 2,
        "idle_timeout_minutes": 0.05,
        "provider": {
            "type": "external",  # the wheel lacks the defaults of "fake_multinode"
            "module": f"{FAKE}.node_provider.FakeMultiNodeProvider",
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
            "gcs_address": f"127.0.0.1:{port}",
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "cpu": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 2},
        },
        "head_node_type": "ray.head.default",
        "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [],
        "initialization_commands": [], "setup_commands": [], "head_setup_commands": [],
        "worker_setup_commands": [], "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }  # fmt: skip
    Path(folder, "autoscaler.json").write_text(json.dumps(config))
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_AUTH_MODE": "token",
        "RAY_TMPDIR": folder,
        "SWEEPER_PORT": str(port),
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
    }
    head = start(HEAD, env, f"--autoscaling-config={folder}/autoscaler.json")
    try:
        wait_for(head, "Ray runtime started")
        own = ("RAY_OVERRIDE_NODE_ID_FOR_TESTING", "RAY_CLOUD_INSTANCE_ID")
        rest = {name: value for name, value in env.items() if name not in own}
        yield {**rest, "RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
def test_a_sweep_from_no_hosts_and_back(cluster: dict[str, str], tmp_path: Path) -> None:
    store, address = tmp_path / "store", cluster["RAY_ADDRESS"]
    sweep = [sys.executable, "-m", "sweeper", "run", TINY, "--store", store, "--address", address]
    command = [sys.executable, SCALE, address, "--cores", "2", "--", *sweep]
    ran = subprocess.run(command, env=cluster, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trials = Store(store).trials()
    assert set(trials["status"]) == {"done"}
    assert trials["worker"].nunique() >= 2  # both hosts that were asked for came
    gone = [sys.executable, "-c", HOSTS.format(wanted=0)]
    assert subprocess.run(gone, env=cluster, timeout=120, check=False).returncode == 0
