from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sweeper.analysis.crossed import Estimate, crossed, of_examples, of_seeds, same_checkpoints
from sweeper.analysis.family import benjamini_hochberg, holm, stars

Array = NDArray[np.float64]


def differences(
    rng: np.random.Generator, seeds: int, examples: int, spread: float, effect: float = 0.0
) -> Array:
    """Right or wrong, the row less the control, in points: seeds by examples.

    Examples are hard or easy; some suit the row and others the control; trainings are lucky by
    ``spread`` points (standard deviation of each of the two) and otherwise disagree at random.
    """
    per_point = 1 / 29.4  # of the latent scale: 72 % are right, and its density there is 0.294
    ability = rng.normal(0, spread * per_point, (2, seeds, 1))
    ability[1] += effect * per_point
    suits = rng.normal(0, 1, examples) + rng.normal(0, 0.4, (2, 1, examples))
    right = suits + ability + rng.normal(0, 0.4, (2, seeds, examples)) > -0.66
    return 100.0 * right[1] - 100.0 * right[0]


def fires(found: Estimate) -> bool:
    return found.p is not None and found.p < 0.05


def test_over_seeds_alone_it_is_students_t() -> None:
    values = [1.0, 2.5, 0.5, 3.0, 2.0]
    found, known = of_seeds(values), stats.ttest_1samp(values, 0.0)
    assert found.p == pytest.approx(known.pvalue)
    interval = known.confidence_interval(0.95)
    assert found.mean + found.half_width() == pytest.approx(interval.high)
    assert found.standard_error == pytest.approx(stats.sem(values))


def test_over_examples_alone_it_is_the_t_test_of_their_means() -> None:
    rng = np.random.default_rng(0)
    stratum = rng.normal(1.0, 5.0, (3, 40))
    assert of_examples([stratum]).p == pytest.approx(
        stats.ttest_1samp(stratum.mean(0), 0.0).pvalue
    )


def test_min_f_by_hand() -> None:
    """F over seeds and F over examples, and Clark's min F' = F1 F2 / (F1 + F2)."""
    rng = np.random.default_rng(1)
    stratum = rng.normal(2.0, 6.0, (4, 30)) + rng.normal(0, 1, (4, 1))
    first = stats.ttest_1samp(stratum.mean(1), 0.0).statistic ** 2
    second = stats.ttest_1samp(stratum.mean(0), 0.0).statistic ** 2
    least = first * second / (first + second)
    found = crossed([stratum])
    assert (found.mean / found.standard_error) ** 2 == pytest.approx(least)
    freedom = (first + second) ** 2 / (first**2 / 29 + second**2 / 3)
    assert found.errors[0][1] == pytest.approx(freedom)
    assert found.p == pytest.approx(max(stats.f.sf(least, 1, freedom), stats.f.sf(first, 1, 3)))


def test_strata_share_their_seeds_but_not_their_examples() -> None:
    """A seed that is lucky in one language is in the other: its luck does not cancel out."""
    rng = np.random.default_rng(2)
    luck = rng.normal(0, 3, (5, 1))
    halves = [(luck + rng.normal(0, 0.1, (5, 500))) / 2 for _ in range(2)]
    assert crossed(halves).standard_error == pytest.approx(stats.sem(luck[:, 0]), rel=0.05)


def test_two_runs_that_are_right_or_wrong_are_mcnemars() -> None:
    """12 examples won, 3 lost, 85 alike: an exact binomial of 12 in 15."""
    row = np.array([[100.0] * 12 + [-100.0] * 3 + [0.0] * 85])
    assert same_checkpoints([row]) == pytest.approx(stats.binomtest(12, 15).pvalue)
    assert same_checkpoints([row]) == pytest.approx(0.03515625)  # by hand: 2 * 576 / 2**15
    assert same_checkpoints([np.zeros((3, 10))]) == 1.0


def test_more_than_right_or_wrong_is_a_permutation_test() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.25, 1.0, 200)
    known = stats.permutation_test(
        (values, np.zeros(200)), lambda a, b: np.mean(a - b), permutation_type="samples",
        n_resamples=20_000, rng=rng,
    )  # fmt: skip
    assert same_checkpoints([values[None]]) == pytest.approx(known.pvalue, abs=0.01)


def test_nothing_varies() -> None:
    same = crossed([np.zeros((3, 10))])
    assert same.p == 1.0 and same.half_width() == 0.0
    assert crossed([np.ones((3, 10))]).p is None  # no spread to judge a gain of 1 by


def test_one_seed_or_one_example_is_no_sample() -> None:
    with pytest.raises(ValueError, match="two of them"):
        crossed([np.zeros((1, 10))])
    with pytest.raises(ValueError, match="two of them"):
        crossed([np.zeros((3, 1))])


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_without_an_effect_one_in_twenty_tests_fires_at_most(seeds: int, spread: float) -> None:
    """Whatever the share of seeds and examples in what varies; 600 tests err by 2 %."""
    rng = np.random.default_rng(4)
    fired = [fires(crossed([differences(rng, seeds, 400, spread)])) for _ in range(600)]
    assert np.mean(fired) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)


def test_what_a_test_over_one_of_the_two_would_do() -> None:
    """Why both are in the model: over examples alone, or seeds alone, too many fire."""
    rng = np.random.default_rng(5)
    lucky = [differences(rng, 5, 1000, 4.0) for _ in range(200)]
    assert np.mean([same_checkpoints([one]) < 0.05 for one in lucky]) > 0.25
    alike = [differences(rng, 5, 400, 0.0) for _ in range(200)]
    assert np.mean([fires(of_seeds(one.mean(axis=1))) for one in alike]) > 0.1


def test_three_points_are_found_with_5000_examples_and_5_seeds() -> None:
    rng = np.random.default_rng(6)
    found = [crossed([differences(rng, 5, 5000, 1.0, effect=3.0)]) for _ in range(100)]
    assert np.mean([one.mean for one in found]) == pytest.approx(3.0, abs=0.2)
    assert np.mean([fires(one) for one in found]) >= 0.8


# ---- families ---------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1, never falling."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_benjamini_and_hochberg_by_hand() -> None:
    """Sorted p * 4 / rank: 0.04, 0.04, 0.04, 0.04."""
    assert benjamini_hochberg([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.04] * 4)
    assert benjamini_hochberg([0.001, 0.5]) == pytest.approx([0.002, 0.5])
    assert benjamini_hochberg([]) == []


def test_the_family_keeps_its_level() -> None:
    """20 true null hypotheses: Holm finds something in at most one family of twenty."""
    rng = np.random.default_rng(7)
    found = [min(holm(list(rng.random(20)))) < 0.05 for _ in range(1000)]
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)


def test_stars() -> None:
    assert [stars(p) for p in (None, 0.05, 0.049, 0.009, 0.0009)] == ["", "", "*", "**", "***"]
