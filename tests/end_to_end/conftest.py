"""Whole sweeps on real Ray, as a user starts them: run once, shared by the tests that look."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """The sweeps of a module on one core: Ray starts a worker for each, and its start is most of
    the work of a small sweep. Processes of a test run that go on at once have a core each."""
    cores = os.sched_getaffinity(0)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.sched_setaffinity(0, {sorted(cores)[number % len(cores)]})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store of tiny.yaml; tests may read it and run the study again, not change it.

    It is made once for all processes of a test run, by the first that asks for it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # each process has a folder of its own in it
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "tiny").exists():
            ran = sweeper("run", TINY, "--store", shared / "being-made")
            assert ran.returncode == 0, ran.stdout + ran.stderr
            (shared / "being-made").rename(shared / "tiny")
    return shared / "tiny"


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The first seed of the shipped demo: its store, and what was printed.

    `benchmarks.demo_seeds` looks at many seeds; here they would be a third of the suite's time.
    """
    folder = tmp_path_factory.mktemp("demo")
    shipped = (Path(__file__).parents[2] / "search_spaces/demo.yaml").read_text()
    assert "seeds: [0, 1, 2]" in shipped
    (folder / "demo.yaml").write_text(shipped.replace("seeds: [0, 1, 2]", "seeds: [0]"))
    ran = sweeper("run", folder / "demo.yaml", "--store", folder / "store")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "store", ran.stdout
