from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.world import World, study
from sweeper import Store
from sweeper.cli import app
from sweeper.tasks.card import Card, shipped_cards
from sweeper.tasks.metrics import aggregate as official


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(World(tmp_path_factory.mktemp("store") / "tiny").run().files.address)


def test_what_a_row_cost_and_what_a_point_of_it_did(store: Store) -> None:
    """Every made-up job takes one second: a stage and, per seed, two trials and two scores."""
    found = store.costs().set_index("intermediate")
    helped = found.loc["supersense"]
    assert helped["tune_hours"] == pytest.approx(6 / 3600)
    assert helped["train_hours"] == pytest.approx(3 / 3600)
    assert helped["hours"] == pytest.approx(15 / 3600)
    assert helped["gain"] == pytest.approx((12 + 7) / 2)
    assert helped["hours_per_point"] == pytest.approx(15 / 3600 / 9.5)
    assert math.isnan(found.loc["more", "hours_per_point"])  # it gained nothing
    assert found.loc["none", "score_hours"] == pytest.approx(4 / 3600)  # retrieval is done once


def test_whether_dev_tells_test(store: Store) -> None:
    """Dev ranks supersense, more, none; test ranks supersense, none, more in every language."""
    found = store.dev_and_test().set_index("language")
    assert set(found["target"]) == {"tagging"} and set(found["runs"]) == {9}
    assert 0.5 < found.loc["qab", "spearman"] < 1.0
    assert found.loc["qab", "pearson"] == pytest.approx(found.loc["qac", "pearson"])


def test_learning_rates_are_told_apart(store: Store) -> None:
    found = store.rates()
    none = found[found["intermediate"] == "none"].set_index("learning_rate")
    assert list(none.index) == [1e-3, 3e-3]
    # Trial 1 is a point better than trial 0; seed 1 two points better than the others.
    assert none.loc[1e-3, "dev"] == pytest.approx((70 + 72 + 70) / 3)
    assert tuple(none.loc[3e-3, ["low", "high"]]) == (71.0, 73.0)
    assert set(none["trials"]) == {3} and set(none["diverged"]) == {0}


def test_too_few_runs_have_no_correlation(tmp_path: Path) -> None:
    World(tmp_path / "s", study(seeds=[0])).run()
    assert Store(tmp_path / "s").dev_and_test()["pearson"].isna().all()


def test_published_scores_stand_beside_the_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = shipped_cards()
    for name in ("pawsx", "mnli"):
        said = cards[name].model_dump(mode="json")
        cards[name] = Card.model_validate(
            said | {"sources": {"synthetic": {"generator": "topic"}}}
        )
    monkeypatch.setattr("sweeper.knowncards.shipped_cards", lambda: cards)
    codes = official.XTREME.languages["pawsx"]
    for left_out in ((), ("ko",)):
        languages = [code for code in codes if code not in left_out]
        said = study(intermediates={}, targets={"pawsx": {"languages": languages}}, spaces={},
                     seeds=[0, 1])  # fmt: skip
        root = tmp_path / f"without{left_out}"
        World(root, said).run(lambda row, target, seed, code: 80.0 + seed,
                              dev=lambda row, seed, trial: (1.0, 1.0, 1))  # fmt: skip
        found = Store(root).published()
        (german,) = found[found["language"] == "de"].to_dict("records")
        assert (german["model"], german["value"], german["measured"]) == (
            "XLM-R Large",
            89.7,
            80.5,
        )
        means = found[(found["model"] == "X-STILTs") & (found["language"] == "mean")]
        # The mean is over all languages of the benchmark, or there is none.
        assert means["measured"].isna().all() == bool(left_out)
        assert set(means["value"]) == {87.9, 87.7}
        assert "a model trained from scratch, row none" in means["protocol"].iloc[0]


@pytest.mark.parametrize("what", ["rank", "cost", "rates", "dev", "checkpoints", "published"])
def test_every_table_is_shown(store: Store, what: str) -> None:
    shown = CliRunner().invoke(app, ["show", what, "--store", store.files.address])
    assert shown.exit_code == 0, shown.output
    told = CliRunner().invoke(app, ["show", what, "--store", store.files.address, "--csv"])
    assert told.exit_code == 0 and "," in told.output
    if what == "published":
        assert "No target of this study is a task of which published" in shown.output
    data = CliRunner().invoke(app, ["show", what, "--store", store.files.address, "--json"])
    columns = told.output.splitlines()[0].split(",")
    rows = json.loads(data.output)
    assert len(rows) == len(told.output.splitlines()) - 1
    assert all(list(row) == columns for row in rows)
