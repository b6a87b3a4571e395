"""The recipe of cluster/README.md, with several nodes on this one machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from benchmarks.s3 import KEYS, new_address
from sweeper import Store
from tests.end_to_end.conftest import TINY, free_port, sweeper


def test_a_sweep_over_two_nodes_with_a_token_and_a_bucket(
    cluster: dict[str, str], s3: str
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


def test_a_wrong_token_is_refused_with_a_sentence(cluster: dict[str, str], tmp_path: Path) -> None:
    env = {**cluster, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    where = ("--store", tmp_path / "store", "--address", cluster["ADDRESS"])
    ran = sweeper("run", TINY, *where, env=env)
    assert ran.returncode == 1
    assert "token" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_address_without_a_cluster_is_refused_with_a_sentence(tmp_path: Path) -> None:
    where = ("--store", tmp_path / "store", "--address", f"127.0.0.1:{free_port()}")
    ran = sweeper("run", TINY, *where, env={**os.environ, "RAY_AUTH_MODE": "disabled"})
    assert ran.returncode == 1
    assert "ray status" in ran.stderr
    assert "Traceback" not in ran.stderr
