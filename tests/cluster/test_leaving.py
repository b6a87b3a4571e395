"""What a host does that is taken away: SIGTERM to its `ray start --block`, and nothing before."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CLUSTER = Path(__file__).parents[2] / "cluster"

RAY = """\
#!/usr/bin/env bash
trap 'echo "drains for $RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S s"; exit 1' TERM
echo "$@"
while true; do sleep 0.05; done
"""


class Cloud(ThreadingHTTPServer):
    """The metadata of a spot host, as AWS and Google Cloud serve them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Metadata)
        self.asked = threading.Semaphore(0)
        self.takes_it = False


class Metadata(BaseHTTPRequestHandler):
    server: Cloud

    def log_message(self, *arguments: object) -> None:
        """Nothing of it belongs on the terminal."""

    def answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self) -> None:
        self.answer(200, "a-session") if self.path == "/latest/api/token" else self.answer(404)

    def do_GET(self) -> None:
        taken = self.server.takes_it
        if self.path == "/latest/meta-data/spot/instance-action":
            known = self.headers["X-aws-ec2-metadata-token"] == "a-session"
            self.answer(401 if not known else 200 if taken else 404, '{"action": "terminate"}')
        elif self.path == "/computeMetadata/v1/instance/preempted":
            known = self.headers["Metadata-Flavor"] == "Google"
            self.answer(200 if known else 403, "TRUE" if taken else "FALSE")
        self.server.asked.release()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where `ray` is a shell that waits for its end."""
    (tmp_path / "ray").write_text(RAY)
    (tmp_path / "ray").chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def start(path: str, env: dict[str, str], *command: str) -> subprocess.Popen:
    return subprocess.Popen(
        ["bash", *command],
        env={"PATH": path, "RAY_AUTH_TOKEN": "0" * 64, "HOME": "/nowhere", **env},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("name", "seconds"), [("aws", 90), ("gcp", 20)])
def test_a_spot_host_drains_as_soon_as_its_cloud_takes_it(
    cloud: Cloud, path: str, name: str, seconds: int
) -> None:
    at = f"127.0.0.1:{cloud.server_port}"
    env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{at}", "GCE_METADATA_HOST": at}
    host = start(path, env, str(CLUSTER / "spot.sh"), name, "10.0.0.1:6379")
    assert host.stdout
    assert "--address=10.0.0.1:6379" in host.stdout.readline()
    for _ in range(2):
        assert cloud.asked.acquire(timeout=30)
    assert host.poll() is None
    cloud.takes_it = True
    said, _ = host.communicate(timeout=30)
    assert said == f"drains for {seconds} s\n"


def test_a_spot_host_that_is_ended_drains_too(cloud: Cloud, path: str) -> None:
    env = {"GCE_METADATA_HOST": f"127.0.0.1:{cloud.server_port}"}
    host = start(path, env, str(CLUSTER / "spot.sh"), "gcp", "10.0.0.1:6379")
    assert host.stdout
    assert host.stdout.readline()
    host.send_signal(signal.SIGTERM)
    assert host.communicate(timeout=30)[0] == "drains for 20 s\n"


def test_a_pod_that_goes_ends_ray_and_waits_for_it(path: str) -> None:
    """In a process namespace of its own, as in a pod: there is one `ray start` to be found."""
    leave = CLUSTER / "kuberay" / "leave.sh"
    script = f"exec 3< <(ray start --block); read -r said <&3; bash {leave}; echo $said; cat <&3"
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "bash", "-c", script]
    env = {"PATH": path, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "90"}
    ran = subprocess.run(inside, env=env, capture_output=True, text=True, timeout=60, check=False)
    if "Operation not permitted" in ran.stderr:
        pytest.skip("a process namespace can only be made by root")
    assert ran.stdout.splitlines() == ["start --block", "drains for 90 s"]
