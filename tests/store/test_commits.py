"""Markers: one attempt is named, generations, drops, and markers that are damaged."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
from helpers import unrelated

from sweeper.errors import StoreError
from sweeper.store.commits import Commits, commit, withdraw
from sweeper.store.files import StoreFiles, file_digest

A, B, U, V = (unrelated(name) for name in "abuv")
OUTCOME = {"status": "done", "message": "", "selections": {}}


def _commit(files: StoreFiles, address: str, units: list[str], attempt: str = "1",
            generation: int = 0) -> bool:  # fmt: skip
    path = files.attempt_folder(address, attempt) / "weights"
    path.write_text(attempt)
    return commit(
        files,
        address=address,
        generation=generation,
        attempt=attempt,
        job="job",
        kind="train",
        units={str(n): unit for n, unit in enumerate(units)},
        made=[files.relative(path)],
        outcome=OUTCOME,
    )


def test_a_marker_names_the_attempt_and_its_files(files: StoreFiles) -> None:
    assert _commit(files, A, [U, V])
    found = Commits(files).by_unit[U]
    assert found is Commits(files).by_address[A] or found.address == A
    assert found.folder == f"attempts/{A}/1"
    name = f"attempts/{A}/1/weights"
    assert found.files == {name: {"size": 1, "sha256": file_digest(files.path(name))}}
    assert found.table("trials") is None


def test_the_second_attempt_to_end_is_not_named(files: StoreFiles) -> None:
    assert _commit(files, A, [U], "1")
    assert not _commit(files, A, [U], "2")
    assert Commits(files).by_address[A].attempt == "1"


def _race(arguments: tuple[str, int]) -> bool:
    return _commit(StoreFiles(arguments[0]), A, [U], str(arguments[1]))


def test_one_of_many_processes_is_named(files: StoreFiles) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        won = pool.map(_race, [(str(files.root), number) for number in range(40)], chunksize=1)
    assert sum(won) == 1
    assert Commits(files).by_address[A].attempt == str(won.index(True))


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
    assert not files.path(f"attempts/{A}/1").exists()
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


def test_a_withdrawn_marker_counts_as_not_there(files: StoreFiles) -> None:
    _commit(files, A, [U])
    _commit(files, B, [V])
    before = Commits(files)
    assert withdraw(files, f"{A}.0", "its weights are damaged")
    assert not withdraw(files, f"{A}.0", "twice")
    assert files.path(f"attempts/{A}/1/weights").exists(), "nothing is deleted"
    assert before.refresh() == []
    for reader in (Commits(files), before):
        assert (set(reader.by_address), set(reader.by_unit)) == ({B}, {V})
        assert (reader.next_generation(A), reader.next_generation(B)) == (1, 1)

    _commit(files, A, [U], "2", generation=1)
    for reader in (Commits(files), before):
        reader.refresh()
        assert reader.by_unit[U].attempt == "2"


def test_what_a_withdrawn_marker_replaced_counts_again(files: StoreFiles) -> None:
    """Units that two markers hold, and a dropped checkpoint whose next generation was lost."""
    _commit(files, A, [U])
    _commit(files, B, [U, V])
    commits = Commits(files)
    commits.drop(A)
    _commit(files, A, [U], "2", generation=1)
    commits.refresh()
    withdraw(files, f"{A}.1", "lost")
    withdraw(files, f"{B}.0", "lost")
    commits.refresh()
    assert (commits.by_unit[U].attempt, commits.by_unit[U].dropped) == ("1", True)
    assert V not in commits.by_unit
    assert commits.next_generation(A) == 2


def test_what_others_drop_is_seen(files: StoreFiles) -> None:
    _commit(files, A, [U])
    mine, theirs = Commits(files), Commits(files)
    theirs.drop(A)
    assert not mine.by_unit[U].dropped
    mine.refresh()
    assert mine.by_unit[U].dropped


def _marker(**changes: object) -> str:
    said = {
        "address": A, "generation": 0, "attempt": "1", "job": "j", "kind": "train",
        "units": {"all": A}, "files": {"x": {"size": 1, "sha256": "0"}}, "outcome": OUTCOME,
        "committed": 1.0,
    }  # fmt: skip
    return json.dumps({**said, **changes})


DAMAGE = [
    "", "{", '{"address": "x"}', "[]", "null", _marker()[: len(_marker()) // 2],
    _marker(address=B), _marker(generation=1), _marker(units=[A]), _marker(units={"all": 1}),
    _marker(files={"x": "0"}), _marker(outcome={}), _marker(more=1), _marker(committed="now"),
]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGE)
def test_a_damaged_marker_is_named_and_can_be_withdrawn(files: StoreFiles, text: str) -> None:
    _commit(files, A, [U])
    _commit(files, B, [V])
    files.path(f"commits/{A}.0").write_text(text)
    with pytest.raises(StoreError, match=rf"{A}\.0.*sweeper store verify --repair"):
        Commits(files)
    assert set(Commits(files, without=[f"{A}.0"]).by_unit) == {V}
    withdraw(files, f"{A}.0", "damaged")
    commits = Commits(files)
    assert set(commits.by_unit) == {V}
    assert commits.next_generation(A) == 1


def test_a_whole_marker_is_none_of_the_damaged_ones(files: StoreFiles) -> None:
    files.create("commits/x", {})
    files.remove("commits/x")
    files.path(f"commits/{A}.0").write_text(_marker())
    assert set(Commits(files).by_unit) == {A}


def test_a_stranger_among_the_markers_is_named(files: StoreFiles) -> None:
    _commit(files, A, [U])
    files.path("commits/notes.txt").write_text("hello")
    with pytest.raises(StoreError, match=r"notes\.txt is no marker's name"):
        Commits(files)


def test_a_draft_of_a_killed_worker_is_no_marker(files: StoreFiles) -> None:
    _commit(files, A, [U])
    files.path("commits/.draft-1").write_text("{")
    assert set(Commits(files).by_address) == {A}


def test_a_file_that_was_never_written_is_not_committed(files: StoreFiles, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        commit(files, address=A, generation=0, attempt="1", job="j", kind="train", units={},
               made=["attempts/none"], outcome=OUTCOME)  # fmt: skip
    assert files.names("commits") == []
