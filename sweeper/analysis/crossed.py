"""How sure a mean over seeds and examples is: a model with both as random effects.

Every run (seed) is scored on the same examples, so an example's outcome for a seed is

    x[s, i] = mean + seed[s] + example[i] + rest[s, i]

with independent effects of mean zero. Both samples are to stand for more: the seeds for other
trainings, the examples for other test data. A test over examples alone takes the luck of these
trainings for an effect, one over seeds alone the luck of these examples; in simulations without
any effect the first fires in up to 70 %, the second in up to 20 % (`tests/analysis/test_crossed`).

The test is Clark's min F' (H. H. Clark, "The language-as-fixed-effect fallacy", 1973, Journal of
Verbal Learning and Verbal Behavior 12): the variance of the mean is at most

    V = MS_seeds / (seeds * examples) + MS_examples / (seeds * examples)

which counts ``rest`` twice, with Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2).
With three seeds these are too many at times; so the t-test over seeds must fire as well.

A mean of several strata (languages, tasks) has one effect per seed over all of them, as it is one
checkpoint, and examples that are independent from stratum to stratum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Outcomes: TypeAlias = NDArray[np.float64]
"""Seeds by examples: what each example adds to the value, in the value's unit."""

LEAST_SEEDS = 3
"""Below, the spread over seeds is not known well enough to test against."""

BOTH, SEEDS, EXAMPLES = "seeds and examples", "seeds", "examples"


@dataclass(frozen=True)
class Estimate:
    """A mean, and its standard errors with their degrees of freedom: the widest one counts.

    ``covers`` says over what the errors were taken: `BOTH`; `SEEDS` where a metric is no mean
    over examples; `EXAMPLES` where seeds do not vary or are too few, so that it holds for these
    very checkpoints.
    """

    mean: float
    errors: tuple[tuple[float, float], ...]
    covers: str

    @property
    def standard_error(self) -> float:
        """Of the mean, over what `covers` says."""
        return self.errors[0][0]

    def half_width(self, level: float = 0.95) -> float:
        """How far the interval of Student's t reaches to each side."""
        from scipy import stats

        return max(float(stats.t.ppf((1 + level) / 2, df)) * error for error, df in self.errors)

    @property
    def p(self) -> float | None:
        """The two-sided p-value of a mean of 0; None where nothing varies."""
        from scipy import stats

        if self.standard_error == 0.0:
            return 1.0 if self.mean == 0.0 else None
        ratios = [(abs(self.mean) / error, df) for error, df in self.errors if error]
        return max(float(2 * stats.t.sf(ratio, df)) for ratio, df in ratios)


def crossed(strata: Sequence[Outcomes]) -> Estimate:
    """The mean of strata, over seeds and examples alike.

    Args:
        strata: One array (seeds, examples) each, with the same seeds in the same order. The value
            is the sum of their means: a stratum that is one of ten languages is divided by ten.

    Raises:
        ValueError: there are fewer than two seeds or examples to take a variance of.
    """
    seeds = of_seeds(np.sum([stratum.mean(axis=1) for stratum in strata], axis=0))
    examples = of_examples(strata)
    shares = [seeds.errors[0], examples.errors[0]]
    variance = sum(error**2 for error, _ in shares)
    below = sum(error**4 / df for error, df in shares)
    df = variance**2 / below if below else math.inf
    return Estimate(seeds.mean, ((math.sqrt(variance), df), seeds.errors[0]), BOTH)


def of_examples(strata: Sequence[Outcomes]) -> Estimate:
    """The mean of strata for these very checkpoints, over examples alone."""
    if any(stratum.shape[1] < 2 for stratum in strata):
        raise ValueError("a variance over examples needs two of them")
    means = [stratum.mean(axis=0) for stratum in strata]
    shares = [float(np.var(one, ddof=1)) / len(one) for one in means]
    below = sum(share**2 / (len(one) - 1) for share, one in zip(shares, means, strict=True))
    df = sum(shares) ** 2 / below if below else math.inf
    mean = float(sum(one.mean() for one in means))
    return Estimate(mean, ((math.sqrt(sum(shares)), df),), EXAMPLES)


def of_seeds(values: Sequence[float] | Outcomes) -> Estimate:
    """The mean of one value per seed: for metrics that are no mean over examples."""
    array = np.asarray(values, dtype=float)
    if len(array) < 2:
        raise ValueError("a variance over seeds needs two of them")
    error = float(np.std(array, ddof=1)) / math.sqrt(len(array))
    return Estimate(float(array.mean()), ((error, len(array) - 1),), SEEDS)


def same_checkpoints(strata: Sequence[Outcomes]) -> float:
    """The p-value of "these checkpoints differ by nothing", from differences by example.

    The permutation test that swaps the two checkpoints example by example, for all seeds at once.
    Where all differences have one size, as between two runs that are right or wrong, it is
    McNemar's exact test (1947, Psychometrika 12); else its normal limit. It says nothing of other
    seeds, so it fires far too often as a test of an intermediate.
    """
    from scipy import stats

    means = np.concatenate([stratum.mean(axis=0) / stratum.shape[1] for stratum in strata])
    moved = means[np.abs(means) > 1e-12]
    if not len(moved):
        return 1.0
    if np.allclose(np.abs(moved), abs(moved[0]), rtol=1e-9):
        return float(stats.binomtest(int((moved > 0).sum()), len(moved)).pvalue)
    return float(2 * stats.norm.sf(abs(moved.sum()) / math.sqrt(float((moved**2).sum()))))
