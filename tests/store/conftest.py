"""A store in a fresh folder."""

from __future__ import annotations

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
