"""Files of a bucket on a node: fetched once, checked, whole; and rooms of dead processes."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import processes, put, unrelated
from real_work import Run, smallest

from benchmarks.flaky import flaky
from benchmarks.s3 import new_address
from sweeper.errors import StoreError
from sweeper.jobs import Result
from sweeper.store import bucket, nodecache
from sweeper.store.files import StoreFiles
from sweeper.store.markers import commit
from sweeper.training.work import work

A = unrelated("a")
FOLDER = f"attempts/{A}/1"
CONTENT = {"de/x.arrow": b"x" * 5000, "de/empty": b"", "fr/x.arrow": b"y" * 100}


def _committed(address: str, attempt: str = "1") -> StoreFiles:
    files = StoreFiles(address, create=True)
    folder = files.attempt_folder(A, attempt)
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    commit(files, address=A, generation=0, attempt=attempt, job="j", kind="train", units={},
           made=files.publish(f"attempts/{A}/{attempt}"), outcome={"status": "done"})  # fmt: skip
    return files


def _inside(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_what_is_committed_is_read_locally_wherever_it_lies(anywhere: str) -> None:
    files = _committed(anywhere)
    assert _inside(files.local(f"{FOLDER}/de")) == {"x.arrow": b"x" * 5000, "empty": b""}
    assert _inside(files.local(FOLDER)) == CONTENT
    assert files.local(f"{FOLDER}/fr/x.arrow").read_bytes() == b"y" * 100


def test_a_node_fetches_once(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "PART", 999)  # several requests per file
    with flaky(s3) as (url, faults):
        faults.reset(0)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        files = _committed(new_address())
        first = files.local(f"{FOLDER}/de")
        before = faults.seen
        assert files.local(f"{FOLDER}/de") == first
        assert faults.seen == before
        again = StoreFiles(files.address)
        before = faults.seen
        assert again.local(f"{FOLDER}/de") == first
        assert faults.seen == before
        assert _inside(first) == {"x.arrow": b"x" * 5000, "empty": b""}


def test_another_store_has_other_files(s3: str) -> None:
    one, other = _committed(new_address()), _committed(new_address())
    assert one.local(FOLDER) != other.local(FOLDER)


def test_another_node_fetches_for_itself(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _committed(address).local(FOLDER)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "other"))
    there = StoreFiles(address).local(FOLDER)
    assert there.is_relative_to(tmp_path / "other") and not here.is_relative_to(tmp_path)
    assert _inside(there) == CONTENT


def _fetch(address: str) -> dict[str, bytes]:
    return _inside(StoreFiles(address).local(FOLDER))


def test_many_processes_that_fetch_the_same(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with flaky(s3) as (url, faults):
        faults.reset(0)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
        address = _committed(new_address()).address
        before = faults.seen
        with processes() as pool:
            assert pool.map(_fetch, [address] * 12, chunksize=1) == [CONTENT] * 12
        # store.json each time; LIST, marker and two files (one is empty) once.
        assert faults.seen - before == 12 + 4


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_what_is_not_as_committed_is_not_kept(address: str, damage: str) -> None:
    files = _committed(address)
    name = f"{FOLDER}/de/x.arrow"
    if damage == "gone":
        files.remove(name)
    else:
        put(files, name, b"x" * 4999 if damage == "short" else b"x" * 4999 + b"y")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"de/x\.arrow must be what was committed"):
            files.local(f"{FOLDER}/de")
    put(files, name, b"x" * 5000)
    assert _inside(files.local(f"{FOLDER}/de"))["x.arrow"] == b"x" * 5000


def test_only_what_a_marker_names_is_fetched(address: str) -> None:
    files = _committed(address)
    (files.attempt_folder(A, "2") / "x").write_text("lost the race")
    files.publish(f"attempts/{A}/2")
    for name in (f"attempts/{A}/2", f"attempts/{A}/1/it", "attempts", f"{FOLDER}x"):
        with pytest.raises(StoreError, match="Only what a marker"):
            files.local(name)


def test_large_files_go_in_parts(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = StoreFiles(address, create=True)
    content = os.urandom(120 << 20)  # s3fs sends more than 100 MiB in parts
    with files.writing("resume/x/big") as draft:
        draft.path.write_bytes(content)
    assert draft.stored.size == len(content)
    with files.reading("resume/x/big") as path:
        assert path.read_bytes() == content
    assert not path.exists() and not draft.path.exists()


def test_an_attempt_takes_no_room_once_it_is_published_or_given_up(address: str) -> None:
    files = _committed(address)
    (files.attempt_folder(A, "2") / "x").write_text("will fail")
    files.discard(f"attempts/{A}/2")
    log = files.workspace("logs/j/1.log")
    log.write_text("said")
    assert [one.name for one in files.publish("logs/j/1.log")] == ["logs/j/1.log"]
    assert files.content("logs/j/1.log") == b"said"
    assert files.publish("logs/j/2.log") == []
    assert not [path for path in nodecache.workroom().rglob("*") if path.is_file()]


def test_the_room_of_a_killed_process_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
    script = (
        "import sys; from sweeper.store import nodecache; room = nodecache.workroom();"
        "(room / 'half').write_text('a checkpoint'); print(room, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    others = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    rooms = [Path(str(other.stdout and other.stdout.readline().strip())) for other in others]
    others[0].send_signal(signal.SIGKILL)
    others[0].wait()
    mine = nodecache.workroom()
    assert [room.exists() for room in (mine, *rooms)] == [True, False, True]
    others[1].communicate("")


def test_a_room_that_is_made_while_another_process_sweeps_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
    sweep = (
        "import fcntl; from sweeper.store import nodecache; room = nodecache.workroom();"
        "print(room, flush=True)"
    )
    lock = fcntl.flock

    def slow(handle: int, how: int) -> None:
        """Another process comes by before this one has its lock."""
        monkeypatch.setattr(fcntl, "flock", lock)
        subprocess.run([sys.executable, "-c", sweep], check=True, stdout=subprocess.DEVNULL)
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    assert nodecache.workroom().is_dir()


def test_where_no_room_can_be_made_the_job_says_so(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no job's fault, and no worker dies of it."""
    driver = Run(smallest(), address)
    given = driver.next()
    assert given
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "file"))
    *_, last = work(given[1], driver.files)
    assert isinstance(last, Result) and (last.status, last.error) == ("failed", "store")
    assert "must be a folder that can be made" in last.message


