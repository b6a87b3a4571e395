"""`doctor` without a cluster, and what a run says of hosts that would compute otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import free_port, small_study

from sweeper.engine import nodes
from sweeper.engine.connecting import _unreachable, connected
from sweeper.errors import EngineError
from sweeper.health.host import versions
from tests.end_to_end.conftest import TINY, sweeper


def doctor(*words: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and by what was looked at the last that was found.

    In a process of its own: Ray that an earlier test has started would be taken for the cluster.
    """
    ran = sweeper("doctor", *words, "--json")
    return ran.returncode, {found["check"]: found for found in json.loads(ran.stdout)}


def test_a_healthy_host_is_told_so(tmp_path: Path) -> None:
    code, found = doctor(TINY, "--store", tmp_path / "store")
    assert code == 0 and {one["state"] for one in found.values()} <= {"ok", "note"}
    assert {"study", "versions", "GPUs", "disk", "store", "exclusive", "clock"} == {*found}
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_address_is_told_and_the_rest_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_hub")
    address = f"127.0.0.1:{free_port()}"
    code, found = doctor(TINY, "--store", tmp_path / "hf_secret_of_hub", "--address", address)
    assert code == 1 and found["address"]["state"] == "wrong"
    assert "`ray status` on its head" in found["address"]["said"]
    assert found["store"]["state"] == "ok" and "hf_secret" not in str(found)


def test_what_a_study_lacks_here_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path / "nowhere"))
    foreign = tmp_path / "thesis.tex"
    foreign.write_text("years of work")
    code, found = doctor("local_files", "--store", tmp_path)
    assert code == 1
    assert found["data"]["state"] == "wrong" and "nowhere" in found["data"]["said"]
    assert found["store"]["state"] == "wrong" and "not a store" in found["store"]["said"]
    said = sweeper("doctor", "--store", tmp_path)
    assert said.returncode == 1 and "1 would stop a run." in said.stdout


@pytest.mark.parametrize("there", [True, False])
def test_a_base_model_that_lacks_files_is_told(there: bool, tmp_path: Path) -> None:
    if there:
        (tmp_path / "model").mkdir()
    made = {**json.loads(small_study().model_dump_json(exclude_unset=True)), "base": {}}
    made["base"]["model"] = "./model"
    (tmp_path / "small.yaml").write_text(json.dumps(made))
    code, found = doctor(tmp_path / "small.yaml")
    assert code == 1 and found["model"]["state"] == "wrong"
    assert ("lacks some" if there else "is no folder") in found["model"]["said"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:8265", "(http://...) is for `sweeper submit`"),
        ("", "and it is empty. Give it, or leave --address out"),
    ],
)
def test_what_is_no_address_of_a_cluster_is_refused_at_once(address: str, said: str) -> None:
    with pytest.raises(EngineError) as error, connected(address):
        pass
    assert said in str(error.value)


def test_a_token_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The boundary's stand-in: Ray with RAY_AUTH_MODE=token and nothing else."""
    import ray

    def refuse(**_: Any) -> None:
        raise ray.exceptions.AuthenticationError("no authentication token was found. Ensure")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    said = "that RAY_AUTH_TOKEN is the head's token"
    with pytest.raises(EngineError, match=said), connected("auto"):
        pass


def test_a_run_refuses_hosts_with_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The boundary's stand-in: two hosts, of which one has another transformers."""
    told = {
        "gpu-1": {"host": "gpu-1", "versions": versions()},
        "gpu-2": {"host": "gpu-2", "versions": {**versions(), "transformers": "4.0.1"}},
    }
    monkeypatch.setattr(nodes, "working", dict)
    monkeypatch.setattr(nodes, "on_each", lambda *_: (told, {}))
    with pytest.raises(EngineError) as error:
        nodes.check_versions()
    assert "gpu-2: transformers 4.0.1 (here " in str(error.value)
    assert "`pip install -c constraints.txt .` on gpu-2" in str(error.value)
    assert "gpu-1" not in str(error.value)
    told["gpu-2"] = told["gpu-1"]
    nodes.check_versions()


def test_another_ray_or_python_than_the_cluster_is_told_as_that() -> None:
    said: Any = RuntimeError(
        "Version mismatch: The cluster was started with:\n    Ray: 2.58.0\n    Python: 3.11.4\n"
        "This process on node 10.0.0.2 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7"
    )
    told = _unreachable("10.0.0.1:6379", said)
    assert "must have the same Ray and Python" in told and "Ray: 2.58.0 Python: 3.11.4" in told
    assert "pip install -c constraints.txt" in told and "token" not in told
