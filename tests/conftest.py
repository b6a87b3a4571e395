"""Settings of the whole suite."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from gcs import gcs_server
from helpers import files_at
from hypothesis import HealthCheck, settings

from benchmarks.s3 import new_address, s3_server
from sweeper.store.files import StoreFiles

# Shared machines are slow at times: a time limit per example would fail good tests.
settings.register_profile(
    "sweeper", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("sweeper")

# As in a worker: the tests' models are too small for threads, and processes would share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = ("demo", "tiny", "cluster", "faults", "drivers", "all_tasks", "real_files", "bucket")
"""The files of end_to_end, those that take longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: files are dealt out in order to the processes of a run, and
    the many short ones then fill them up evenly."""

    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        if item.path.parent.name != "end_to_end":
            return len(LONGEST)
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 server that the environment leads to, with a node's cache of its own."""
    with s3_server(tmp_path_factory.mktemp("cache")) as url:
        yield url


@pytest.fixture
def address(s3: str) -> str:
    """Where in a bucket a new store can be."""
    return new_address()


@pytest.fixture(scope="session")
def gs(s3: str) -> Iterator[str]:
    """The URL of a GCS server that the environment leads to; the node's cache is that of `s3`."""
    with gcs_server() as url:
        told = {"STORAGE_EMULATOR_HOST": url, "FSSPEC_GS": '{"token": "anon"}'}
        with patch.dict(os.environ, told):
            yield url


@pytest.fixture(params=["folder", "s3", "gs"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store can be, of each sort."""
    if request.param == "folder":
        return str(tmp_path / "store")
    request.getfixturevalue(request.param)
    return new_address(request.param)


@pytest.fixture
def files(tmp_path: Path) -> StoreFiles:
    """A new store in a folder."""
    return files_at(tmp_path / "store")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the small study of `real_work`, which no test changes."""
    from real_work import Run, small

    store = tmp_path_factory.mktemp("finished") / "store"
    assert not Run(small(), store).go().progress.left
    return store


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "store"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs a root that may mount")
    yield folder
    # Lazily: what a test mapped into memory is in use until it is collected.
    subprocess.run(["umount", "-l", str(folder)], check=True)
