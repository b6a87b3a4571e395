"""What is said of hosts that differ, by facts that a host could tell."""

from __future__ import annotations

from typing import Any

import pytest

from sweeper.health import judging
from sweeper.health.findings import NOTE, OK, WRONG, Finding, wrong

VERSIONS = {"python": "3.11.7", "ray": "2.60.0", "torch": "2.13.0", "transformers": "5.23.0"}
H100 = {"name": "NVIDIA H100", "sm": "90", "runs": True}
NO_GPU = {"seen": [], "built": None, "devices": [], "error": ""}
MARK = [120, "0123456789abcdef"]


def host(name: str, **changes: Any) -> dict[str, Any]:
    told = {
        "host": name,
        "versions": VERSIONS,
        "gpus": NO_GPU,
        "data": {"root": "/data", "there": True, "files": {"xnli/dev.tsv": MARK}},
        "model": {"root": "/model", "there": True, "files": {"config.json": MARK}},
        "hub": "",
        "disk": {"/tmp": 100e9},
    }
    return {**told, **changes}


def gpu(**changes: Any) -> dict[str, Any]:
    told = {"seen": ["NVIDIA H100"] * 2, "built": "12.8", "devices": [H100, H100], "error": ""}
    return host("b", gpus={**told, **changes}, ray_gpus=2.0)


def judged(node: dict[str, Any]) -> list[Finding]:
    """What is wrong or noted of a cluster of this one node and a healthy driver."""
    return [f for f in judging.on_hosts(host("head"), {"b": node}) if f.state != OK]


def test_hosts_that_are_alike_are_well() -> None:
    nodes = {"b": host("b"), "c": host("c")}
    found = judging.on_hosts(host("head"), nodes)
    assert {finding.state for finding in found} == {OK} and not wrong(found)
    assert {finding.check for finding in found} == {"versions", "GPUs", "data", "model", "disk"}
    assert any("the same on all 3 hosts: python 3.11.7" in finding.said for finding in found)


@pytest.mark.parametrize(
    ("node", "check", "said", "fix"),
    [
        (
            host("b", versions={**VERSIONS, "transformers": "4.57.0"}),
            "versions",
            "transformers 4.57.0 (here 5.23.0)",
            "`pip install -c constraints.txt .` on b",
        ),
        (
            host("b", versions={k: v for k, v in VERSIONS.items() if k != "torch"}),
            "versions",
            "torch missing (here 2.13.0)",
            "pip install",
        ),
        (
            gpu(devices=[H100, {"name": "NVIDIA V100", "sm": "70", "runs": False}]),
            "GPUs",
            "a GPU that its torch has no kernels for: NVIDIA V100 (sm_70)",
            "Install a torch that was built for it",
        ),
        (gpu(built=None, devices=[]), "GPUs", "built without CUDA", "CUDA build of torch"),
        (gpu(devices=[H100]), "GPUs", "torch reaches 1 of 2 GPUs", "too old for CUDA 12.8"),
        (host("b", ray_gpus=4.0), "GPUs", "told of 4 GPUs, and the host shows none", "driver"),
        (
            host("b", data={"root": "/data", "there": False, "files": {"xnli/dev.tsv": None}}),
            "data",
            "no folder /data",
            "Mount or copy",
        ),
        (
            host("b", data={"root": "/data", "there": True, "files": {"xnli/dev.tsv": None}}),
            "data",
            "xnli/dev.tsv cannot be read in /data",
            "Copy them there",
        ),
        (
            host("b", data={"root": "/data", "there": True, "files": {"xnli/dev.tsv": [9, "f"]}}),
            "data",
            "xnli/dev.tsv differ from the driver's",
            "Copy the driver's files there",
        ),
        (
            host("b", model={"root": "/model", "there": False, "files": {"config.json": None}}),
            "model",
            "no folder /model",
            "Mount or copy",
        ),
        (host("b", hub="xlm-r cannot be had"), "hub", "xlm-r cannot be had", "HF_TOKEN"),
    ],
)
def test_what_would_stop_a_run_is_told_of_the_host(
    node: dict[str, Any], check: str, said: str, fix: str
) -> None:
    (found,) = judged(node)
    assert (found.check, found.where, found.state) == (check, "b", WRONG)
    assert said in found.said and fix in found.fix


def test_what_may_be_meant_is_noted() -> None:
    fewer = gpu()
    fewer["ray_gpus"] = 1.0
    (found,) = judged(fewer)
    assert found.state == NOTE and "Ray was told of 1 of 2 GPUs" in found.said
    (found,) = judged(host("b", disk={"/tmp": 1e9}))
    assert found.state == NOTE and found.said == "/tmp has 1.0 GB free"
    a100 = gpu(seen=["NVIDIA A100"], devices=[{"name": "NVIDIA A100", "sm": "80", "runs": True}])
    a100["ray_gpus"] = 1.0
    found = judging.gpus({"b": gpu(), "c": a100})
    assert [f.state for f in found] == [OK, NOTE]
    assert "1 x NVIDIA A100, 2 x NVIDIA H100" in found[1].said


def test_a_library_that_the_driver_lacks_is_told_once() -> None:
    driver = host("head", versions={**VERSIONS, "torch": ""})
    (found,) = judging.versions(driver, {"b": host("b")})
    assert (found.where, found.state) == ("head", WRONG) and "not installed: torch" in found.said


def test_files_with_two_makers_or_none_are_no_exclusive_creation() -> None:
    fair = [answer("a", [0, 2]), answer("b", [1])]
    assert [f.state for f in judging.race("/s", fair, 3)] == [OK, OK]
    for unfair in ([answer("a", [0, 1, 2]), answer("b", [1])], [answer("a", [0, 2])]):
        *_, found = judging.race("/s", unfair, 3)
        assert (found.check, found.state) == ("exclusive", WRONG)
        assert "of 3 files" in found.said and "1 had not one maker" in found.said
        assert "hard links" in found.fix and "If-None-Match" in found.fix


def test_a_host_without_rights_or_without_the_folder_is_named() -> None:
    said = "The store must be writable; /s is not (Permission denied)."
    (found,) = judging.race("/s", [answer("a", [0]), answer("b", [], error=said)], 1)
    assert (found.where, found.state, found.said) == ("b", WRONG, said)
    assert "allowed to read, write and delete" in found.fix
    (found,) = judging.race("/s", [answer("a", [0]), answer("b", [], seen=False)], 1)
    assert found.where == "b" and "does not see what the driver wrote to /s" in found.said
    assert "Mount the same shared folder" in found.fix


def answer(who: str, won: list[int], error: str = "", seen: bool = True) -> dict[str, Any]:
    return {"who": who, "won": won, "error": error, "seen": seen}


def test_clocks_are_told_where_they_mislead_and_stop_where_s3_refuses() -> None:
    (found,) = judging.clocks({"b": -0.2, "the store": 1.5}, in_s3=False)
    assert (found.state, found.said) == (OK, "at most 1.5 s apart")
    (found,) = judging.clocks({"b": -3600.0}, in_s3=False)
    assert found.state == NOTE and found.said == "3600 s behind the driver's clock"
    (found,) = judging.clocks({"b": 1000.0, "c": 1.0}, in_s3=True)
    assert (found.where, found.state) == ("b", WRONG) and "S3 refuses" in found.fix
