"""A store in a fresh folder, and a disk that is small."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.store.files import StoreFiles


@pytest.fixture
def files(anywhere: str) -> StoreFiles:
    """A new store in a folder, and one in a bucket."""
    return StoreFiles(anywhere, create=True)


@pytest.fixture
def on_disk(tmp_path: Path) -> StoreFiles:
    """A new store in a folder."""
    return StoreFiles(tmp_path / "store", create=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs a root that may mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a lock may be held there
