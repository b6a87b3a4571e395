"""Answers that `sweeper store compact` keeps are the answers, for as long as they hold."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import put

from analysis.world import Right, World, known_score, study
from sweeper import Store
from sweeper.analysis import kept
from sweeper.analysis.evidence import Evidence
from sweeper.analysis.kept import keep
from sweeper.analysis.view import View
from sweeper.errors import StoreError
from sweeper.store.commits import Commits
from sweeper.store.compacting import compact
from sweeper.store.drivers import Driver
from sweeper.store.files import StoreFiles
from sweeper.store.markers import withdraw


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "s").run(leave=lambda key: key == "score/more>tagging/seed=1")
    compact(made.files)
    keep(StoreFiles(made.files.address))
    return made


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every time that a study is planned to answer."""
    seen: list[Any] = []

    class Counted(View):
        def __init__(self, *given: Any) -> None:
            seen.append(given)
            super().__init__(*given)

    monkeypatch.setattr(kept, "View", Counted)
    return seen


def test_they_are_the_same_and_nothing_is_planned(world: World, planned: list[Any]) -> None:
    store = Store(world.files.address)
    view = View(world.files)
    for value in ("score", "gain"):
        for by in ("task", "language", "category"):
            assert store.transfer(value, by) == kept.transfer(view, value, by)
    assert store.matrix().equals(kept.transfer(view, draws=0).values)
    for target in store.answers().targets:
        found = store.best(target)
        assert found == kept.best(view, target)
        assert found.address == kept.best(view, target).address and found.path == found.address
    assert store.answers().skipped == {} and not planned


def test_they_are_told_in_the_same_order(world: World, planned: list[Any]) -> None:
    store, view = Store(world.files.address), View(world.files)
    told, known = store.transfer(), kept.transfer(view, draws=0)
    assert list(told.limits) == list(known.limits)
    assert list(told.trained_on) == list(known.trained_on)
    assert list(told.trained_on) != sorted(told.trained_on)
    parameters = store.best("tagging").parameters
    assert list(parameters) == list(kept.best(view, "tagging").parameters) != sorted(parameters)
    assert not planned


@pytest.mark.parametrize("what", ["commit", "withdrawal", "driver", "study"])
def test_they_hold_until_something_changes(world: World, planned: list[Any], what: str) -> None:
    if what == "commit":
        World(Path(world.files.address)).run()
    elif what == "withdrawal":
        name = world.files.names("commits")[0]
        world.files.create(f"withdrawn/{name}", {"why": "damaged", "withdrawn": 1.0})
    elif what == "driver":
        Driver(world.files, "tiny").beat()
    else:
        snapshot = world.files.read("studies/tiny/000000.json")
        world.files.create("studies/tiny/000001.json", snapshot)
    found = Store(world.files.address).transfer()
    assert len(planned) == 1
    assert found.complete == (what == "commit")


def test_what_was_at_work_is_not_said_to_be_so_for_ever(tmp_path: Path) -> None:
    world = World(tmp_path / "s").run(leave=lambda key: key.startswith("score/more>tagging"))
    driver = Driver(world.files, "tiny")
    driver.show("score/more>tagging/seed=0", "attempt")
    driver.beat()
    compact(world.files)
    keep(StoreFiles(world.files.address))
    cell = "more", "tagging"
    assert Store(world.files.address).transfer().cells[cell].state == "running"
    driver.end()
    assert Store(world.files.address).transfer().cells[cell].state == "not run"


def test_what_failed_and_was_begun_anew_is_not_said_to_have_failed(tmp_path: Path) -> None:
    keys = [f"score/more>tagging/seed={seed}" for seed in (0, 1, 2)]
    world = World(tmp_path / "s").run(fail=keys)
    compact(world.files)
    keep(StoreFiles(world.files.address))
    cell = "more", "tagging"
    assert Store(world.files.address).transfer().cells[cell].state == "failed"
    for key in keys:
        put(world.files, f"attempts/{world.progress.attempt_address(key)}/later/job.json", "{}")
    assert Store(world.files.address).transfer().cells[cell].state == "not run"


