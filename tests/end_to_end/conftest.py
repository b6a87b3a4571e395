"""Whole sweeps on real Ray, as a user starts them: run once, shared by the tests that look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TINY = Path(__file__).parent / "tiny.yaml"


def sweeper(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Run the command line; both streams are captured."""
    return subprocess.run(
        [sys.executable, "-m", "sweeper", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store of tiny.yaml; tests may read it and run the study again, not change it."""
    store = tmp_path_factory.mktemp("tiny") / "store"
    ran = sweeper("run", TINY, "--store", store)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return store


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The shipped demo as `sweeper run demo` leaves it: its store, and what was printed."""
    store = tmp_path_factory.mktemp("demo") / "store"
    ran = sweeper("run", "demo", "--store", store)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return store, ran.stdout
