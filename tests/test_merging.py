"""Two stores become one that answers for both, and says where they disagreed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from analysis.world import World, known_score, study
from damaged import SCORE, STAGE, WINNER, commit_of, flip, job_of
from real_work import Run, small
from test_cli import Capture, sweeper

from benchmarks.s3 import new_address
from sweeper import Store
from sweeper.errors import StoreError
from sweeper.graph import Search
from sweeper.merging.merge import Merged, merge
from sweeper.progress import Progress
from sweeper.resolving import open_study
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.store.markers import withdraw
from sweeper.store.verify import repair, verify
from sweeper.tuning.searches import Searches


def right(row: str, target: str, seed: int, language: str) -> list[bool]:
    """Of a hundred examples as many right as the known score says."""
    return [number < known_score(row, target, seed, language) for number in range(100)]


def less(row: str, target: str, seed: int, language: str) -> list[bool]:
    """One less, for one row."""
    found = right(row, target, seed, language)
    return [False, *found[1:]] if row == "supersense" and language == "qab" else found


def world(root: Path | str, called: str, **changes: Any) -> World:
    """A store that is not run yet, whose attempts bear names of its own."""
    made = World(root, study(**{"seeds": [0], **changes}))
    made.called = called
    return made


def merged(source: Path | str, into: Path | str) -> Merged:
    """Merge two stores; the outcome is whole, and a second time nothing is taken."""
    done = merge(StoreFiles(source), StoreFiles(into))
    assert verify(StoreFiles(into)).faults == []
    again = merge(StoreFiles(source), StoreFiles(into))
    assert (again.files, again.markers) == (0, 0)
    assert (again.disagreements, again.asks) == (done.disagreements, done.asks)
    return done


def values(store: Path | str, name: str | None = None) -> str:
    """The matrix of a study."""
    return str(Store(store).matrix(by="language", study=name).to_csv())


def left(store: Path | str, name: str) -> set[str]:
    files = StoreFiles(store)
    return set(Progress(*open_study(files, name), files).left)


def test_two_studies_in_one_store(finished: Path, tmp_path: Path) -> None:
    other = small(name="other", intermediates={"supersense": None})
    Run(other, tmp_path / "s").go()
    ours, theirs = values(finished), values(tmp_path / "s")
    done = merged(finished, tmp_path / "s")
    assert done.both and not done.disagreements and not done.again
    assert values(tmp_path / "s", "small") == ours and values(tmp_path / "s", "other") == theirs
    for one in (small(), other):
        assert Run(one, tmp_path / "s").go().ran == []
    best = Store(tmp_path / "s").best("topic", "surface", study="small")
    assert (Path(best.path) / "model.safetensors").is_file()


def test_halves_of_a_study_make_a_whole(finished: Path, tmp_path: Path) -> None:
    """Its scores were made from the trials of one store, and those of the other count."""
    half = Run(small(), tmp_path / "s")
    half.give(job_of(finished, SCORE))
    done = merged(finished, tmp_path / "s")
    assert done.markers == 1 and done.both > 5
    assert values(tmp_path / "s") == values(finished)
    assert Run(small(), tmp_path / "s").go().ran == []
    mine = commit_of(finished, WINNER)
    second = f"{mine.address}.{mine.generation + 1}"
    assert StoreFiles(tmp_path / "s").names("withdrawn") == [second]
    assert commit_of(tmp_path / "s", mine.job).attempt != mine.attempt


def test_in_a_bucket(tmp_path: Path, s3: str) -> None:
    address = new_address()
    few: dict[str, Any] = {"targets": {"demo_retrieval": {"languages": ["qab"]}}, "spaces": {}}
    world(tmp_path / "a", "a", name="one", **few).run(right=right)
    world(address, "b", name="two", seeds=[1], **few).run(right=right)
    merge(StoreFiles(tmp_path / "a"), StoreFiles(address))
    assert values(address, "one") == values(tmp_path / "a")
    assert left(address, "one") == left(address, "two") == set()
    done = merge(StoreFiles(address), StoreFiles(tmp_path / "a"))
    assert not done.disagreements and left(tmp_path / "a", "two") == set()


def test_other_scores_are_told_and_what_is_there_counts(tmp_path: Path, capsys: Capture) -> None:
    world(tmp_path / "a", "a").run(right=less)
    world(tmp_path / "b", "b").run(right=right)
    kept = values(tmp_path / "b")
    done = merged(tmp_path / "a", tmp_path / "b")
    assert values(tmp_path / "b") == kept != values(tmp_path / "a")
    told = {one.job: one for one in done.disagreements}
    found = told["score/supersense>tagging/seed=0"]
    assert {(d.what, d.kept, d.other) for d in found.differences} == {
        ("f1 on test/qab", 60.0, 59.0), ("other on test/qab", 30.0, 29.5),
    }  # fmt: skip
    assert found.kept.attempt[0] == "b" and found.other.attempt[0] == "a"
    assert found.kept.worker == "host:1"
    assert done.again == {}
    # Both are kept, with their rows.
    rows = StoreFiles(tmp_path / "b").names("tables/scores")
    assert {f"{found.address}-{one.attempt}.parquet" for one in (found.kept, found.other)} <= {
        *rows
    }
    assert sweeper("store", "merge", str(tmp_path / "a"), str(tmp_path / "b")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        f"They disagree on {len(told)} (nondeterminism)" in out
        and "f1 on test/qab: 60.0 counts, 59.0 there" in out
    )
    assert sweeper("store", "merge", str(tmp_path / "a"), str(tmp_path / "b"), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["disagreements"]) == len(told)


def test_other_scores_of_some_languages(tmp_path: Path) -> None:
    """Under other addresses: a commit of both has a unit that a commit of one has, too."""
    both = {"tagging": {"languages": ["qaa", "qab", "qac"]}}
    some = {"tagging": {"languages": ["qab"]}}
    for name, one, other in (("x", both, some), ("y", some, both)):
        world(tmp_path / f"a{name}", "a", name="one", targets=one).run(right=less)
        world(tmp_path / f"b{name}", "b", name="two", targets=other).run(right=right)
        kept = values(tmp_path / f"b{name}")
        done = merged(tmp_path / f"a{name}", tmp_path / f"b{name}")
        assert [d.what for one in done.disagreements for d in one.differences][:1] == [
            "f1 on test/qab"
        ]
        assert values(tmp_path / f"b{name}", "two") == kept
        shown = Store(tmp_path / f"b{name}").scores("tagging", "supersense", "qab", study="one")
        assert shown["value"].tolist() == [60.0]
        assert left(tmp_path / f"b{name}", "one") == set()


def test_another_winner_is_told_with_what_it_costs(tmp_path: Path) -> None:
    def dev(row: str, seed: int, trial: int) -> tuple[float, float, int]:
        return 70.0 - trial, 0.5, 2

    world(tmp_path / "a", "a").run(right=right, dev=dev)
    there = world(tmp_path / "b", "b")
    there.run(right=right, leave=lambda key: key.startswith("score/supersense>tagging"))
    done = merged(tmp_path / "a", tmp_path / "b")
    trial = "tune/supersense>tagging/seed=0/trial=0"
    (found,) = (one for one in done.disagreements if one.job == trial)
    assert [d.what for d in found.differences] == ["selections"]
    # Its score is of another epoch: what the search has here is yet to be scored.
    assert done.again == {"tiny": ["score/supersense>tagging/seed=0"]}
    assert left(tmp_path / "b", "tiny") == {*done.again["tiny"]}


class Drawn(World):
    """A world whose trials draw their learning rate."""

    rates = (1e-3, 2e-3)

    def drawn(self, search: Search, trial: int) -> dict[str, Any]:
        return {"learning_rate": self.rates[trial]}


def drawing(root: Path, called: str, rates: tuple[float, ...], trials: int = 2) -> Drawn:
    space = {"search": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}}
    space |= {"sampler": "tpe", "trials": trials}
    made = Drawn(root, study(seeds=[0], spaces={"tagging": space}))
    made.called, made.rates = called, rates
    return made


def test_other_parameters_of_a_trial_become_another_trial(tmp_path: Path) -> None:
    drawing(tmp_path / "a", "a", (1e-3, 5e-3)).run(right=right)
    drawing(tmp_path / "b", "b", (1e-3, 3e-3)).run(right=right)
    kept = values(tmp_path / "b")
    done = merged(tmp_path / "a", tmp_path / "b")
    assert {(one.number, one.becomes) for one in done.asks} == {(1, 2)}
    assert values(tmp_path / "b") == kept and left(tmp_path / "b", "tiny") == set()
    # Asks, commits and Optuna agree: with a budget of three all three trials are there and told.
    again = drawing(tmp_path / "b", "b", (1e-3, 3e-3, 5e-3), trials=3)
    assert not any(key.startswith("tune/") for key in again.progress.left)
    searches = Searches(again.progress)
    for search in again.plan.searches.values():
        trials = searches.study(search).trials
        assert [one.params["learning_rate"] for one in trials] == [1e-3, 3e-3, 5e-3]
        assert all(one.state.name == "COMPLETE" for one in trials)


def test_generations_come_out_right(tmp_path: Path) -> None:
    world(tmp_path / "a", "a").run(right=right)
    first = StoreFiles(tmp_path / "a")
    key = "score/supersense>tagging/seed=0"
    old = commit_of(tmp_path / "a", key)
    withdraw(first, old.name, "for this test")
    again = world(tmp_path / "a", "again")
    again.run(right=right)
    new = commit_of(tmp_path / "a", key)
    assert new.generation == 1
    there = world(tmp_path / "b", "b").run(right=right)
    own = commit_of(tmp_path / "b", key)
    merged(tmp_path / "a", tmp_path / "b")
    assert commit_of(tmp_path / "b", key).attempt == own.attempt
    # Of which nothing counts here, what counts there does, as the next generation.
    withdraw(there.files, own.name, "for this test")
    done = merged(tmp_path / "a", tmp_path / "b")
    found = commit_of(tmp_path / "b", key)
    assert (done.markers, found.attempt, found.generation) == (1, new.attempt, 1)
    # And where nothing is, all is as it was.
    world(tmp_path / "c", "c", name="other", targets={"demo_retrieval": None}, spaces={})
    merged(tmp_path / "a", tmp_path / "c")
    assert commit_of(tmp_path / "c", key).name == new.name
    assert old.name in StoreFiles(tmp_path / "c").names("withdrawn")


def test_a_checkpoint_that_is_gone_here_comes_back(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "b")
    lost = commit_of(store, WINNER)
    Commits(StoreFiles(tmp_path / "b")).drop(lost.address)
    with pytest.raises(StoreError, match="was deleted"):
        Store(tmp_path / "b").best("topic", "surface")
    merged(store, tmp_path / "b")
    path = Path(Store(tmp_path / "b").best("topic", "surface").path)
    assert (path / "model.safetensors").is_file()
    assert Run(small(), tmp_path / "b").go().ran == []


def test_names_of_studies(tmp_path: Path) -> None:
    world(tmp_path / "a", "a").run(right=right)
    # The same in another place; then one that goes on; then another one.
    for number, changes in enumerate(
        [{"description": "mine"}, {"intermediates": {"supersense": None}}]
    ):
        shutil.copytree(tmp_path / "a", tmp_path / f"s{number}")
        world(tmp_path / f"s{number}", "b", **changes).run(right=right)
    same = merged(tmp_path / "s0", tmp_path / "a")
    assert same.studies == {"tiny": "tiny"}
    assert StoreFiles(tmp_path / "a").names("studies/tiny") == ["000000.json"]
    later = merged(tmp_path / "s1", tmp_path / "a")
    assert later.studies == {"tiny": "tiny"}
    assert len(StoreFiles(tmp_path / "a").names("studies/tiny")) == 2
    assert values(tmp_path / "a") == values(tmp_path / "s1")
    earlier = merged(tmp_path / "s0", tmp_path / "s1")
    assert earlier.studies == {"tiny": "tiny"} and earlier.files == 0
    world(tmp_path / "x", "x", intermediates={"more": {"tasks": ["tagging"]}}).run(right=right)
    other = merged(tmp_path / "x", tmp_path / "a")
    assert other.studies == {"tiny": "tiny_2"}
    assert values(tmp_path / "a", "tiny_2") == values(tmp_path / "x")
    assert values(tmp_path / "a", "tiny") == values(tmp_path / "s1")
    assert left(tmp_path / "a", "tiny_2") == left(tmp_path / "a", "tiny") == set()


def test_what_is_damaged_is_told_and_not_taken(store: Path, tmp_path: Path) -> None:
    flip(store / commit_of(store, STAGE).folder / "checkpoint/model.safetensors")
    world(tmp_path / "b", "b")
    done = merge(StoreFiles(store), StoreFiles(tmp_path / "b"))
    assert [fault.job for fault in done.faults] == [STAGE]
    repair(StoreFiles(store), verify(StoreFiles(store)))
    assert merge(StoreFiles(store), StoreFiles(tmp_path / "b")).faults == []
    assert verify(StoreFiles(tmp_path / "b")).faults == []


def test_what_is_damaged_here_is_taken_from_there(store: Path, tmp_path: Path) -> None:
    there = Path(shutil.copytree(store, tmp_path / "b"))
    lost = commit_of(there, SCORE)
    (there / "commits" / lost.name).write_text("{")
    merge(StoreFiles(store), StoreFiles(there))
    repair(StoreFiles(there), verify(StoreFiles(there)))
    assert commit_of(there, SCORE).attempt == lost.attempt
    assert verify(StoreFiles(there)).faults == [] and left(there, "small") == set()
    # Of the next the marker is whole, and a file of its attempt is not.
    flip(there / str(commit_of(there, SCORE).table("scores")))
    assert repair(StoreFiles(there), verify(StoreFiles(there))) == 1
    assert left(there, "small") == {SCORE}
    assert merged(store, there).markers == 1
    assert commit_of(there, SCORE).attempt == lost.attempt and left(there, "small") == set()


def test_a_store_and_itself(tmp_path: Path) -> None:
    files = world(tmp_path / "a", "a").files
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for other in (tmp_path / "a", tmp_path / "link"):
        with pytest.raises(StoreError, match="the store itself"):
            merge(files, StoreFiles(other))
