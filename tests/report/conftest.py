"""A store of XTREME's targets, and what is exported out of it, made once for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from report.submission_world import Predicted, study, write_data
from sweeper import Store
from sweeper.report.submission import export_predictions


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
    export_predictions(Store(world.files.root).view(), folder)
    return folder


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "predictions")
