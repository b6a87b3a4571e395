from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.world import World, study
from sweeper import Store
from sweeper.analysis.overtasks import interquartile_mean, probability_of_improvement
from sweeper.errors import StoreError


def test_the_interquartile_mean_by_hand() -> None:
    assert interquartile_mean([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 800.0]) == 4.5


def test_the_probability_of_improvement_is_mann_and_whitneys_u() -> None:
    rng = np.random.default_rng(0)
    row, control = rng.normal(1, 1, (3, 6)).round(1), rng.normal(0, 1, (3, 6)).round(1)
    wanted = np.mean([stats.mannwhitneyu(a, b).statistic / 36 for a, b in zip(row, control)])  # noqa: B905
    assert probability_of_improvement(row, control) == pytest.approx(wanted)
    assert probability_of_improvement(row, row) == 0.5


def test_rows_over_all_targets(tmp_path: Path) -> None:
    World(tmp_path / "s").run()
    found = Store(tmp_path / "s").over_tasks()
    assert found.targets == ("tagging", "demo_retrieval") and list(found.rows) == [
        "supersense",
        "more",
    ]
    helped = found.rows["supersense"]
    # Gains of tagging are 10, 12, 14, of retrieval 6, 7, 8.
    assert helped.mean == pytest.approx(9.5) and helped.iqm == pytest.approx((7 + 8 + 10 + 12) / 4)
    assert helped.better == 1.0 and helped.better_interval == (1.0, 1.0)
    assert helped.iqm_interval is not None and helped.iqm_interval[0] < helped.iqm
    # One point below none on tagging (of nine pairs three are better or tied), equal to it in
    # the mean on retrieval (19, 20, 21 against 20 thrice).
    assert found.rows["more"].better == pytest.approx(((1 + 2 * 0.5) / 9 + 0.5) / 2)
    assert list(found.to_frame()["intermediate"]) == ["supersense", "more"]


def test_rows_are_compared_over_the_same_targets_alone(tmp_path: Path) -> None:
    World(tmp_path / "s").run(leave=lambda key: key == "score/more>tagging/seed=1")
    found = Store(tmp_path / "s").over_tasks()
    assert found.targets == ("demo_retrieval",)
    assert found.left_out == {"tagging": "seeds lack of more"}


def test_nothing_to_sum_up_says_why(tmp_path: Path) -> None:
    World(tmp_path / "s", study(targets={"tagging": None})).run(leave=lambda key: "score" in key)
    with pytest.raises(StoreError, match="tagging: seeds lack of none, supersense, more"):
        Store(tmp_path / "s").over_tasks()
