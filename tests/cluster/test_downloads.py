"""The workers of a host share what one of them downloads: `HF_HOME` on the host's own disk."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = bytes(range(256)) * 4096
WORKERS = 4

WORKER = """\
import sys
from huggingface_hub import hf_hub_download
print("ready", flush=True)
sys.stdin.readline()
path = hf_hub_download("some/encoder", "model.safetensors", revision=sys.argv[1])
with open(path, "rb") as file:
    print(len(file.read()))
"""


class Hub(ThreadingHTTPServer):
    """A hub with one file; counts what is fetched of it, and serves it when all have asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), File)
        self.fetched: Counter[str] = Counter()
        self.asked = threading.Barrier(WORKERS)


class File(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *arguments: object) -> None:
        """Nothing of it belongs on the terminal."""

    def head(self) -> None:
        self.server.fetched[self.command] += 1
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(WEIGHTS).hexdigest()}"')
        self.send_header("Content-Length", str(len(WEIGHTS)))
        self.end_headers()

    def do_HEAD(self) -> None:
        self.head()
        self.server.asked.wait(timeout=60)

    def do_GET(self) -> None:
        self.head()
        self.wfile.write(WEIGHTS)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_workers_that_start_at_once_download_once(hub: Hub, tmp_path: Path) -> None:
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_HOME": str(tmp_path),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-c", WORKER, COMMIT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    workers = [subprocess.Popen(command, env=env, text=True, **pipes) for _ in range(WORKERS)]
    for worker in workers:
        assert worker.stdout and worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        assert worker.communicate(timeout=60)[0] == f"{len(WEIGHTS)}\n"
    assert hub.fetched == {"HEAD": WORKERS, "GET": 1}
