"""Bad data in the middle of a sweep, diverging trials, full disks: one sentence each, no loss."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.compare import commits
from sweeper import Store
from sweeper.tasks import encoding
from tests.end_to_end.conftest import TINY, sweeper

CARD = """
name: moods
title: Moods
kind: classification
licence: none
labels: [good, bad]
training_task: moods
selection: {split: dev, language: qaa}
splits:
  train: {languages: [qaa]}
  dev: {languages: [qaa]}
  test: {languages: [qaa, qab]}
sources:
  local:
    format: tsv
    files: {train: "train.tsv", dev: "dev.tsv", test: "test-{language}.tsv"}
    columns: {text: 0, label: 1}
"""
ROWS = [f"word{i} is here\t{('good', 'bad')[i % 2]}" for i in range(20)]


def write_study(folder: Path) -> Path:
    """tiny.yaml with a target of the user's own card, of whose rows one is broken, and a rate
    that overflows float32 within an epoch."""
    (folder / "cards").mkdir(exist_ok=True)
    (folder / "cards" / "moods.yaml").write_text(CARD)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for name in ("train", "dev", "test-qaa", "test-qab"):
        (data / f"{name}.tsv").write_text("\n".join(ROWS) + "\n")
    (data / "test-qab.tsv").write_text("\n".join([*ROWS[:6], "odd one\tawful"]) + "\n")
    text = TINY.read_text().replace("seeds: [0, 1]", "seeds: [0]")
    text = text.replace("targets:\n", "targets:\n  moods:\n")
    text = text.replace("[3e-4, 1e-3]", "[1e-3, 1e30]").replace("epochs: 2}", "epochs: 4}")
    study = folder / "study.yaml"
    study.write_text(text + f"data: {data}\ntasks_path: cards\n")
    return study


@pytest.fixture(scope="module")
def swept(
    tmp_path_factory: pytest.TempPathFactory, one_core: None
) -> tuple[Path, subprocess.CompletedProcess]:
    """A store of that study, run with --keep-going, which no test changes; and what was said."""
    folder = tmp_path_factory.mktemp("faults")
    ran = sweeper("run", write_study(folder), "--store", folder / "store", "--keep-going")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "store", ran


def test_broken_rows_are_left_out_on_request_and_counted_in_store_and_report(
    swept: tuple[Path, subprocess.CompletedProcess],
) -> None:
    store, ran = swept
    said = ran.stdout + ran.stderr
    assert "1 broken row left out" in said
    assert "moods/test/qab: 1" in said

    opened = Store(store)
    scores = opened.scores(target="moods", intermediate="none").set_index("language")
    assert scores.loc["qab", "n"] == 6  # of seven rows, one is left out
    view = opened.view("tiny")
    assert view.skipped() == {"moods/test/qab": 1}
    (job,) = [key for key in view.plan.jobs if key.startswith("prepare/moods/test")]
    units = view.progress.addressing.units(job) or {}
    commit = view.progress.commits.by_unit[units["qab"]]
    assert commit.outcome["skipped"] == {"qab": 1}
    features, _ = encoding.open_unit(store / commit.folder / "qab")
    assert json.loads(features.schema.metadata[b"sweeper"])["skipped"] == 1


def test_a_diverged_trial_is_reported_and_its_search_goes_on(
    swept: tuple[Path, subprocess.CompletedProcess],
) -> None:
    store, ran = swept
    told = "diverged tune/none>topic/seed=0/trial=1"
    assert told in ran.stderr and "Lower the learning rate" in ran.stderr
    trials = Store(store).trials()
    tuned = trials[(trials["kind"] == "tune") & (trials["target"] == "topic")]
    status = tuned.groupby("trial")["status"].agg(set)
    assert status[0] == {"done"}
    assert status[1] == {"diverged"}
    assert Store(store).matrix().notna().all().all()


def test_a_bad_row_fails_its_job_blocks_what_needs_it_and_nothing_else(
    swept: tuple[Path, subprocess.CompletedProcess], tmp_path: Path
) -> None:
    study, store = write_study(tmp_path), tmp_path / "store"
    shutil.copytree(swept[0], store)
    # What is left out decides the rows: without --keep-going the data has other addresses.
    ran = sweeper("run", study, "--store", store)
    assert ran.returncode == 1
    said = ran.stdout + ran.stderr
    assert "test-qab.tsv" in said
    assert "awful" in said
    assert "score/none>moods/seed=0" in said  # blocked, and named
    scores = Store(store).scores()
    assert set(scores["target"]) == {"topic", "demo_retrieval"}

    (tmp_path / "data" / "test-qab.tsv").write_text("odd one\tgood\n")
    before = commits(store)
    again = sweeper("run", study, "--store", store)
    assert again.returncode == 0, again.stdout + again.stderr
    # The mended file is prepared and the blocked cells are scored: nothing else.
    assert commits(store) - before == 1 + 3


def test_a_full_disk_stops_the_sweep_with_a_sentence_and_loses_nothing(
    tmp_path: Path, one_core: None
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # Room for the checkpoints, without which a run does not begin, and not for all that is made.
    mount = ["mount", "-t", "tmpfs", "-o", "size=2600k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (it needs root)")
    try:
        store = disk / "store"
        full = sweeper("run", TINY, "--store", store)
        assert full.returncode == 1
        said = full.stdout + full.stderr
        assert "disk of the store is full" in said, said
        assert "Traceback" not in said
        before = commits(store)
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        again = sweeper("run", TINY, "--store", store)
        assert again.returncode == 0, again.stdout + again.stderr
        assert commits(store) > before > 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)
