"""What a job reads is compared with its marker: once per process and file, and at every change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import unrelated

from sweeper.errors import DamageError
from sweeper.store import intact
from sweeper.store.files import StoreFiles
from sweeper.store.intact import Checked
from sweeper.store.markers import commit

A = unrelated("a")
WEIGHTS = f"attempts/{A}/1/checkpoint/weights"


@pytest.fixture
def stored(on_disk: StoreFiles) -> StoreFiles:
    """A commit of two folders, of two files each."""
    files = on_disk
    folder = files.attempt_folder(A, "1")
    names = ("checkpoint/weights", "checkpoint/config", "epoch=1/weights", "epoch=1/config")
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"the content of {name}")
    made = files.publish(f"attempts/{A}/1")
    outcome = {"status": "done", "message": "", "selections": {}}
    commit(files, address=A, generation=0, attempt="1", job="train/x", kind="train",
           units={"all": A}, made=made, outcome=outcome)  # fmt: skip
    return files


def checked(files: StoreFiles) -> Checked:
    return Checked(files, [f"{A}.0"])


def flip(path: Path) -> None:
    """Turn one bit over; size and time stay."""
    data, known = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: list[tuple[Callable[[Path], None], str]] = [
    (flip, "its content has changed"),
    (cut, r"it has 32 bytes of 33"),
    (Path.unlink, "it is not there"),
]


def test_what_is_whole_is_read(stored: StoreFiles) -> None:
    for name in (f"attempts/{A}/1/checkpoint", WEIGHTS):
        assert checked(stored).local(name) == Path(stored.where(name))


@pytest.mark.parametrize(("damage", "said"), DAMAGE)
@pytest.mark.parametrize("asked", [f"attempts/{A}/1/checkpoint", WEIGHTS])
def test_damage_is_found_before_use(
    stored: StoreFiles, damage: Callable[[Path], None], said: str, asked: str
) -> None:
    damage(Path(stored.where(WEIGHTS)))
    with pytest.raises(DamageError, match=rf"{WEIGHTS}, which train/x made, .*({said})") as found:
        checked(stored).local(asked)
    assert found.value.marker == f"{A}.0"
    checked(stored).local(f"attempts/{A}/1/epoch=1")


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_marker_that_is_damaged_vouches_for_nothing(
    stored: StoreFiles, text: str | None
) -> None:
    marker = Path(stored.where(f"commits/{A}.0"))
    if text is None:
        marker.unlink()
    else:
        marker.write_text(text)
    with pytest.raises(DamageError, match=f"{A}") as found:
        checked(stored).local(WEIGHTS)
    assert found.value.marker == f"{A}.0"


def test_a_file_is_hashed_once_per_process_until_it_changes(
    stored: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return digest(path)

    digest = intact.file_digest
    monkeypatch.setattr(intact, "file_digest", counted)
    for _ in range(3):  # three jobs on one worker
        checked(stored).local(f"attempts/{A}/1/checkpoint")
    assert sorted(hashed) == ["config", "weights"]
    Path(stored.where(WEIGHTS)).touch()
    checked(stored).local(f"attempts/{A}/1/checkpoint")
    assert sorted(hashed) == ["config", "weights", "weights"]
    flip(Path(stored.where(WEIGHTS)))
    Path(stored.where(WEIGHTS)).touch()
    with pytest.raises(DamageError):
        checked(stored).local(f"attempts/{A}/1/checkpoint")


def test_what_no_marker_vouches_for_is_given_as_it_is(stored: StoreFiles) -> None:
    assert Checked(stored, []).local(WEIGHTS) == Path(stored.where(WEIGHTS))
