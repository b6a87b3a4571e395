"""S3 on this machine: moto's server, and one bucket in it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "sweeps"

KEYS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def s3_server() -> Iterator[str]:
    """A server with an empty bucket; yields its URL. The environment leads to it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    try:
        with patch.dict(os.environ, {**KEYS, "AWS_ENDPOINT_URL_S3": endpoint}):
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            yield endpoint
    finally:
        server.stop()


def new_address() -> str:
    """Where in the bucket a new store can be."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"