def test_a_full_disk_of_the_node_is_said(
    address: str, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = StoreFiles(address, create=True)
    monkeypatch.setenv("SWEEPER_CACHE", str(small_disk))
    assert "SWEEPER_CACHE" in StoreFiles(address).full()  # 256 KiB are less than it takes
    with pytest.raises(StoreError, match="full"), files.writing("resume/x/big") as draft:
        draft.path.write_bytes(b"x" * (1 << 20))
    assert files.names("resume/x") == []


def _three(cache: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[StoreFiles, list[str]]:
    """A store with three checkpoints of 1,000 bytes, and a node's cache for two of them."""
    monkeypatch.setenv("SWEEPER_CACHE", str(cache))
    files = StoreFiles(new_address(), create=True)
    folders = []
    for number, letter in enumerate("abc"):
        address = unrelated(letter)
        (files.attempt_folder(address, "1") / "weights").write_bytes(bytes([number]) * 1000)
        commit(files, address=address, generation=0, attempt="1", job=letter, kind="train",
               units={}, made=files.publish(f"attempts/{address}/1"),
               outcome={"status": "done"})  # fmt: skip
        folders.append(f"attempts/{address}/1")
    monkeypatch.setenv("SWEEPER_CACHE_GB", "2.5e-6")
    return files, folders


def test_what_was_used_longest_ago_makes_room(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, (first, second, third) = _three(tmp_path, monkeypatch)
    clock = iter(range(1, 100))
    monkeypatch.setattr(nodecache.os, "utime", _dated(clock))
    one, two = files.local(first), files.local(second)
    with (two / "weights").open("rb") as opened:
        files.local(first)
        three = files.local(third)
        assert (one.exists(), two.exists(), three.exists()) == (True, False, True)
        assert opened.read() == b"\1" * 1000  # what is open stays
    assert (files.local(second) / "weights").read_bytes() == b"\1" * 1000
    assert not one.exists()


def _dated(clock: Iterator[int]) -> Callable[[Path], None]:
    """Dates long ago, each later than the one before."""
    utime = os.utime

    def date(path: Path) -> None:
        now = next(clock)
        utime(path, (now, now))

    return date


def test_what_was_just_asked_for_stays(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, folders = _three(tmp_path, monkeypatch)
    assert all(path.exists() for path in [files.local(folder) for folder in folders])


@pytest.mark.parametrize("said", ["much", "0", "-1", "nan", "inf"])
def test_a_limit_is_a_number_above_0(
    said: str, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, folders = _three(tmp_path, monkeypatch)
    monkeypatch.setenv("SWEEPER_CACHE_GB", said)
    with pytest.raises(StoreError, match=f"a number of GB above 0; it is {said!r}"):
        files.local(folders[0])
