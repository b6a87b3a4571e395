"""Why a job is done or not, and what tells it from the nearest done one: by the store alone."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from analysis.world import TINY, World, study
from helpers import Clock, put
from rich.console import Console

from report.submission_world import study as study_of_files
from sweeper.analysis.store import Store
from sweeper.losers import drop
from sweeper.report.why import print_why
from sweeper.store.drivers import Drivers, machine
from sweeper.store.markers import commit, withdraw
from sweeper.study import Study

STAGE = "train/supersense/seed=0"
TRIAL = "tune/supersense>tagging/seed=0/trial=1"
SCORE = "score/supersense>tagging/seed=0"
DATA = "prepare/supersense/train/128"


def small(**changes: Any) -> Study:
    return study(
        **{"seeds": [0], "targets": {"tagging": None}, "intermediates": {"supersense": None}}
        | changes
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "s"


def said(world: World, key: str, clock: Clock | None = None) -> list[str]:
    """What is said of a job, a line each."""
    out = Console(file=io.StringIO(), width=80, highlight=False)
    store = Store(world.files.address)
    drivers = Drivers(world.files, patience=30.0, clock=clock) if clock else None
    print_why(out, store.view(world.study.name), key, drivers)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


def differing(world: World, key: str) -> list[str]:
    """What is said of the inputs that differ."""
    lines = said(world, key)
    (place,) = [n for n, line in enumerate(lines) if line.endswith("What differs:")]
    return [line.strip() for line in lines[place + 1 :]]


# -- states -------------------------------------------------------------------------------------


def test_a_done_job_tells_its_attempt(place: Path) -> None:
    world = World(place, small()).run()
    first, attempt, *rest = said(world, STAGE)
    marker = world.progress.addressing.commit(STAGE)
    assert marker
    assert first == f"{STAGE} is done."
    assert attempt.startswith(f"  attempt {marker.attempt}, ")
    assert attempt.endswith("on host:1 in 1 s, by a run of tiny")
    assert rest == []


def test_what_is_shared_names_the_other_jobs(place: Path) -> None:
    same = {"supersense": None, "more": {"tasks": ["supersense"]}}
    world = World(place, small(intermediates=same)).run()
    one, two = (f"tune/{row}>tagging/seed=0/trial=0" for row in same)
    made, other = (one, two) if one in world.ran else (two, one)
    assert f"  made as {made}, which is the same computation" in said(world, other)
    assert f"  the same computation as {other}" in said(world, made)


def test_a_loser_and_a_diverged_trial(place: Path) -> None:
    world = World(place, small()).run()
    drop(world.progress, [world.progress.addressing.address(TRIAL)])
    assert "  its checkpoint was deleted: it lost its search" in said(world, TRIAL)
    other = World(place.with_name("t"), small())
    other.run(leave=lambda key: key == TRIAL)
    outcome = {"status": "diverged", "message": "loss is NaN at step 3", "selections": {}}
    address = other.progress.attempt_address(TRIAL)
    made: Any = {"job": TRIAL, "kind": "tune", "units": {"all": address}, "made": []}
    commit(other.files, address=address, generation=0, attempt="a", outcome=outcome, **made)
    lines = said(other, TRIAL)
    assert lines[0] == f"{TRIAL} is done, but its training diverged: it wins nothing."
    assert "  loss is NaN at step 3" in lines


def test_a_waiting_score_names_what_is_missing_and_the_first_of_the_chain(place: Path) -> None:
    world = World(place, small()).run(leave=lambda key: key == STAGE)
    lines = said(world, SCORE)
    assert lines[0] == f"{SCORE} is waiting for 2 of the 4 jobs that it needs:"
    assert lines[1:4] == [
        "  tune/supersense>tagging/seed=0/trial=0 (waiting)",
        f"  {TRIAL} (waiting)",
        f"  The first of that chain is {STAGE} (ready).",
    ]
    told = " ".join(line.strip() for line in lines[4:])
    assert told == (
        "Its address is not known yet: the search supersense>tagging/seed=0 has no winner, since "
        "0 of its 2 trials are done."
    )
    assert said(world, STAGE)[0] == f"{STAGE} is ready: all that it needs is there."


def test_what_a_failure_blocks_names_it_and_its_reason(place: Path) -> None:
    world = World(place, small()).run(fail=[STAGE])
    log = f"  its log: sweeper logs '{STAGE}' --store {world.files.address}"
    assert said(world, SCORE)[:3] == [
        f"{SCORE} is blocked by {STAGE}, which failed:", "  a row has no label", log,
    ]  # fmt: skip
    assert said(world, STAGE)[:3] == [
        f"{STAGE} has failed: a row has no label", log, "  attempts that died: 1 data",
    ]  # fmt: skip


def test_a_job_that_nothing_lacks_is_unneeded(place: Path) -> None:
    world = World(place, small()).run()
    address = world.progress.addressing.address(STAGE)
    world.files.remove(f"commits/{address}.0")
    assert said(world, STAGE) == [
        f"{STAGE} is not needed: what it leads to is done.",
        "  tune/supersense>tagging/seed=0/trial=0",
        f"  {TRIAL}",
    ]


def test_a_withdrawn_job_says_so_and_why(place: Path) -> None:
    world = World(place, small()).run()
    (marker,) = [one for one in world.progress.commits.by_address.values() if one.job == SCORE]
    withdraw(world.files, marker.name, "tables/x: its content has changed")
    lines = said(world, SCORE)
    assert lines[0] == f"{SCORE} is ready: all that it needs is there."
    assert lines[2].startswith(f"  It was committed by attempt {marker.attempt} (")
    assert lines[2].endswith("):") and ", and withdrawn (" in lines[2]
    assert lines[3:] == [
        "  tables/x: its content has changed",
        "  It is made again by the next run; until then nothing of it counts.",
    ]
    # Of a marker that cannot be read its name says whose it is.
    put(world.files, f"commits/{marker.name}", "{")
    assert "  It was committed, and withdrawn (" in "\n".join(said(world, SCORE))
    # A stage of a finished study is not made again.
    stage = world.progress.addressing.commit(STAGE)
    assert stage
    withdraw(world.files, stage.name, "gone")
    assert "  It is made again when something needs it; until then nothing of it counts." in (
        said(world, STAGE)
    )


def _lease(world: World, name: str, key: str, **more: Any) -> None:
    told = {"driver": name, "study": "tiny", "host": "far", "machine": "another", "pid": 4711,
            "pid_started": "7", "beat": 1, "started": 4600.0, "now": 5200.0, "slots": 2,
            "why": "", "ended": False}  # fmt: skip
    at = {"attempt": "a", "host": "node7", "phase": "train", "step": 10, "steps": 40,
          "since": 5000.0}  # fmt: skip
    world.files.replace(f"drivers/{name}.json", told | {"running": {key: at}} | more)
    address = world.progress.addressing.shared_address(key)
    world.files.create(f"leases/{address}.0", {"driver": name, "job": key, "reads": []})


def test_who_runs_it_is_told_and_whether_that_is_dead(place: Path) -> None:
    world = World(place, small()).run(leave=lambda key: key == STAGE)
    _lease(world, "feedbead" * 4, STAGE)
    lines = said(world, STAGE, Clock())
    assert lines[:3] == [
        f"{STAGE} is running.",
        "  train 10/40, on node7, begun 3 min before the last heartbeat",
        "  driver feedbead of tiny on far (process 4711) holds it; `sweeper status --watch` "
        "shows whether that lives",
    ]
    assert f"  {STAGE} (running)" in said(world, TRIAL, Clock())

    own = {"machine": machine(), "pid": 2**22 + 1}
    _lease(world, "feedbead" * 4, STAGE, **own)
    assert said(world, STAGE)[:2] == [
        f"{STAGE} is ready: who was at work on it is dead.",
        f"  driver feedbead of tiny on far (process {own['pid']}): there is no such process any "
        "more. The next run takes it over.",
    ]
    _lease(world, "feedbead" * 4, STAGE, ended=True)
    assert said(world, STAGE)[0] == f"{STAGE} is ready: all that it needs is there."


# -- what differs -------------------------------------------------------------------------------


def test_a_changed_setting_is_named(place: Path) -> None:
    rates = (1e-5, 3e-5)
    rows = [{"supersense": {"training": {"learning_rate": rate}}} for rate in rates]
    World(place, small(intermediates=rows[1])).run()
    world = World(place, small(intermediates=rows[0]))
    assert "It was done before from other inputs" in " ".join(said(world, STAGE))
    assert differing(world, STAGE) == ["training.learning_rate: 1e-05 here, 3e-05 there"]


def test_a_change_of_a_parent_is_followed_to_it(place: Path) -> None:
    World(place, small()).run()
    world = World(place, small(intermediates={"supersense": {"training": {"epochs": 7}}}))
    epochs = Study.model_validate(TINY).training.epochs
    assert differing(world, TRIAL) == [
        f"its parent {STAGE}: see `sweeper why '{STAGE}'`",
        f"training.epochs: 7 here, {epochs} there",
    ]


def test_a_changed_limit_is_named_once_through_all_above(place: Path) -> None:
    World(place, small()).run()
    world = World(place, small(task_limits={"supersense": {"train": 200}}))
    limit = "limit of supersense/train: 200 here, none there"
    assert differing(world, DATA) == [limit]
    assert differing(world, TRIAL) == [
        f"its data {DATA} (through {STAGE}): see `sweeper why '{DATA}'`", limit,
    ]  # fmt: skip


def test_what_is_kept_beside_the_best_epoch_is_named(place: Path) -> None:
    World(place, small()).run()
    world = World(place, small(checkpoints=["last"]))
    assert differing(world, TRIAL) == [
        "kept beside the best epoch (checkpoints): last here, none there"
    ]
    assert "the search supersense>tagging/seed=0 has no winner" in " ".join(
        said(world, f"{SCORE}/checkpoint=last")
    )


def test_a_loser_whose_files_are_gone_can_still_be_compared_with(place: Path) -> None:
    old = World(place, small()).run()
    drop(old.progress, [old.progress.addressing.address(TRIAL)])
    space = {"tagging": {"search": {"learning_rate": [1e-3, 7e-3]}}}
    world = World(place, small(spaces=space))
    assert differing(world, TRIAL) == ["training.learning_rate: 0.007 here, 0.003 there"]


def test_a_changed_file_is_named(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    said_of = study_of_files(root, intermediates={}, targets={"xnli": {"languages": ["de"]}})
    World(tmp_path / "s", said_of).run(lambda *_: 50.0, lambda *_: (50.0, 0.5, 1))
    file = root / "xnli/test-de.tsv"
    file.write_text(file.read_text() + "a\tb\tneutral\n")
    world = World(tmp_path / "s", said_of)
    key = next(key for key in world.plan.jobs if key.startswith("prepare/xnli/test/"))
    (line,) = differing(world, key)
    was, now = (
        Store(tmp_path / "s").files.read(f"studies/made/{number:06d}.json")["resolved"]["sources"][
            "xnli/test/de"]["files"][0]["sha256"][:8]
        for number in (0, 1)
    )  # fmt: skip
    assert line == f"the files of xnli/test/de have changed (SHA-256 {now}.. here, {was}.. there)"
    assert line in differing(world, "score/none>xnli/seed=0")


def test_a_change_of_the_code_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("sweeper.prepared.ENCODING_VERSION", 1)
        earlier.setattr("sweeper.trainings.TRAINING_VERSION", 0)
        World(place, small()).run()
    world = World(place, small())
    assert differing(world, DATA) == ["encoding version 2 here, 1 there"]
    assert "training version 1 here, 0 there" in differing(world, TRIAL)


def test_a_new_language_of_a_score_is_named(place: Path) -> None:
    World(place, small(targets={"tagging": {"languages": ["qaa", "qab"]}})).run()
    world = World(place, small(targets={"tagging": {"languages": ["qaa", "qab", "qac"]}}))
    assert differing(world, SCORE) == [
        "test/qac is asked for here; done there: test/qaa, test/qab"
    ]


def test_another_mixture_names_the_tasks(place: Path) -> None:
    World(place, small(intermediates={"more": {"tasks": ["supersense"]}})).run()
    world = World(place, small(intermediates={"more": {"tasks": ["supersense", "surface"]}}))
    lines = differing(world, "train/more/seed=0")
    assert "trained on: supersense, surface here, supersense there" in lines


def test_another_study_s_job_of_the_same_key_comes_first(place: Path) -> None:
    World(place, small(name="first")).run()
    space = {"training": {"epochs": 7}, "search": {"learning_rate": [1e-3, 7e-3]}}
    world = World(place, small(name="second", spaces={"tagging": space}))
    world.run(leave=lambda key: key == TRIAL)
    assert any(line.endswith(", study first). What differs:") for line in said(world, TRIAL))
    assert len(differing(world, TRIAL)) == 2, "its sibling in the same study differs in one"


def test_a_job_of_no_namesake_is_compared_with_the_most_similar(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.analysis.nearest.MOST", 1)
    world = World(place, small()).run(leave=lambda key: key == TRIAL)
    lines = said(world, TRIAL)
    assert "The nearest done job is tune/supersense>tagging/seed=0/trial=0" in " ".join(lines)
    assert differing(world, TRIAL) == [
        "training.learning_rate: 0.003 here, 0.001 there",
        "(Compared with 1 of 3 done tune jobs.)",
    ]
