"""A stage that looks for its own settings: its plan, its addresses, a real sweep of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import Cluster, addresses, progress_of, small_study
from pydantic import ValidationError
from real_work import Run, small

from sweeper.analysis.store import Store
from sweeper.errors import StudyError
from sweeper.planning import plan
from sweeper.store.files import StoreFiles
from sweeper.study import Study

SPACE: dict[str, Any] = {"search": {"learning_rate": [1e-4, 1e-3]}, "training": {"epochs": 1}}
CHAIN = {
    "surface": {"space": SPACE},
    "chain": {"stages": [{"tasks": ["surface"], "space": SPACE}, {"tasks": ["supersense"]}]},
}


def _study(**changes: Any) -> Study:
    said = {"intermediates": CHAIN, "targets": {"tagging": None}, "seeds": [0]}
    return small_study(**{**said, **changes})


def test_the_stage_needs_its_trials_and_they_what_it_needs() -> None:
    planned = plan(_study())
    search = planned.searches["surface/seed=0"]
    assert search.trials == tuple(f"tune/surface/seed=0/trial={n}" for n in (0, 1))
    assert (search.stage, search.selections) == ("train/surface/seed=0", ("surface/dev/qaa",))
    stage, trial = planned.jobs[search.stage], planned.jobs[search.trials[0]]
    assert set(search.trials) < set(stage.needs)
    assert {"train/base", "prepare/surface/train/48", "prepare/surface/dev/48"} <= set(trial.needs)
    assert stage.declared["place"] == trial.declared["place"], "the same batches in the same order"
    assert stage.declared["training"]["epochs"] == trial.declared["training"]["epochs"] == 1
    assert "train/surface/seed=0" in planned.jobs["train/chain/seed=0"].needs, "it is shared"
    assert not [key for key in planned.searches if key.startswith("chain/")]


def test_its_address_is_known_before_anything_is_found(files: StoreFiles) -> None:
    def of(space: dict[str, Any] | None) -> str:
        row = {"space": space} if space else {"training": {"epochs": 1}}
        study = _study(intermediates={"surface": row})
        return progress_of(study, files).addressing.address("train/surface/seed=0")

    more = {**SPACE, "search": {"learning_rate": [1e-4, 1e-3, 1e-2]}}
    assert len({of(None), of(SPACE), of(more), of({**SPACE, "trials": 1})}) == 4
    assert of(SPACE) == of(dict(SPACE))


def test_nothing_is_found_where_all_trials_diverge(files: StoreFiles) -> None:
    progress = progress_of(_study(), files, failures=False)
    diverged = {"status": "diverged", "message": "nan", "selections": {}}
    cluster = Cluster(
        progress, outcome=lambda s: diverged if s.key.startswith("tune/surface/") else None
    )
    cluster.run()
    assert progress.failures == {
        "train/surface/seed=0": "no trial of the search surface/seed=0 finished: all diverged"
    }
    assert progress.state("score/none>tagging/seed=0") == "done"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tasks": ["surface", "topic"], "space": SPACE}, "a mixture has several tasks"),
        ({"space": {"training": {"epochs": 1}}}, "the `space` of a stage has a `search`"),
        ({"selection": {"split": "dev"}}, "`selection` goes with `space`"),
        ({"space": {**SPACE, "tune_rows": "none"}}, "`tune_rows` is for `spaces` of targets"),
    ],
)
def test_what_no_stage_can_say(row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        _study(intermediates={"surface": row})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"split": "train", "language": "qaa"}, "neither trained on nor tested; train is none"),
        ({"split": "dev", "language": "de"}, "has no language 'de'"),
        ({"task": "topic", "language": "qaa"}, "share a head"),
    ],
)
def test_selections_that_cannot_be(selection: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError) as error:
        plan(_study(intermediates={"surface": {"space": SPACE, "selection": selection}}))
    assert said in str(error.value)


def test_a_row_is_not_tuned_on_what_a_column_tests() -> None:
    """XQuAD's paragraphs are some of SQuAD's dev set."""

    def study(**more: Any) -> Study:
        row = {"squad_v1": {"space": SPACE, **more}}
        said = {"name": "s", "base": {"model": "m"}, "targets": {"xquad": None}}
        return Study.model_validate({**said, "intermediates": row})

    with pytest.raises(StudyError, match="the settings of the row squad_v1 would be chosen on"):
        plan(study())
    assert plan(study(selection={"split": "dev_without_xquad"})).jobs


def test_a_real_sweep(tmp_path: Path) -> None:
    """The stage is trained with what won, the trials' checkpoints go, every score says so."""
    study = small(
        intermediates={"surface": {"space": {"search": {"learning_rate": [1e-4, 1e-3]}}}},
        targets={"topic": {"languages": ["qab"]}, "demo_retrieval": {"languages": ["qab"]}},
    )
    run = Run(study, tmp_path / "store").go()
    progress = run.progress
    assert not progress.left and not progress.failures
    search = progress.plan.searches["surface/seed=0"]
    won = progress.addressing.winner(search, "surface/dev/qaa")
    assert won
    found = progress.addressing.parameters(won[0])
    spec = next(spec for spec in run.specs if spec.key == "train/surface/seed=0")
    assert found and spec.inputs["training"]["learning_rate"] == found["learning_rate"]
    for key in search.trials:
        commit = progress.addressing.commit(key)
        assert commit and commit.dropped and not run.files.local(commit.folder).exists()

    scores = Store(tmp_path / "store").scores().set_index(["intermediate", "target"])
    said = scores["parameters"]
    said = {at: json.loads(text) if isinstance(text, str) else None for at, text in said.items()}
    assert said["surface", "demo_retrieval"] == {"stages": {"train/surface/seed=0": found}}
    assert said["surface", "topic"]["stages"] == {"train/surface/seed=0": found}
    assert said["none", "demo_retrieval"] is None and "stages" not in said["none", "topic"]

    again = Run(study, tmp_path / "store").go()
    assert not again.ran and addresses(again.progress) == addresses(progress)
