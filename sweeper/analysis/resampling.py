"""The paired bootstrap of means over seeds and examples, for many rows with the same draws.

Seeds and examples are drawn with replacement, each on their own, and the examples of a stratum on
their own: Owen's pigeonhole bootstrap (A. B. Owen, 2007, Annals of Applied Statistics 1), which
errs to the side of too wide where the two are crossed. Two things are mended for few seeds: drawn
from S seeds the spread of their mean is too small by sqrt((S - 1) / S), so their deviations are
stretched by the inverse; and the percentiles are expanded by the ratio of Student's t to the
normal (T. Hesterberg, 2015, The American Statistician 69).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis.crossed import Estimate

Runs: TypeAlias = NDArray[np.floating]
"""Rows by seeds by examples of a stratum: what each example adds to a row's value."""

DRAWS = 2000

_BLOCK = 1 << 21
"""Draws times examples that are made at once: what stays in the processor's cache is faster."""


def bootstrap(strata: Sequence[Runs], draws: int, seed: int = 0) -> NDArray[np.float64]:
    """Means of bootstrap samples: draws by rows.

    Args:
        strata: Each with the same rows and seeds; the value is the sum of their means (see
            `crossed.crossed`). Rows are drawn together: differences of columns are paired.
        draws: How many samples.
        seed: Of the generator, so that the same store gives the same interval.
    """
    rng = np.random.default_rng(seed)
    rows, seeds = strata[0].shape[:2]
    means = np.zeros((draws, rows * seeds))
    for stratum in strata:
        _add_means(means, stratum.reshape(rows * seeds, -1), rng)
    counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    stretch = math.sqrt(seeds / (seeds - 1)) if seeds > 1 else 0.0
    weights = 1 / seeds + stretch * (counts - 1 / seeds)
    made: NDArray[np.float64] = np.einsum("drs,ds->dr", means.reshape(draws, rows, seeds), weights)
    return made


def _add_means(means: NDArray[np.float64], outcomes: Runs, rng: np.random.Generator) -> None:
    """Add the mean of each run over resampled examples: how often each is drawn, times it."""
    # What no run differs in moves no mean of any sample: it is drawn as one.
    told, constant = _apart(outcomes)
    examples, kept = outcomes.shape[1], told.shape[0]
    table = np.ascontiguousarray(told, dtype=np.float32)
    block = max(1, _BLOCK // max(1, kept))
    for start in range(0, len(means), block):
        size = min(block, len(means) - start)
        drawn = rng.binomial(examples, kept / examples, size=size)
        # Of 64 bits, as `bincount` wants them; below 2**32 they cost no more to draw.
        cells = rng.integers(0, max(1, kept), size=int(drawn.sum()))
        cells += np.repeat(np.arange(size) * kept, drawn)
        counts = np.bincount(cells, minlength=size * kept).reshape(size, kept)
        means[start : start + size] += counts.astype(np.float32) @ table / examples + constant


def _apart(outcomes: Runs) -> tuple[Runs, float]:
    """Examples by runs without those on which every run has the commonest value, and that value.

    Of the others what they differ from it by.
    """
    first = outcomes[0]
    same = (outcomes == first).all(axis=0)
    if not same.any():
        return outcomes.T, 0.0
    values, counts = np.unique(first[same], return_counts=True)
    common = float(values[counts.argmax()])
    kept = ~(same & (first == common))
    return (outcomes[:, kept] - common).T, common


def percentiles(
    drawn: NDArray[np.float64], estimate: Estimate, level: float = 0.95
) -> tuple[float, float]:
    """The interval of a mean from its bootstrap samples, expanded for few seeds."""
    if not estimate.standard_error:
        return estimate.mean, estimate.mean
    normal = NormalDist().inv_cdf((1 + level) / 2)
    expand = estimate.half_width(level) / (normal * estimate.standard_error)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    middle = estimate.mean
    return middle + (float(low) - middle) * expand, middle + (float(high) - middle) * expand
