"""The store's folder: exclusive creation, refusals, damage, full and read-only disks."""

from __future__ import annotations

import builtins
import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
from helpers import processes, put
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.errors import StoreError, UnreachableError
from sweeper.store.files import (
    SCHEMA_VERSION,
    StoreFiles,
    canonical,
    digest,
    digests,
    folder_of,
    has_store,
)


def test_a_store_is_made_once_and_opened_again(anywhere: str) -> None:
    assert not has_store(anywhere)
    made = StoreFiles(anywhere, create=True).content("store.json")
    StoreFiles(anywhere, create=True)
    assert StoreFiles(anywhere).read("store.json")["sweeper_store"] == SCHEMA_VERSION
    assert StoreFiles(anywhere).content("store.json") == made
    assert has_store(anywhere)


def test_many_files_are_read_in_the_order_asked_for(on_disk: StoreFiles) -> None:
    """More than one thread reads; a name that is not there is none of theirs to hide."""
    for number in range(150):
        put(on_disk, f"asks/search/{number}.json", canonical({"number": number}))
    asked = [f"asks/search/{number}.json" for number in reversed(range(150))]
    assert [one["number"] for one in on_disk.read_all(asked)] == list(reversed(range(150)))
    with pytest.raises(StoreError, match=r"asks/search/150\.json"):
        on_disk.read_all([*asked, "asks/search/150.json"])


def test_no_store_says_what_to_do(anywhere: str) -> None:
    with pytest.raises(StoreError, match=r"no store in .*Run a study first"):
        StoreFiles(anywhere)
    assert not has_store(anywhere)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="holds files and is not a store"):
        StoreFiles(tmp_path, create=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        StoreFiles(tmp_path / "s", create=True)


def test_a_store_whose_maker_was_killed_half_way_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".draft-0123").write_text("{")
    assert StoreFiles(tmp_path / "s", create=True).names("") == ["store.json"]


