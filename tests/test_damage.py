"""Damage of a store, and what becomes of it: mended by the next run, with nothing else done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from real_work import Run, small

from sweeper import Store
from sweeper.jobs import JobSpec
from sweeper.store.commits import Commit, Commits, withdraw
from sweeper.store.files import StoreFiles

TRIALS = [f"tune/surface>topic/seed=0/trial={number}" for number in (0, 1)]
WINNER = "the winner of TRIALS"
SCORE = "score/surface>topic/seed=0"


def commit_of(store: Path, key: str) -> Commit:
    """The commit of a job that counts."""
    found = [one for one in Commits(StoreFiles(store)).by_address.values() if one.job == key]
    assert len(found) == 1, key
    return found[0]


def winner(store: Path) -> str:
    """The trial that is scored on topic after surface."""
    path = Path(Store(store).best("topic", "surface").path)
    return next(key for key in TRIALS if commit_of(store, key).address == path.parts[-3])


def scores(store: Path) -> pd.DataFrame:
    """Every score of the study, without the names of attempts."""
    return Store(store).scores(metric="all").drop(columns=["attempt", "checkpoint"])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize(
    ("made_by", "file", "read_by"),
    [
        ("train/surface/seed=0", "checkpoint/model.safetensors", WINNER),
        ("train/surface/seed=0", "checkpoint/config.json", WINNER),
        (WINNER, "epoch=1/model.safetensors", SCORE),
        ("prepare/topic/test/48", "qab/features.arrow", SCORE),
        ("prepare/tokenizer", "tokenizer/tokenizer.json", SCORE),
    ],
)
def test_what_is_damaged_is_found_before_it_is_used_and_made_again(
    store: Path, made_by: str, file: str, read_by: str, damage: Callable[[Path], None]
) -> None:
    made_by, read_by = (winner(store) if key == WINNER else key for key in (made_by, read_by))
    before, files = scores(store), StoreFiles(store)
    broken = commit_of(store, made_by)
    damage(files.path(f"{broken.folder}/{file}"))
    # Nothing reads it while all is done; now one job must be done again that does.
    assert Run(small(), store).go().ran == []
    withdraw(files, commit_of(store, read_by).name, "for this test")

    run = Run(small(), store).go()
    assert run.ran == [read_by, made_by, read_by]
    (said,) = run.said("retry")
    assert f"{broken.folder}/{file}, which {made_by} made, is damaged" in said
    assert commit_of(store, made_by).generation == broken.generation + 1
    assert files.names("withdrawn").count(broken.name) == 1
    assert Run(small(), store).go().ran == []
    assert scores(store).equals(before)


def test_what_is_damaged_again_and_again_fails_the_job_that_reads_it(store: Path) -> None:
    files, trial = StoreFiles(store), winner(store)
    withdraw(files, commit_of(store, SCORE).name, "for this test")

    def damage(spec: JobSpec) -> None:
        if spec.key == SCORE:
            flip(files.path(f"{commit_of(store, trial).folder}/epoch=1/model.safetensors"))

    run = Run(small(), store).go(damage)
    assert run.ran == [SCORE, trial, SCORE, trial, SCORE]
    (said,) = run.said("failed")
    assert "is damaged: its content has changed" in said
    assert list(run.progress.failures) == [SCORE]
    assert Run(small(), store).go().ran == [trial, SCORE], "a run afterwards mends it"


def test_what_another_driver_dropped_meanwhile_is_not_taken_for_damage(store: Path) -> None:
    files, trial = StoreFiles(store), winner(store)
    mine = commit_of(store, SCORE).name
    withdraw(files, mine, "for this test")
    run = Run(small(), store)
    Commits(files).drop(commit_of(store, trial).address)
    assert run.go().ran == [SCORE, trial, SCORE]
    assert files.names("withdrawn") == [mine]
