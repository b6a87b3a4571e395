"""One number per row over all targets: mean, interquartile mean, probability of improvement.

After R. Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
NeurIPS 2021: the interquartile mean of all runs' gains leaves out the highest and the lowest
quarter, so that no single target decides; the probability of improvement is the chance that a run
of the row is better than one of the control, averaged over targets, whatever the size of the gain.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis.averaging import Scores
from sweeper.analysis.columns import columns
from sweeper.analysis.crossed import LEAST_SEEDS
from sweeper.analysis.resampling import DRAWS
from sweeper.analysis.view import View
from sweeper.errors import StoreError
from sweeper.study import CONTROL

if TYPE_CHECKING:
    import pandas as pd

Interval = tuple[float, float]


@dataclass(frozen=True)
class RowOverTasks:
    """A row's gains over the control, over targets and seeds; points, and a share for ``better``.

    The intervals are 95 % percentiles of draws of seeds, the same ones for all targets; None for
    fewer than 3 seeds. With few seeds they are too narrow: take them as a lower bound.
    """

    mean: float
    iqm: float
    iqm_interval: Interval | None
    better: float
    better_interval: Interval | None


@dataclass(frozen=True)
class OverTasks:
    """The rows of a study over the same targets and seeds, best interquartile mean first.

    ``left_out`` says of the other targets why they are not among these.
    """

    study: str
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    rows: Mapping[str, RowOverTasks]
    left_out: Mapping[str, str]

    def to_frame(self) -> pd.DataFrame:
        """A row per intermediate."""
        import pandas as pd

        def ends(interval: Interval | None) -> Interval:
            return interval or (float("nan"), float("nan"))

        return pd.DataFrame(
            [
                {
                    "study": self.study,
                    "intermediate": row,
                    "mean_gain": one.mean,
                    "iqm_gain": one.iqm,
                    "iqm_low": ends(one.iqm_interval)[0],
                    "iqm_high": ends(one.iqm_interval)[1],
                    "probability_of_improvement": one.better,
                    "probability_low": ends(one.better_interval)[0],
                    "probability_high": ends(one.better_interval)[1],
                    "targets": " ".join(self.targets),
                    "seeds": len(self.seeds),
                }
                for row, one in self.rows.items()
            ]
        )


def over_tasks(view: View, draws: int = DRAWS) -> OverTasks:
    """The rows of a study over all targets in percent that every row has for the same seeds.

    Raises:
        StoreError: there is no such target, or no row but the control.
    """
    scores = Scores(view)
    chosen = columns(view, "task", {})
    rows = view.plan.rows
    whole = set(view.plan.study.seeds)
    left_out, values = {}, {}
    for column in chosen:
        found = {row: scores.by_seed(row, column) for row in rows}
        lacking = [row for row in rows if set(found[row]) != whole]
        if column.unit != "percent":
            left_out[column.target] = f"{column.metric} is in {column.unit}"
        elif not column.languages:
            left_out[column.target] = "it has no zero-shot language"
        elif lacking:
            left_out[column.target] = f"seeds lack of {', '.join(lacking)}"
        else:
            values[column.target] = found
    if not values or len(rows) < 2:
        why = "; ".join(f"{name}: {said}" for name, said in left_out.items())
        raise StoreError(
            "No target has scores of every row and seed, so there is nothing to sum up"
            + (f" ({why})." if why else ".")
            + " Go on with `sweeper run`, or look at `sweeper matrix`."
        )
    seeds = view.plan.study.seeds
    arrays = {
        row: np.array([[values[target][row][seed] for seed in seeds] for target in values])
        for row in rows
    }
    made = {row: _row(arrays[row], arrays[CONTROL], draws) for row in rows if row != CONTROL}
    order = sorted(made, key=lambda row: -made[row].iqm)
    return OverTasks(
        view.plan.study.name, tuple(values), tuple(seeds), {r: made[r] for r in order}, left_out
    )


def interquartile_mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    """The mean without the lowest and the highest quarter."""
    from scipy import stats

    return float(stats.trim_mean(np.ravel(values), 0.25))


def probability_of_improvement(row: NDArray[np.float64], control: NDArray[np.float64]) -> float:
    """The share of pairs of runs (targets by seeds) of which the row's is better; a tie is half.

    Averaged over targets: U / (m n) of Mann and Whitney.
    """
    difference = row[:, :, None] - control[:, None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _row(row: NDArray[np.float64], control: NDArray[np.float64], draws: int) -> RowOverTasks:
    gains = row - control
    intervals: list[Interval | None] = [None, None]
    count = row.shape[1]
    if count >= LEAST_SEEDS:
        picks = np.random.default_rng(0).integers(0, count, (draws, count))
        drawn = [
            (interquartile_mean(gains[:, pick]),
             probability_of_improvement(row[:, pick], control[:, pick]))
            for pick in picks
        ]  # fmt: skip
        for place in (0, 1):
            low, high = np.quantile([one[place] for one in drawn], [0.025, 0.975])
            intervals[place] = (float(low), float(high))
    return RowOverTasks(
        mean=statistics.fmean(gains.ravel().tolist()),
        iqm=interquartile_mean(gains),
        iqm_interval=intervals[0],
        better=probability_of_improvement(row, control),
        better_interval=intervals[1],
    )
