"""Markers: one attempt is named, generations, drops, and markers that are damaged."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from helpers import put, unrelated

from benchmarks import committing
from sweeper.errors import StoreError
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.store.folder import Folder
from sweeper.store.markers import commit, withdraw

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


def test_each_marker_is_read_once(on_disk: StoreFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a bucket a read is a round trip: many at once, and none of them again by itself."""
    _commit(on_disk, A, [U])
    _commit(on_disk, B, [V])
    read, content = [], Folder.content

    def counted(self: Folder, relative: str) -> bytes | None:
        read.append(relative)
        return content(self, relative)

    monkeypatch.setattr(Folder, "content", counted)
    assert set(Commits(on_disk).by_unit) == {U, V}
    assert sorted(read) == sorted([f"commits/{A}.0", f"commits/{B}.0"])


def test_reading_one_marker(files: StoreFiles) -> None:
    commits = Commits(files)
    assert commits.read(A) is None
    _commit(files, A, [U])
    assert commits.read(A) is commits.by_unit[U]
    assert commits.read(A, generation=1) is None


def test_reading_what_was_replaced_changes_nothing(files: StoreFiles) -> None:
    """As a driver does of an attempt that ends long after others took it for dead."""
    _commit(files, A, [U], "1")
    commits = Commits(files)
    commits.drop(A)
    _commit(files, A, [U], "2", generation=1)
    commits.refresh()
    assert commits.read(A, generation=0)
    assert (commits.by_unit[U].attempt, commits.by_address[A].dropped) == ("2", False)


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


def test_a_withdrawn_marker_counts_as_not_there(files: StoreFiles) -> None:
    _commit(files, A, [U])
    _commit(files, B, [V])
    before = Commits(files)
    assert withdraw(files, f"{A}.0", "its weights are damaged")
    assert not withdraw(files, f"{A}.0", "twice")
    assert files.exists(f"attempts/{A}/1/weights"), "nothing is deleted"
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


@pytest.mark.parametrize(
    ("anywhere", "text"),
    [*(("folder", text) for text in DAMAGE), ("s3", ""), ("gs", "{")],
    indirect=["anywhere"],
)
def test_a_damaged_marker_is_named_and_can_be_withdrawn(files: StoreFiles, text: str) -> None:
    _commit(files, A, [U])
    _commit(files, B, [V])
    put(files, f"commits/{A}.0", text)
    with pytest.raises(StoreError, match=rf"{A}\.0.*sweeper store verify --repair"):
        Commits(files)
    assert set(Commits(files, without=[f"{A}.0"]).by_unit) == {V}
    withdraw(files, f"{A}.0", "damaged")
    commits = Commits(files)
    assert set(commits.by_unit) == {V}
    assert commits.next_generation(A) == 1


def test_who_only_looks_leaves_a_damaged_marker_out(
    files: StoreFiles, caplog: pytest.LogCaptureFixture
) -> None:
    _commit(files, A, [U])
    put(files, f"commits/{B}.0", "{")
    put(files, "commits/notes.txt", "hello")
    commits = Commits(files, tolerant=True)
    assert set(commits.by_unit) == {U} and set(commits.damaged) == {f"{B}.0", "notes.txt"}
    assert [record.getMessage() for record in caplog.records] == [
        f"Left out: {why}" for why in commits.damaged.values()
    ]
    assert "sweeper store verify --repair" in commits.damaged[f"{B}.0"]
    assert "Move the file away" in commits.damaged["notes.txt"]
    assert commits.refresh() == [] and len(caplog.records) == 2, "each is told once"
    withdraw(files, f"{B}.0", "damaged")
    commits.refresh()
    assert set(commits.damaged) == {"notes.txt"}


def test_a_marker_that_was_restored_is_damaged_no_longer(
    files: StoreFiles, caplog: pytest.LogCaptureFixture
) -> None:
    _commit(files, A, [U])
    whole = files.content(f"commits/{A}.0")
    assert whole
    put(files, f"commits/{A}.0", "{")
    commits = Commits(files, tolerant=True)
    assert set(commits.damaged) == {f"{A}.0"} and U not in commits.by_unit
    put(files, f"commits/{A}.0", whole)
    assert [one.address for one in commits.refresh()] == [A]
    assert commits.damaged == {} and U in commits.by_unit and len(caplog.records) == 1


def test_a_whole_marker_is_none_of_the_damaged_ones(files: StoreFiles) -> None:
    put(files, f"commits/{A}.0", _marker())
    assert set(Commits(files).by_unit) == {A}


def test_a_stranger_among_the_markers_is_named(files: StoreFiles) -> None:
    _commit(files, A, [U])
    put(files, "commits/notes.txt", "hello")
    with pytest.raises(StoreError, match=r"notes\.txt is no marker's name"):
        Commits(files)


def test_a_draft_of_a_killed_worker_is_no_marker(on_disk: StoreFiles) -> None:
    _commit(on_disk, A, [U])
    on_disk.local("commits/.draft-1").write_text("{")
    assert set(Commits(on_disk).by_address) == {A}
