"""Markers: one attempt is named, generations, drops, and markers that are damaged."""

from __future__ import annotations

from hashlib import sha256

import pytest
from helpers import put, unrelated

from benchmarks import committing
from sweeper.errors import StoreError
from sweeper.store.commits import Commits, commit
from sweeper.store.files import StoreFiles

A, B, U, V = (unrelated(name) for name in "abuv")
OUTCOME = {"status": "done", "message": "", "selections": {}}


def _commit(files: StoreFiles, address: str, units: list[str], attempt: str = "1",
            generation: int = 0) -> bool:  # fmt: skip
    (files.attempt_folder(address, attempt) / "weights").write_text(attempt)
    return commit(
        files,
        address=address,
        generation=generation,
        attempt=attempt,
        job="job",
        kind="train",
        units={str(n): unit for n, unit in enumerate(units)},
        made=files.publish(f"attempts/{address}/{attempt}"),
        outcome=OUTCOME,
    )


def test_a_marker_names_the_attempt_and_its_files(files: StoreFiles) -> None:
    assert _commit(files, A, [U, V])
    found = Commits(files).by_unit[U]
    assert found is Commits(files).by_address[A] or found.address == A
    assert found.folder == f"attempts/{A}/1"
    name = f"attempts/{A}/1/weights"
    assert found.files == {name: {"size": 1, "sha256": sha256(b"1").hexdigest()}}
    assert found.table("trials") is None


def test_the_second_attempt_to_end_is_not_named(files: StoreFiles) -> None:
    assert _commit(files, A, [U], "1")
    assert not _commit(files, A, [U], "2")
    assert Commits(files).by_address[A].attempt == "1"


def test_processes_that_commit_at_once(anywhere: str) -> None:
    """The benchmark in small: one marker per address, the winner's file, every row there."""
    assert committing.measure(anywhere, processes=6, each=3) == []


def test_refresh_brings_what_came_since(files: StoreFiles) -> None:
    _commit(files, A, [U])
    commits = Commits(files)
    _commit(files, B, [V])
    assert [c.address for c in commits.refresh()] == [B]
    assert commits.refresh() == []
    assert set(commits.by_unit) == {U, V}


def test_reading_one_marker(files: StoreFiles) -> None:
    commits = Commits(files)
    assert commits.read(A) is None
    _commit(files, A, [U])
    assert commits.read(A) is commits.by_unit[U]
    assert commits.read(A, generation=1) is None


def test_a_dropped_checkpoint_and_its_next_generation(files: StoreFiles) -> None:
    _commit(files, A, [U])
    commits = Commits(files)
    commits.drop(A)
    commits.drop(A)
    assert commits.by_unit[U].dropped
    assert not files.there([f"attempts/{A}/1"])
    assert Commits(files).by_unit[U].dropped, "a new reader sees the drop"

    _commit(files, A, [U], "2", generation=1)
    for reader in (Commits(files), commits):
        reader.refresh()
        assert not reader.by_unit[U].dropped
        assert (reader.by_address[A].generation, reader.by_address[A].attempt) == (1, "2")


def test_the_tenth_generation_comes_after_the_ninth(files: StoreFiles) -> None:
    for generation in range(11):
        _commit(files, A, [U], str(generation), generation)
    assert Commits(files).by_unit[U].generation == 10


@pytest.mark.parametrize("text", ["", "{", '{"address": "x"}', "[]", "null"])
def test_a_damaged_marker_is_named_and_can_be_deleted(files: StoreFiles, text: str) -> None:
    _commit(files, A, [U])
    _commit(files, B, [V])
    put(files, f"commits/{A}.0", text)
    with pytest.raises(StoreError, match=f"{A}.0.*Delete"):
        Commits(files)
    files.remove(f"commits/{A}.0")
    assert set(Commits(files).by_unit) == {V}


def test_a_stranger_among_the_markers_is_named(files: StoreFiles) -> None:
    _commit(files, A, [U])
    put(files, "commits/notes.txt", "hello")
    with pytest.raises(StoreError, match=r"notes\.txt is no marker's name"):
        Commits(files)


def test_a_draft_of_a_killed_worker_is_no_marker(on_disk: StoreFiles) -> None:
    _commit(on_disk, A, [U])
    on_disk.local("commits/.draft-1").write_text("{")
    assert set(Commits(on_disk).by_address) == {A}
