"""The shell scripts, the Dockerfile, and what must stand in no recipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CLUSTER = Path(__file__).parents[2] / "cluster"
SCRIPTS = sorted([*CLUSTER.rglob("*.sh"), *CLUSTER.rglob("*.sbatch")])
TOOLS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def said(*command: str | Path) -> str:
    """What a linter of the dev extras objects to."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=CLUSTER.parent,
        env={**os.environ, "PATH": TOOLS},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_passes_shellcheck(script: Path) -> None:
    assert said("bash", "-n", script) == ""
    assert said("shellcheck", "--external-sources", script) == ""


def test_the_dockerfile_passes_hadolint() -> None:
    assert said("hadolint", CLUSTER / "Dockerfile") == ""


def test_the_dockerfile_copies_what_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (CLUSTER / "Dockerfile").read_text(), re.M)
    for name in " ".join(copied).split():
        assert (CLUSTER.parent / name).exists(), name


@pytest.mark.parametrize("script", ["head.sh", "node.sh"])
def test_nothing_starts_without_a_token(script: str, tmp_path: Path) -> None:
    env = {"PATH": TOOLS, "HOME": str(tmp_path)}
    command = ["bash", str(CLUSTER / script), "127.0.0.1:1"]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "export RAY_AUTH_TOKEN=" in ran.stderr


def test_a_token_in_the_file_that_ray_reads_will_do(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    ray = tmp_path / "ray"
    ray.write_text('#!/bin/sh\necho "$RAY_AUTH_MODE" "$@"\n')
    ray.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    command = ["bash", str(CLUSTER / "head.sh")]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("token start --head")
    assert "--num-cpus=0 --num-gpus=0" in ran.stdout


def test_no_recipe_holds_a_token_or_opens_the_dashboard() -> None:
    files = [path for path in CLUSTER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 12
    for path in files:
        text = path.read_text()
        assert not re.search(r"\b[0-9a-f]{32,}\b|hf_\w{10}|AKIA\w{10}|BEGIN .*KEY", text), path
        opened = re.findall(r"dashboard-host[=:]\s*\"?(\S+)", text)
        # KubeRay's submitter is a pod of its own: see kuberay/network.yaml.
        assert set(opened) <= {"127.0.0.1"} or path.name == "rayjob.yaml", path
