"""Studies without some of their tasks: what goes, what stays, and that it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import files_at, finish, progress_of, small_study

from sweeper.errors import StudyError
from sweeper.planning import plan
from sweeper.reducing import without
from sweeper.resolving import open_study, resolve
from sweeper.study import Study

ROWS: dict[str, Any] = {
    "supersense": None,
    "surface": None,
    "both": {"tasks": ["supersense", "surface"], "sampler": "uniform"},
    "chain": {"stages": [{"tasks": ["surface"]}, {"tasks": ["supersense"]}]},
}


def test_xtreme_without_ccgbank_mixes_the_eight_others() -> None:
    whole = Study.load("xtreme")
    left = without(whole, ["ccg"])
    assert list(left.intermediates) == [name for name in whole.intermediates if name != "ccg"]
    (before,), (after,) = (s.intermediates["multitask"].stages for s in (whole, left))
    assert after.tasks == tuple(task for task in before.tasks if task != "ccg")
    assert len(after.tasks) == 8
    assert after.model_copy(update={"tasks": before.tasks}) == before
    assert left.name == "xtreme-without-ccg"
    assert left.description.endswith(
        "Without ccg: no row ccg, multitask trains on 8 of its 9 tasks."
    )
    same = ("targets", "spaces", "seeds", "training", "base")
    assert all(getattr(left, part) == getattr(whole, part) for part in same)
    assert not any("ccg" in key for key in plan(left).jobs)


def test_a_column_goes_with_what_only_it_was_trained_on() -> None:
    left = without(Study.load("xtreme"), ["xnli", "bucc2018"])
    assert left.name == "xtreme-without-bucc2018-xnli"
    assert "no column xnli, no column bucc2018" in left.description
    assert set(left.targets) == {"pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "tatoeba"}
    assert "mnli" not in left.spaces and "mnli" in left.intermediates
    plan(left)


def test_a_row_goes_when_one_of_its_stages_would_train_on_nothing() -> None:
    left = without(small_study(intermediates=ROWS), ["surface"])
    assert {name: row.composition for name, row in left.intermediates.items()} == {
        "supersense": "supersense", "both": "supersense",
    }  # fmt: skip
    assert left.intermediates["both"].stages[0].sampler == "uniform"
    assert "no row surface, no row chain, both trains on 1 of its 2 tasks" in left.description


def test_what_a_study_says_of_a_task_goes_with_it() -> None:
    said = small_study(
        task_limits={"surface": {"train": 5}, "tagging": {"test": 5}},
        train_languages={"surface": ["qaa"]},
    )
    left = without(said, ["surface"])
    assert list(left.task_limits) == ["tagging"] and not left.train_languages


def test_a_space_that_another_one_extends_stays() -> None:
    said = small_study(
        targets={"topic": None, "tagging": None},
        spaces={"topic": {"search": {"batch": [8, 16]}}, "tagging": {"extends": "topic"}},
    )
    left = without(said, ["topic"])
    assert set(left.spaces) == {"topic", "tagging"} and plan(left).searches
    again = Study.model_validate_json(left.model_dump_json(exclude_unset=True))
    assert again.spaces == left.spaces


def test_nothing_left_out_is_the_study_itself() -> None:
    whole = small_study()
    assert without(whole, []) is whole


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        (["topik"], r"small does not use 'topik'. Did you mean 'topic'\? Known: demo_retrieval"),
        (["xnli"], "small does not use 'xnli'"),
        (["demo_text"], "the base model is made from demo_text"),
        (
            ["topic", "tagging", "demo_retrieval"],
            "at least one target; small without",
        ),
    ],
)
def test_what_cannot_be_left_out_is_refused(tasks: list[str], says: str) -> None:
    targets = {"topic": None, "tagging": None, "demo_retrieval": None}
    with pytest.raises(StudyError, match=says):
        without(small_study(targets=targets), tasks)


def test_a_task_that_another_column_needs_goes_with_that_column_only() -> None:
    """XQuAD and MLQA are trained on SQuAD, and TyDi QA is selected on MLQA's English dev set."""
    whole = Study.load("xtreme")
    with pytest.raises(StudyError) as refused:
        without(whole, ["squad_v1"])
    said = str(refused.value)
    assert "xtreme.yaml:" in said
    assert "without squad_v1 there is nothing to train or select" in said
    assert "select xquad and mlqa and tydiqa on" in said
    assert "`--without mlqa --without squad_v1 --without tydiqa --without xquad`" in said
    left = without(whole, ["squad_v1", "xquad", "mlqa", "tydiqa"])
    assert not {"squad_v1", "tydiqa"} & {*left.spaces, *left.intermediates}
    plan(left)


def test_a_name_that_would_be_too_long_is_refused() -> None:
    with pytest.raises(StudyError, match="at most 60 characters"):
        without(
            Study.load("xtreme"), ["commonsenseqa", "hellaswag", "cosmosqa", "anli_plus", "ccg"]
        )


def test_the_store_knows_what_was_left_out_and_shares_the_rest(tmp_path: Path) -> None:
    files = files_at(tmp_path / "store")
    whole = small_study(
        intermediates={name: ROWS[name] for name in ("supersense", "surface", "both")}
    )
    finish(progress_of(whole, files))
    left = without(whole, ["surface"])
    resolve(plan(left), files)
    again, _ = open_study(files, "small-without-surface")
    assert again.study.description == left.description
    assert again.study.intermediates == left.intermediates
    todo = progress_of(left, files).left
    assert todo and all(key.split("/")[1].startswith("both") for key in todo)
