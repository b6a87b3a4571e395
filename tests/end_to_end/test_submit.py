"""`submit` and `doctor` on the cluster of cluster/README.md, through its job server."""

from __future__ import annotations

import json
import secrets
from itertools import count
from pathlib import Path

import pytest
import requests

from benchmarks.s3 import KEYS, new_address
from sweeper import Store
from sweeper.engine.jobserver import JobServer
from tests.end_to_end.conftest import TINY, sweeper

HUB = "hf_TheTokenOfTheLaptopItself"


@pytest.fixture
def server(cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> JobServer:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", cluster["RAY_AUTH_TOKEN"])
    return JobServer(cluster["SERVER"])


def test_a_submitted_study_is_stopped_goes_on_and_tells_no_secret(
    cluster: dict[str, str], server: JobServer, s3: str
) -> None:
    store, at = new_address(), ("--address", cluster["SERVER"])
    env = {**cluster, "HF_TOKEN": HUB, **KEYS, "AWS_ENDPOINT_URL_S3": s3}

    def submit() -> str:
        ran = sweeper("submit", TINY, "--store", store, *at, env=env)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert "Submitted sweeper-tiny-1" in submit()  # and the process that did is no more
    assert "sweeper-tiny-1 is at it already" in submit()
    for _ in count():  # as long as the test may take
        said = server.log("sweeper-tiny-1")
        if "done" in said:
            break
        assert server.job("sweeper-tiny-1").lives, said
    server.stop("sweeper-tiny-1")  # as `ray job stop` does: SIGTERM
    followed = sweeper("logs", "--driver", "tiny", "--follow", *at, env=env)
    assert "SIGTERM: saving what runs, then stopping" in followed.stdout
    assert "jobs are left, and nothing that was committed is lost" in followed.stdout
    assert server.job("sweeper-tiny-1").state == "STOPPED" and followed.returncode == 143

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
