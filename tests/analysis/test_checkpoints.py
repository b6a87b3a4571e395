"""Selected, last and averaged checkpoints side by side, against known answers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy import stats
from typer.testing import CliRunner

from analysis.world import World, known_score, study
from sweeper import Store
from sweeper.analysis.checkpoints import gains
from sweeper.cli import app
from sweeper.errors import StoreError

ROWS, SEEDS = ("none", "supersense", "more"), (0, 1, 2)
EFFECT = {"none": -1.0, "supersense": 0.0, "more": 4.0}
"""Of a row; a seed's is its number, so that rows and seeds are all that varies."""


def beside(weights: str, row: str, seed: int) -> float:
    return EFFECT[row] + seed if weights == "averaged" else -0.5


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(World(tmp_path_factory.mktemp("plain") / "s").run().files.address)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    world = World(tmp_path_factory.mktemp("asked") / "s", study(checkpoints=["last", "averaged"]))
    world.beside = beside
    return Store(world.run().files.address)


def test_the_selected_epoch_stands_beside_the_last(plain: Store) -> None:
    found = plain.checkpoints()
    assert len(found) == 3 * 3
    assert set(found["dev_selected"] - found["dev_last"]) == {1.0}
    assert set(found["epoch"]) == {3} and set(found["last_epoch"]) == {4}
    known = plain.matrix()
    mean = found[found["intermediate"] == "supersense"]["test"].mean()
    assert mean == pytest.approx(known.loc["supersense", "tagging"])
    assert found[["dev_averaged", "test_last", "test_averaged"]].isna().all(axis=None)
    assert not len(plain.checkpoint_gains())


def test_all_three_are_told_on_dev_and_on_test(store: Store) -> None:
    found = store.checkpoints()
    assert len(found) == 3 * 3
    assert set(found["dev_last"] - found["dev_selected"]) == {-1.0}
    assert set(found["dev_averaged"] - found["dev_selected"]) == {2.0}
    for row in found.to_dict("records"):
        place = (row["intermediate"], "tagging", row["seed"])
        test = (known_score(*place, "qab") + known_score(*place, "qac")) / 2
        assert row["test"] == pytest.approx(test)
        for weights in ("last", "averaged"):
            more = beside(weights, row["intermediate"], row["seed"])
            assert row[f"test_{weights}"] == pytest.approx(test + more)


def test_what_they_gain_with_rows_and_seeds_at_random(store: Store) -> None:
    """Clark's min F' by hand: the mean squares of rows and of seeds, added."""
    found = store.checkpoint_gains().set_index("checkpoint")
    last, averaged = found.loc["last"], found.loc["averaged"]
    assert (last["gain"], last["low"], last["high"]) == pytest.approx((-0.5, -0.5, -0.5))
    assert averaged["gain"] == pytest.approx(1.0 + 1.0)
    assert (averaged["rows"], averaged["seeds"]) == (3, 3)
    rows, seeds = 7.0 / 3, 1.0 / 3  # the variances of the effects, over their number
    df = (rows + seeds) ** 2 / (rows**2 / 2 + seeds**2 / 2)
    reach = stats.t.ppf(0.975, df) * math.sqrt(rows + seeds)
    assert averaged["high"] - averaged["gain"] == pytest.approx(reach)


def test_what_is_better_when_lower_gains_by_falling(store: Store) -> None:
    found = gains(store.checkpoints().assign(higher_is_better=False)).set_index("checkpoint")
    assert found.loc["averaged", "gain"] == pytest.approx(-2.0)


def test_nothing_that_averages_mixes_them(store: Store, plain: Store) -> None:
    assert store.matrix().equals(plain.matrix())
    assert store.matrix("gain", by="language").equals(plain.matrix("gain", by="language"))
    assert store.best("tagging").scores == plain.best("tagging").scores
    assert store.over_tasks().to_frame().equals(plain.over_tasks().to_frame())
    assert len(store.scores()) == len(plain.scores())
    assert len(store.examples()) == len(plain.examples())
    for view in ("gain", "best"):
        count = f"SELECT count(*) AS n FROM {view}"
        assert store.sql(count)["n"][0] == plain.sql(count)["n"][0]
    counts = store.sql(
        "SELECT weights, count(*) AS n FROM scores WHERE target = 'tagging' AND main GROUP BY ALL"
    )
    assert dict(counts.to_numpy()) == dict.fromkeys(("selected", "last", "averaged"), 3 * 3 * 3)
    both = store.scores(weights=["last", "averaged"], language="qab", seed=1)
    assert set(zip(both["target"], both["weights"], strict=True)) == {
        ("tagging", "last"), ("tagging", "averaged"),
    }  # fmt: skip


def test_weights_that_nobody_kept_are_refused(plain: Store) -> None:
    with pytest.raises(StoreError, match="has no weights 'averaged'"):
        plain.scores(weights="averaged")


def test_one_row_or_one_seed_has_the_spread_that_it_can_have(tmp_path: Path) -> None:
    for name, changes, seeds in (("row", {}, (0, 1, 2)), ("one", {}, (0,))):
        said = study(checkpoints=["averaged"], intermediates={}, seeds=list(seeds), **changes)
        world = World(tmp_path / name, said)
        world.beside = lambda weights, row, seed: float(seed)
        (found,) = Store(world.run().files.address).checkpoint_gains().to_dict("records")
        assert found["gain"] == pytest.approx(sum(seeds) / len(seeds))
        if len(seeds) == 1:
            assert math.isnan(found["low"])
        else:
            reach = stats.t.ppf(0.975, 2) / math.sqrt(3)
            assert found["high"] == pytest.approx(1.0 + reach)


def test_they_are_shown(store: Store, plain: Store) -> None:
    shown = CliRunner().invoke(app, ["show", "checkpoints", "--store", store.files.address])
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "tagging: last gains -0.50 [-0.50, -0.50] over selected, 3 rows and 3 seeds" in text
    below = shown.output.splitlines()[-2:]
    assert [line[:2] for line in below] == ["- ", "  "], "a note hangs from its dash"
    assert "zero-shot" in below[-1]
    without = CliRunner().invoke(app, ["show", "checkpoints", "--store", plain.files.address])
    assert "`checkpoints: [last, averaged]`" in " ".join(without.output.split())
