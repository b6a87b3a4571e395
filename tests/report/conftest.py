"""Stores, and what is exported out of them, made once for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from analysis.world import World
from analysis.world import study as tiny

from report.matrices import MARKUP
from report.submission_world import Predicted, study, write_data
from sweeper import Store
from sweeper.report.submission import export_predictions
from sweeper.report.webpage.page import write

LEFT, FAILED = (
    ("score/supersense>tagging/seed=2", "score/more>demo_retrieval"),
    "train/more/seed=1",
)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that is not complete: two cells lack scores, one training failed."""
    folder = tmp_path_factory.mktemp("page") / "store"
    made = World(folder, tiny(description=MARKUP))
    made.run(leave=lambda key: key.startswith(LEFT), fail={FAILED})
    return folder


@pytest.fixture(scope="session")
def page_file(store: Path) -> Path:
    """Its report."""
    path = store.parent / "report.html"
    write(Store(store).view(), path)
    return path


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


@pytest.fixture(scope="session")
def world(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Predicted:
    folder = tmp_path_factory.mktemp("store")
    made = Predicted(folder / "s", study(data), folder / "prepared")

    def dev(row: str, seed: int, trial: int) -> tuple[float, float, int]:
        return {"none": 60.0, "mnli": 70.0}[row] + seed, 0.5, 1

    made.run(dev=dev)
    return made


@pytest.fixture(scope="session")
def exported(world: Predicted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictions")
    export_predictions(Store(world.files.address).view(), folder)
    return folder


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "predictions")
