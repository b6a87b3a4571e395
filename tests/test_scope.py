"""A part of a study: which jobs it wants, and that it changes no address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import addresses, cluster_of, files_at, finish, progress_of, small_study

from sweeper.engine.sweep import run
from sweeper.errors import StudyError
from sweeper.jobs import JobSpec
from sweeper.losers import losers
from sweeper.planning import plan
from sweeper.scope import Scope, needed, outside

PLAN = plan(small_study())


def test_a_scope_of_nothing_is_everything() -> None:
    assert Scope().ends(PLAN) is None and not Scope()


@pytest.mark.parametrize(
    ("scope", "ends"),
    [
        (
            Scope(rows=["surface"], columns=["tagging"]),
            {f"score/surface>tagging/seed={seed}" for seed in (0, 1)},
        ),
        (
            Scope(columns=["demo_retrieval"], only=["*seed=1"]),
            {f"score/{row}>demo_retrieval/seed=1" for row in ("none", "supersense", "surface")},
        ),
        (Scope(only=["train/s*/seed=0"]), {"train/supersense/seed=0", "train/surface/seed=0"}),
        (
            Scope(only=["train/surface/*", "tune/none>*/trial=1"]),
            {f"train/surface/seed={seed}" for seed in (0, 1)}
            | {f"tune/none>tagging/seed={seed}/trial=1" for seed in (0, 1)},
        ),
    ],
    ids=lambda said: "jobs" if isinstance(said, set) else str(said),  # sets have no order
)
def test_what_is_asked_for(scope: Scope, ends: set[str]) -> None:
    found = scope.ends(PLAN)
    assert found is not None and set(found) == ends
    cells = {cell.score for cell in PLAN.cells}
    assert outside(PLAN, found) == len(cells - ends)


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (Scope(rows=["surfase"]), "no row 'surfase'. Did you mean 'surface'?"),
        (Scope(columns=["tag"]), "no column 'tag'. Did you mean 'tagging'?"),
        (Scope(only=["surface"]), "No job of small is in --only surface. A pattern is held"),
        (Scope(rows=["none"], only=["train/*"]), "is in --only train/* --rows none"),
    ],
)
def test_a_scope_of_nothing_there_is_refused(scope: Scope, said: str) -> None:
    with pytest.raises(StudyError) as error:
        scope.ends(PLAN)
    assert said in str(error.value)


def test_a_part_is_done_with_what_it_needs_and_the_whole_goes_on_from_it(tmp_path: Path) -> None:
    files = files_at(tmp_path / "store")
    scope = Scope(rows=["surface"], columns=["tagging"])
    ends = scope.ends(PLAN)
    assert ends is not None
    part = progress_of(PLAN, files, ends=ends)
    assert len(part.left) == len(needed(PLAN, ends)) < len(PLAN.jobs)
    first = finish(part)
    assert set(first) == needed(PLAN, ends) and not part.left
    assert not any("supersense" in key or "demo_retrieval" in key for key in first)

    again = progress_of(PLAN, files, ends=ends)
    assert not again.left and again.take() is None
    whole = progress_of(PLAN, files)
    assert not set(finish(whole)) & set(first) and whole.done == set(PLAN.jobs)
    assert addresses(whole) == addresses(progress_of(PLAN, files, ends=ends))


def test_losers_stay_while_a_column_that_is_out_of_scope_may_want_them(tmp_path: Path) -> None:
    """Two columns share a search: with one of them scored, a trial may still win the other."""
    study = small_study(targets={"tagging": None, "topic": None}, intermediates={}, seeds=[0])
    planned = plan(study)
    files = files_at(tmp_path / "store")
    ends = Scope(only=["tune/none>tagging/*"]).ends(planned)
    progress = progress_of(planned, files, ends=ends)
    finish(progress)
    assert list(losers(progress)) == []
    progress = progress_of(planned, files)
    finish(progress)
    assert len(list(losers(progress))) == 1


def test_what_failed_elsewhere_is_no_failure_of_a_part(tmp_path: Path) -> None:
    lost, study = "train/surface/seed=0", small_study(seeds=[0])

    def outcome(spec: JobSpec) -> dict[str, Any] | None:
        bad = {"status": "diverged", "message": "nan", "selections": {}}
        return bad if spec.key == lost else None

    files = files_at(tmp_path / "store")
    cluster_of(study, files, outcome=outcome).run()
    assert run(study, files.address, scope=Scope(rows=["supersense"])).complete
    whole = run(study, files.address)
    assert whole.failed == {lost: "nan"} and set(whole.blocked.values()) == {lost}
