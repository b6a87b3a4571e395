"""S3 on this machine: a moto server in a process of its own, and one bucket in it."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

BUCKET = "sweeps"

KEYS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}

_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until whoever started it ends
"""


@contextmanager
def s3_server(cache: Path) -> Iterator[str]:
    """A server with an empty bucket; yields its URL. The environment leads to it.

    Args:
        cache: The folder of the node's cache.
    """
    import boto3

    command = [sys.executable, "-c", _SERVER]
    silent = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=silent, text=True
    ) as server:
        assert server.stdout and server.stdin
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        told = {**KEYS, "AWS_ENDPOINT_URL_S3": url, "SWEEPER_CACHE": str(cache)}
        try:
            with patch.dict(os.environ, told):
                boto3.client("s3").create_bucket(Bucket=BUCKET)
                yield url
        finally:
            server.kill()


def new_address(scheme: str = "s3") -> str:
    """Where in the bucket a new store can be."""
    return f"{scheme}://{BUCKET}/{uuid.uuid4().hex}"
