"""Last and averaged checkpoints, from the study's key to the table, through real trainings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from real_work import SMALL, Run, small
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from sweeper import Store
from sweeper.cli import app
from sweeper.jobs import JobSpec
from sweeper.study import Study

WEIGHTS = ("selected", "last", "averaged")


def asked() -> Study:
    """One seed of which selects its last epoch, one of which does not."""
    sizes = {"hidden": 32, "feed_forward": 64}
    return small(
        checkpoints=["last", "averaged"],
        base={"scratch": {**SMALL["base"]["scratch"], **sizes}},
        intermediates={},
        seeds=[0, 1],
        limits={"train": 150, "dev": 40, "test": 40},
        spaces={"topic": {"training": {"epochs": 5, "batch": 8},
                          "search": {"learning_rate": [1e-2, 3e-2]}}},
    )  # fmt: skip


def dropped(run: Run, seed: int) -> int:
    """How many trials of a seed's search have lost their checkpoints."""
    trials = run.progress.plan.searches[f"none>topic/seed={seed}"].trials
    commits = [run.progress.addressing.commit(key) for key in trials]
    return sum(commit.dropped for commit in commits if commit)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(asked(), tmp_path_factory.mktemp("kept") / "store")

    def losers_wait(spec: JobSpec) -> None:
        if spec.kind == "score":
            assert spec.seed is not None
            assert dropped(run, spec.seed) == 0, f"{spec.key} is still to be scored"

    return run.go(before=losers_wait)


@pytest.fixture(scope="module")
def store(ran: Run) -> Store:
    return Store(ran.files.address)


def test_selected_last_and_averaged_are_scored_in_all_languages(ran: Run, store: Store) -> None:
    found = store.scores(weights=None)
    counts = found.groupby(["seed", "weights"])["language"].nunique()
    assert counts.to_dict() == {
        (s, w): 2 for s in (0, 1) for w in ("selected", "last", "averaged")
    }
    epochs = {(row.seed, row.weights): json.loads(row.parameters) for row in found.itertuples()}
    chosen = {seed: epochs[seed, "selected"]["epoch"] for seed in (0, 1)}
    assert chosen[0] == 5 > chosen[1]
    assert {epochs[seed, "last"]["epoch"] for seed in (0, 1)} == {5}
    assert {epochs[seed, "averaged"]["epochs"] for seed in (0, 1)} == {5}
    folders = {(row.seed, row.weights): Path(row.checkpoint).name for row in found.itertuples()}
    assert folders[0, "last"] == folders[0, "selected"] == folders[1, "last"] == "epoch=5"
    scored = {key for key in ran.ran if key.startswith("score/") and "/checkpoint=last" in key}
    assert scored == {"score/none>topic/seed=1/checkpoint=last"}, (
        "of seed 0 it is the selected one"
    )
    for folder in found["checkpoint"]:
        AutoModelForSequenceClassification.from_pretrained(ran.files.local(folder))
    assert [dropped(ran, seed) for seed in (0, 1)] == [1, 1]


def test_the_matrix_is_of_the_selected_ones_alone(store: Store) -> None:
    plain = store.scores()
    assert set(plain["weights"]) == {"selected"} and len(plain) == 4
    zero_shot = plain[plain["zero_shot"]]
    assert store.matrix().loc["none", "topic"] == pytest.approx(zero_shot["value"].mean())
    by_weights = store.sql(
        "SELECT weights, avg(value) AS mean FROM scores WHERE zero_shot GROUP BY weights"
    ).set_index("weights")["mean"]
    averaged = store.scores(weights="averaged")
    assert by_weights["averaged"] == pytest.approx(averaged[averaged["zero_shot"]]["value"].mean())
    assert by_weights["selected"] == pytest.approx(zero_shot["value"].mean())
    assert len(store.examples(weights="last")) == len(store.examples()) == 2 * 2 * 40


def test_they_stand_side_by_side(store: Store) -> None:
    found = store.checkpoints().set_index("seed")
    for seed in (0, 1):
        for name, weights in (
            ("test", "selected"),
            ("test_last", "last"),
            ("test_averaged", "averaged"),
        ):
            scores = store.scores(seed=seed, weights=weights)
            value = scores[scores["zero_shot"]]["value"].mean()
            assert found.loc[seed, name] == pytest.approx(value)
    assert found.loc[0, "dev_last"] == found.loc[0, "dev_selected"]
    assert found["dev_averaged"].notna().all()
    shown = CliRunner().invoke(app, ["show", "checkpoints", "--store", store.files.address])
    assert "topic: averaged gains" in shown.output and "1 row and 2 seeds" in shown.output


def test_a_second_run_does_nothing_and_a_study_without_trains_anew(
    ran: Run, tmp_path: Path
) -> None:
    assert Run(asked(), ran.files.address).go().ran == []
    without = asked().model_copy(update={"checkpoints": ()})
    left = Run(without, ran.files.address).progress.left
    assert {key.split("/")[0] for key in left} == {"tune", "score"}
