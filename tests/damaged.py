"""The store of `real_work.small`, for tests that damage it: its jobs, their commits, damages."""

from __future__ import annotations

from pathlib import Path

from sweeper import Store
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.store.markers import Commit

TRIALS = [f"tune/surface>topic/seed=0/trial={number}" for number in (0, 1)]
STAGE, SCORE, DATA = "train/surface/seed=0", "score/surface>topic/seed=0", "prepare/topic/test/48"
WINNER = "the one of TRIALS that is scored"


def job_of(store: Path, key: str) -> str:
    """A job's key, that of the winner found out."""
    if key != WINNER:
        return key
    address = Path(Store(store).best("topic", "surface").path).parts[-3]
    return Commits(StoreFiles(store)).by_address[address].job


def commit_of(store: Path, key: str) -> Commit:
    """The commit of a job that counts."""
    job = job_of(store, key)
    found = [one for one in Commits(StoreFiles(store)).by_address.values() if one.job == job]
    assert len(found) == 1, key
    return found[0]


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    """Cut off the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