def test_another_schema_is_refused_and_untouched(files: StoreFiles) -> None:
    put(files, "store.json", json.dumps({"sweeper_store": SCHEMA_VERSION + 1}))
    with pytest.raises(StoreError, match=f"has schema {SCHEMA_VERSION + 1}, made by.*Upgrade"):
        StoreFiles(files.address, create=True)
    assert list(files.sizes("")) == ["store.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_damaged_identity_is_said(files: StoreFiles, text: str) -> None:
    put(files, "store.json", text)
    with pytest.raises(StoreError, match="not a readable store.json"):
        StoreFiles(files.address, create=True)


def _create(arguments: tuple[str, int]) -> bool:
    root, number = arguments
    return StoreFiles(root, create=True).create("asks/x/0.json", {"who": number})


def test_one_of_many_processes_wins(anywhere: str) -> None:
    with processes() as pool:
        won = pool.map(_create, [(anywhere, number) for number in range(48)], chunksize=1)
    assert sum(won) == 1
    files = StoreFiles(anywhere)
    assert files.read("asks/x/0.json") == {"who": won.index(True)}
    if folder_of(anywhere):
        assert len(list(files.local("asks/x").iterdir())) == 1, "drafts are left behind"


def test_what_is_there_is_never_replaced(files: StoreFiles) -> None:
    assert files.create("a/b.json", {"x": 1})
    assert not files.create("a/b.json", {"x": 2})
    assert files.read("a/b.json") == {"x": 1}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a/.."])
def test_names_stay_inside(files: StoreFiles, name: str) -> None:
    with pytest.raises(StoreError, match="stay inside"):
        files.local(name)
    with pytest.raises(StoreError, match="stay inside"):
        files.create(name, {})
    with pytest.raises(StoreError, match="stay inside"):
        files.remove(name)


def test_a_part_of_the_store_may_lie_on_another_disk(on_disk: StoreFiles, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    on_disk.local("attempts").symlink_to(tmp_path / "big")
    assert on_disk.attempt_folder("address", "a").is_dir()
    assert (tmp_path / "big/address/a").is_dir()


def test_damage_names_the_file(files: StoreFiles) -> None:
    put(files, "a.json", b'{"x": \xff')
    with pytest.raises(StoreError, match=r"a\.json is damaged.*Delete this one file"):
        files.read("a.json")
    with pytest.raises(StoreError, match=r"b\.json cannot be read: No such file"):
        files.read("b.json")


def test_a_heartbeat_is_replaced_whole(files: StoreFiles) -> None:
    files.replace("drivers/one.json", {"beat": 1})
    files.replace("drivers/one.json", {"beat": 2})
    assert files.read("drivers/one.json") == {"beat": 2}
    assert files.names("drivers") == ["one.json"]
    files.remove("drivers/one.json")
    assert not files.exists("drivers/one.json")


def test_names_are_sorted_and_without_drafts(files: StoreFiles) -> None:
    for name in ("x/b", "x/a", "x/c/d", "xx/e"):
        files.create(name, {})
    if folder_of(files.address):
        files.local("x/.draft-1").write_text("")
    assert files.names("x") == ["a", "b", "c"]
    assert files.names("y") == []
    assert files.sizes("x") == {"a": 2, "b": 2, "c/d": 2}
    assert files.there(["x", "x/c", "y"]) == {"x", "x/c"}


def test_removing_twice_is_no_error(files: StoreFiles) -> None:
    for name in ("x/a/b", "x/a/c", "x/ab", "x/a.json"):
        files.create(name, {})
    files.remove("x/a")
    files.remove("x/a")
    assert files.names("x") == ["a.json", "ab"]
    files.remove("x/ab")
    files.delete("x/ab")
    assert files.names("x") == ["a.json"]
    files.delete("x/a.json")
    assert files.names("x") == []


def test_a_full_disk_is_said_and_loses_nothing(small_disk: Path) -> None:
    files = StoreFiles(small_disk / "s", create=True)
    files.create("commits/first", {"x": 1})
    with pytest.raises(StoreError, match="disk of the store is full.*What is committed is safe"):
        for number in range(1000):
            files.create(f"commits/{number}", {"x": "y" * 4000})
    names = files.names("commits")
    assert "first" in names
    assert all(files.read(f"commits/{name}") for name in names)
    drafts = [p for p in files.local("commits").iterdir() if p.name.startswith(".")]
    assert not drafts, "a draft holds room that the disk lacks"
    files.local("commits/0").unlink()
    assert files.create("commits/0", {"x": 2})


def test_a_full_disk_is_said_for_new_folders(
    on_disk: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StoreError, match="full"):
        on_disk.create("new/x", {})
    with pytest.raises(StoreError, match="full"):
        on_disk.attempt_folder("x", "a")


def test_a_read_only_disk_is_said(small_disk: Path) -> None:
    files = StoreFiles(small_disk / "s", create=True)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="must be writable.*Mend its permissions"):
        files.create("a/b", {})
    with pytest.raises(StoreError, match="must be writable"):
        StoreFiles(small_disk / "other", create=True)
    assert StoreFiles(small_disk / "s").read("store.json")


def test_a_disk_that_fails_is_said_and_may_be_back(
    on_disk: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file server that is rebooted: it is no refusal, and no other error than ours."""
    put(on_disk, "asks/s/0.json", b"{}")

    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patched:
        for owner, name in (
            (os, "link"), (Path, "replace"), (Path, "unlink"), (builtins, "open"),
            (Path, "exists"), (os, "listdir"), (Path, "is_dir"), (os, "scandir"),
        ):  # fmt: skip
            patched.setattr(owner, name, stale)
        for act in (
            lambda: on_disk.create("asks/s/1.json", {}),
            lambda: on_disk.replace("drivers/d.json", {}),
            lambda: on_disk.delete("asks/s/0.json"),
            lambda: on_disk.find("asks/s/0.json"),
            lambda: on_disk.read_all(["asks/s/0.json"]),
            lambda: on_disk.exists("asks/s/0.json"),
            lambda: on_disk.names("asks"),
            lambda: on_disk.sizes("asks"),
            lambda: on_disk.there(["asks/s"]),
        ):
            with pytest.raises(UnreachableError, match=r"Stale file handle.*start the same run"):
                act()
    assert on_disk.sizes("asks") == {"s/0.json": 2}


def test_what_may_not_be_read_is_refused(
    on_disk: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(builtins, "open", denied)
    with pytest.raises(StoreError, match="Restore the file or its permissions") as caught:
        on_disk.find("asks/s/0.json")
    assert not isinstance(caught.value, UnreachableError)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
).filter(lambda data: "Infinity" not in json.dumps(data))


@settings(max_examples=40)
@given(st.dictionaries(st.text(), _JSON), st.randoms())
def test_a_digest_knows_no_order_of_keys(data: dict[str, object], chance: object) -> None:
    keys = list(data)
    chance.shuffle(keys)  # type: ignore[attr-defined]
    assert digest(data) == digest({key: data[key] for key in keys})
    assert json.loads(canonical(data)) == json.loads(json.dumps(data))


@settings(max_examples=40)
@given(st.dictionaries(st.text(), _JSON), st.lists(st.uuids(), min_size=1))
def test_digests_of_several_at_once_are_the_same(shared: dict[str, object], texts: list) -> None:
    several = {str(n): {**shared, "data": text.hex} for n, text in enumerate(texts)}
    assert digests(several, "data") == {name: digest(said) for name, said in several.items()}


def test_addresses_refuse_what_has_no_one_text() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        digest({"x": float("nan")})


def test_a_store_below_a_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="must be a folder that can be made"):
        StoreFiles(tmp_path / "file" / "store", create=True)