def test_after_later_commits_only_what_they_changed_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, str]] = []
    before = Evidence._load
    monkeypatch.setattr(
        Evidence, "_load", lambda self, *place: (read.append(place), before(self, *place))[1]
    )
    World(Path(world.files.address)).run()
    answers = Store(world.files.address).answers()
    found = {by: answers.matrix("gain", by) for by in ("task", "language", "category")}
    assert set(read) == {("tagging", "test")}
    view = View(world.files)
    for by, matrix in found.items():
        assert matrix == kept.transfer(view, "gain", by)
        assert matrix.family == len([c for c in matrix.cells.values() if c.p is not None])


@pytest.mark.parametrize("what", ["score", "examples"])
def test_what_was_done_again_is_judged_again(tmp_path: Path, what: str) -> None:
    """Other scores from the same units; the same scores, of other examples."""
    space = {"search": {"learning_rate": [1e-3]}}
    few = study(intermediates={"supersense": None}, targets={"topic": {"languages": ["qab"]}},
                spaces={"topic": space})  # fmt: skip
    world = World(tmp_path / "s", few).run(right=_first(40))
    compact(world.files)
    keep(StoreFiles(world.files.address))
    key = "score/supersense>topic/seed=1"
    old = next(c for c in Commits(world.files).by_address.values() if c.job == key)
    withdraw(world.files, old.name, "for this test")
    again = World(tmp_path / "s", few)
    again.called = "again"
    again.run(right=_first(50) if what == "score" else lambda *place: _first(40)(*place)[::-1])
    assert again.ran == [key]
    found = Store(tmp_path / "s").answers().matrix("gain")
    fresh = kept.transfer(View(StoreFiles(tmp_path / "s")), "gain")
    shutil.rmtree(tmp_path / "s/compacted")
    assert found == fresh == Store(tmp_path / "s").transfer("gain")


def _first(count: int) -> Right:
    """As many right of a hundred, and for other rows than the control some more."""
    return lambda row, *place: [n < count + 9 * (row != "none") for n in range(100)]


def test_all_matrices_read_the_examples_of_a_target_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {by: kept.transfer(View(world.files), "gain", by) for by in kept.AXES}
    read: list[tuple[str, str]] = []
    before = Evidence._load
    monkeypatch.setattr(
        Evidence, "_load", lambda self, *place: (read.append(place), before(self, *place))[1]
    )
    found = kept.transfers(View(world.files), [("gain", by) for by in kept.AXES])
    assert {by: found["gain", by] for by in kept.AXES} == alone
    assert len(read) == len(set(read)) == len(View(world.files).plan.columns)


def test_other_questions_are_worked_out(world: World, planned: list[Any]) -> None:
    store = Store(world.files.address)
    assert store.transfer(target_languages={"tagging": ["qab"]}).languages["tagging"] == ("qab",)
    assert store.transfer("gain", draws=10).draws == 10
    assert store.best("tagging", intermediate="more").intermediate == "more"


def test_a_store_can_be_moved_with_its_answers(world: World, tmp_path: Path) -> None:
    moved = Path(world.files.address).rename(tmp_path / "moved")
    assert Store(moved).best("tagging").address.startswith(str(moved))


def test_a_score_that_is_no_number_is_kept_as_none(tmp_path: Path) -> None:
    def score(*place: Any) -> float:
        return math.nan if place == ("more", "tagging", 1, "qab") else known_score(*place)

    world = World(tmp_path / "s").run(score)
    before = Store(tmp_path / "s").transfer("gain")
    assert before.cells["more", "tagging"].seeds == (0, 2)
    compact(world.files)
    assert keep(StoreFiles(tmp_path / "s")) == ["tiny"]
    assert Store(tmp_path / "s").transfer("gain") == before


def test_there_is_nothing_to_keep_them_with(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Run `sweeper store compact`"):
        keep(World(tmp_path / "s").files)
