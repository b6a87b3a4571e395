"""A compacted store answers as it did, and goes on."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from analysis.world import World, study
from helpers import put, unrelated
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper import Store
from sweeper.errors import StoreError
from sweeper.store import tables, verify
from sweeper.store.commits import Commits
from sweeper.store.compacted import Compacted
from sweeper.store.compacting import compact
from sweeper.store.files import StoreFiles
from sweeper.store.folder import Draft
from sweeper.store.markers import commit, withdraw
from sweeper.store.schema import TABLES
from sweeper.store.waiting import Waiting

OUTCOME = {"status": "done", "message": "", "selections": {}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "s").run(leave=lambda key: key.startswith("score/more"))


def answers(address: str) -> list[pd.DataFrame]:
    store = Store(address)
    found = [store.scores(metric="all"), store.examples(), store.trials()]
    found = [one.sort_values(list(one.columns[:9]), ignore_index=True) for one in found]
    return [*found, store.transfer("gain").to_frame()]


def test_the_answers_are_the_same_without_the_small_files(world: World) -> None:
    before = answers(world.files.address)
    manifest = compact(world.files)
    # Retrieval on the control is there once and counts for three seeds, with two metrics.
    assert manifest["rows"]["scores"] == len(before[0]) - 4
    shutil.rmtree(Path(world.files.address) / "tables")
    for one, other in zip(before, answers(world.files.address), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_what_came_later_is_read_beside_it(world: World) -> None:
    compact(world.files)
    World(Path(world.files.address)).run()
    assert Store(world.files.address).transfer().complete


def test_markers_are_read_from_it_and_records_still_count(world: World) -> None:
    compact(world.files)
    name = next(n for n in world.files.names("commits"))
    world.files.create(f"withdrawn/{name}", {"why": "it is damaged", "withdrawn": 1.0})
    again = StoreFiles(world.files.address)
    assert again.compacted is not None and name in again.compacted.markers
    assert name.rpartition(".")[0] not in Commits(again).by_address


JOBS = ("uv", "vw", "wx", "u")
"""The units of some jobs, which have some in common."""


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_counts_is_the_same_whenever_it_was_compacted(chance: random.Random) -> None:
    """Markers of some jobs with units in common, made and withdrawn before and after."""
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):
        files = StoreFiles(folder, create=True)
        compacted_at, names = chance.randrange(12), []
        for number in range(12):
            if number == compacted_at:
                compact(StoreFiles(folder))
            job, generation = chance.randrange(4), chance.randrange(3)
            address, units = unrelated(f"job {job}"), {u: unrelated(u) for u in JOBS[job]}
            if commit(files, address=address, generation=generation, attempt=str(number),
                      job="j", kind="train", units=units, made=(), outcome=OUTCOME):  # fmt: skip
                names.append(f"{address}.{generation}")
            if chance.random() < 0.2:
                withdraw(files, chance.choice(names), "damaged")
        one, other = Commits(StoreFiles(folder)), Commits(StoreFiles(folder))
        units = [unrelated(u) for u in chance.sample("uvwx", 4)]
        found = {unit: one.by_unit.get(unit) for unit in units}
        assert other.by_address == one.by_address
        shutil.rmtree(Path(folder) / "compacted")
        plain = Commits(StoreFiles(folder))
        assert found == {unit: plain.by_unit.get(unit) for unit in units}
        assert other.by_unit == plain.by_unit
        assert one.by_address == plain.by_address
        for address in one.by_address:
            assert one.next_generation(address) == plain.next_generation(address)


def test_of_other_studies_nothing_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        commit(world.files, address=unrelated(f"a{number}"), generation=0, attempt="1",
               job=f"train/other/seed={number}", kind="train",
               units={"all": unrelated(f"u{number}")}, made=(), outcome=OUTCOME)  # fmt: skip
    compact(world.files)
    read: list[str] = []
    before = Waiting.take

    def seen(waiting: Waiting, name: str) -> str:
        content = before(waiting, name)
        read.append(json.loads(content)["job"])
        return content

    monkeypatch.setattr(Waiting, "take", seen)
    assert Store(world.files.address).transfer()
    assert read and not [job for job in read if job.startswith("train/other/")]


def test_a_generation_of_another_format_is_left_alone(world: World) -> None:
    before = answers(world.files.address)
    compact(world.files)
    manifest = world.files.read("compacted/000000.json")
    world.files.replace("compacted/000000.json", {**manifest, "format": 1})
    assert StoreFiles(world.files.address).compacted is None
    for one, other in zip(before, answers(world.files.address), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_generation_follows_another(world: World) -> None:
    compact(world.files)
    World(Path(world.files.address)).run()
    compact(StoreFiles(world.files.address))
    files = StoreFiles(world.files.address)
    assert [n for n in files.names("compacted") if n.endswith("json")] == [
        "000000.json", "000001.json",
    ]  # fmt: skip
    assert files.compacted is not None
    assert files.compacted.markers.keys() == set(files.names("commits"))


def test_two_at_once_write_a_generation_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(world.files.address)
    writing, begun = StoreFiles.writing, []

    def late(files: StoreFiles, relative: str) -> AbstractContextManager[Draft]:
        if not begun:  # another one runs just before the first file of this one
            begun.append(relative)
            compact(StoreFiles(world.files.address))
        return writing(files, relative)

    monkeypatch.setattr(StoreFiles, "writing", late)
    compact(StoreFiles(world.files.address))
    files = StoreFiles(world.files.address)
    assert [n for n in files.names("compacted") if n.endswith("json")] == [
        "000000.json", "000001.json",
    ]  # fmt: skip
    shutil.rmtree(Path(world.files.address) / "tables")
    for one, other in zip(before, answers(world.files.address), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_rows_are_cut_from_several_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.store.compacting._GROUP", 10)
    world = World(tmp_path / "s").run()
    names = [n for c in Commits(world.files).by_address.values() if (n := c.table("scores"))]
    before = {name: tables.read(world.files, "scores", [name]) for name in names}
    compact(world.files)
    files = StoreFiles(world.files.address)
    for name in [*names, *names[::-1]]:
        assert tables.read(files, "scores", [name]).equals(before[name])


def test_compacting_again_reads_what_is_compacted_many_files_at_once(world: World) -> None:
    """Read file by file, a row group was in memory as often as it has files."""
    compact(world.files)
    World(Path(world.files.address)).run()
    files = StoreFiles(world.files.address)
    before = answers(world.files.address)
    with mock.patch.object(Compacted, "read", autospec=True, side_effect=Compacted.read) as reads:
        compact(files)
    assert sorted(call.args[1] for call in reads.call_args_list) == sorted(TABLES)
    shutil.rmtree(Path(world.files.address) / "tables")
    for one, other in zip(before, answers(world.files.address), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_damaged_generation_says_what_to_do(world: World) -> None:
    compact(world.files)
    (Path(world.files.address) / "compacted/000000/scores.parquet").write_bytes(b"no table")
    with pytest.raises(StoreError, match="Delete the folder compacted: nothing is lost"):
        Store(world.files.address).scores()
    shutil.rmtree(Path(world.files.address) / "compacted")
    assert len(Store(world.files.address).scores())


def test_verify_looks_at_the_small_files_and_finds_nothing_to_repair(world: World) -> None:
    compact(world.files)
    with mock.patch.object(Compacted, "read", side_effect=AssertionError("not the small file")):
        verified = verify.verify(StoreFiles(world.files.address))
    assert not verified.leftovers


def test_in_a_bucket_too(anywhere: str) -> None:
    world = World(anywhere, study(seeds=[0])).run()  # type: ignore[arg-type]
    before = answers(anywhere)
    compact(world.files)
    for one, other in zip(before, answers(anywhere), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_what_came_to_harm_since_is_not_compacted_anew(world: World) -> None:
    before = answers(world.files.address)
    compact(world.files)
    said = {name: world.files.content(f"commits/{name}") for name in world.files.names("commits")}
    compacted = StoreFiles(world.files.address).compacted
    assert compacted is not None
    assert {
        name: compacted.content(row).encode() for name, row in compacted.markers.items()
    } == said
    put(world.files, f"commits/{next(iter(said))}", "{")
    compact(StoreFiles(world.files.address))
    for one, other in zip(before, answers(world.files.address), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_marker_that_was_deleted_is_not_brought_back(world: World) -> None:
    key = "score/supersense>tagging/seed=1"
    compact(world.files)
    old = next(c for c in Commits(world.files).by_address.values() if c.job == key)
    world.files.remove(f"commits/{old.name}")
    again = World(Path(world.files.address))
    again.run(lambda *place: 12.0, leave=lambda job: job != key)
    assert again.ran == [key]
    found = Store(world.files.address).scores("tagging", "supersense", seed=1)
    assert set(found["value"]) == {12.0}
