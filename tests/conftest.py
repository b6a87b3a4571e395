"""Settings of the whole suite."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Shared machines are slow at times: a time limit per example would fail good tests.
settings.register_profile(
    "sweeper", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("sweeper")


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
