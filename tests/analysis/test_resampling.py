from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sweeper.analysis.crossed import crossed, of_examples
from sweeper.analysis.resampling import bootstrap, percentiles


def test_one_run_is_scipys_bootstrap() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(300) < 0.7) * 100.0
    known = stats.bootstrap((right,), np.mean, n_resamples=20_000, method="percentile", rng=rng)
    drawn = bootstrap([right[None, None]], 20_000)
    assert drawn.shape == (20_000, 1)
    assert np.std(drawn) == pytest.approx(known.standard_error, rel=0.03)
    low, high = percentiles(drawn[:, 0], of_examples([right[None]]))
    assert (low, high) == pytest.approx(tuple(known.confidence_interval), abs=0.6)


def test_the_spread_is_that_of_seeds_and_examples() -> None:
    """By the formula: luck of seeds / S, of examples / n, and three times what is left / (S n)."""
    rng = np.random.default_rng(1)
    seeds, examples = 4, 500
    luck, hardness = rng.normal(0, 2, (seeds, 1)), rng.normal(0, 30, examples)
    stratum = luck + hardness + rng.normal(0, 10, (seeds, examples))
    wanted = np.var(luck, ddof=1) / seeds + 30**2 / examples + 3 * 10**2 / (seeds * examples)
    assert np.var(bootstrap([stratum[None]], 20_000)) == pytest.approx(wanted, rel=0.15)


def test_rows_are_drawn_together() -> None:
    """Two rows that differ by a constant do so in every draw, in every stratum."""
    rng = np.random.default_rng(2)
    one = rng.normal(0, 1, (3, 50))
    drawn = bootstrap([np.stack([one, one + 2.0]) / 2] * 2, 100)
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(np.full(100, 2.0), abs=1e-4)


def test_what_is_alike_in_all_runs_is_drawn_too() -> None:
    """Of 1,000 examples 990 are alike: how many of the others are drawn still varies."""
    outcomes = np.zeros((1, 1, 1000))
    outcomes[..., :10] = 100.0
    drawn = bootstrap([outcomes], 20_000)[:, 0]
    assert drawn.mean() == pytest.approx(1.0, rel=0.02)
    assert drawn.std() == pytest.approx(
        np.sqrt(100 * 1 * 0.99 / 1000 * 10) / np.sqrt(10), rel=0.03
    )
    assert set(np.round(bootstrap([np.full((2, 1, 5), 7.0)], 10).ravel(), 9)) == {7.0}


def test_the_same_store_gives_the_same_interval() -> None:
    outcomes = np.random.default_rng(3).normal(0, 1, (2, 3, 40))
    assert np.array_equal(bootstrap([outcomes], 50), bootstrap([outcomes], 50))


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_cover_the_truth(seeds: int) -> None:
    """At least 95 of 100, for seeds that vary as much as examples do."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        luck = rng.normal(0, 1.5, (seeds, 1))
        stratum = 3.0 + luck + rng.normal(0, 20, 300) + rng.normal(0, 20, (seeds, 300))
        low, high = percentiles(bootstrap([stratum[None]], 400)[:, 0], crossed([stratum]))
        covered += low <= 3.0 <= high
    assert covered / 300 >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 300)
