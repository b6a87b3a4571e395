"""XTREME's and XTREME-R's averages of a study's rows.

They are over ALL languages of a benchmark's tasks, the trained one too, as the official script has
it; the transfer matrix averages zero-shot languages. The two are different numbers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.analysis.averaging import mean_and_error, one_computation, overlaps_of
from sweeper.analysis.view import Part, View
from sweeper.errors import StoreError, suggest
from sweeper.tasks.metrics.aggregate import CATEGORIES as CATEGORY_GROUPS
from sweeper.tasks.metrics.aggregate import (
    XTREME,
    XTREME_R,
    Benchmark,
    Summary,
    summary,
    task_means,
)

if TYPE_CHECKING:
    import pandas as pd

BENCHMARKS = {one.name: one for one in (XTREME, XTREME_R)}

NAMES = {"mewsli_x": "mewslix"}
"""Tasks that a benchmark calls otherwise."""

SPLITS = ("test", "test_r")
"""What is tested; ``test_r`` has the languages that XTREME-R adds."""

OFFICIAL = {"mewslix": {"mrr@20": "map@20"}, "lareqa": {"map@20": "map@20"}}
"""The metrics of a task that count, and what a benchmark calls them: its map@20 of Mewsli-X is a
reciprocal rank. Of other tasks all metrics count."""

UNSCORED = {"lareqa": XTREME.languages["xquad"]}
"""Tasks of a benchmark that its script cannot score, and their languages: sweeper can."""

ALL_TASKS, OWN, CATEGORIES = "all tasks", "all tasks (own)", "four categories"

_Scores = dict[str, dict[str, dict[str, float]]]


def benchmark(name: str) -> Benchmark:
    """The benchmark of a name; `StoreError` if there is none."""
    if name not in BENCHMARKS:
        raise StoreError(f"There is no benchmark {name!r}.{suggest(name, BENCHMARKS)}")
    return BENCHMARKS[name]


@dataclass(frozen=True)
class Averages:
    """What a set of scores gives of a benchmark: the averages, and why some are not there.

    ``lacking`` says per task of the benchmark which languages have no score (all of them where
    the task was not scored at all). ``own`` is the mean over all tasks of a benchmark whose
    script cannot give one, with sweeper's own score of the task that it cannot score.
    """

    summary: Summary
    lacking: dict[str, tuple[str, ...]]
    own: float | None = None

    @property
    def values(self) -> dict[str, float]:
        """Column -> percent: tasks, groups, `ALL_TASKS`, `CATEGORIES`; only what is complete."""
        found = {task: means["avg_metric"] for task, means in self.summary.tasks.items()}
        found |= {f"mean {group}": value for group, value in self.summary.groups.items()}
        whole = {
            ALL_TASKS: self.summary.all_task,
            OWN: self.own,
            CATEGORIES: self.summary.categories,
        }
        return found | {name: value for name, value in whole.items() if value is not None}


def languages_of(of: Benchmark) -> dict[str, tuple[str, ...]]:
    """The languages of all tasks of a benchmark, those too that its script cannot score."""
    return {**of.languages, **{task: UNSCORED[task] for task in of.unscored}}


def averages(rows: Iterable[tuple[str, str, str, float]], of: Benchmark = XTREME) -> Averages:
    """The averages of scores given as (task, language, metric, percent).

    A task that lacks a language of the benchmark is left out whole, as an average over fewer
    languages would be another number under the same name. Other tasks, languages and splits of
    a study do not count.
    """
    given: _Scores = {}
    for name, code, metric, value in rows:
        task = NAMES.get(name, name)
        called = OFFICIAL.get(task, {})
        known = task in of.languages or task in of.unscored
        if not known or (called and metric not in called):
            continue
        if value is not None and not math.isnan(value):
            given.setdefault(task, {}).setdefault(code, {})[called.get(metric, metric)] = value
    lacking = {}
    for task, codes in languages_of(of).items():
        missing = tuple(code for code in codes if code not in given.get(task, {}))
        if missing:
            lacking[task] = missing
    complete = {task: scores for task, scores in given.items() if task not in lacking}
    official = summary({t: one for t, one in complete.items() if t in of.languages}, of)
    return Averages(official, lacking, _own(of, complete, official))


def _own(of: Benchmark, complete: _Scores, official: Summary) -> float | None:
    """The mean over all tasks of a benchmark of which its script cannot score some."""
    if not of.unscored or len(complete) < len(of.languages) + len(of.unscored):
        return None
    extra = [task_means(task, complete[task])["avg_metric"] for task in of.unscored]
    return statistics.fmean([*(one["avg_metric"] for one in official.tasks.values()), *extra])


@dataclass(frozen=True)
class AggregateCell:
    """A row's average: mean over seeds and its standard error, the seeds, what its scores share.

    The error is None below two seeds, and for a ``deterministic`` average, of which every seed is
    the same computation. ``overlap`` is what any score in it shares with training or selection.
    """

    value: float
    standard_error: float | None
    seeds: tuple[int, ...]
    overlap: tuple[str, ...] = ()
    deterministic: bool = False


@dataclass(frozen=True)
class Aggregate:
    """The averages of every row of a study, over seeds.

    An average is made per seed and only where all its members are there; a cell that no seed has
    is missing from ``cells``. ``lacking`` says, per row and task, the languages without a score in
    some seed; ``limits`` of which splits the first examples of a language alone were used
    ("task/split" -> how many), which makes the averages no numbers of the benchmark.
    """

    study: str
    benchmark: Benchmark
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: Mapping[tuple[str, str], AggregateCell]
    lacking: Mapping[str, Mapping[str, tuple[str, ...]]]
    limits: Mapping[str, int]

    @property
    def values(self) -> pd.DataFrame:
        """Rows by averages, percent; NaN where a member is missing."""
        return self._frame(lambda cell: cell.value)

    @property
    def standard_error(self) -> pd.DataFrame:
        """Standard errors of the means over seeds; NaN below two seeds."""
        return self._frame(lambda cell: cell.standard_error)

    @property
    def n_seeds(self) -> pd.DataFrame:
        """How many seeds each value is the mean of; NaN where there is none."""
        return self._frame(lambda cell: len(cell.seeds))

    def to_frame(self) -> pd.DataFrame:
        """A long table, a line per row and average that is there, with all that is known of it."""
        import pandas as pd

        limits = "; ".join(f"{place} {limit}" for place, limit in self.limits.items())
        found = [
            {
                "study": self.study,
                "benchmark": self.benchmark.name,
                "intermediate": row,
                "average": column,
                "value": cell.value,
                "standard_error": (
                    math.nan if cell.standard_error is None else cell.standard_error
                ),
                "seeds": len(cell.seeds),
                "deterministic": cell.deterministic,
                "overlap": "; ".join(cell.overlap),
                "limits": limits,
            }
            for (row, column), cell in self.cells.items()
        ]
        return pd.DataFrame(found, columns=_COLUMNS)

    def _frame(self, part: Callable[[AggregateCell], float | None]) -> pd.DataFrame:
        import pandas as pd

        def of(row: str, column: str) -> float:
            cell = self.cells.get((row, column))
            value = part(cell) if cell else None
            return math.nan if value is None else value

        data = [[of(row, column) for column in self.columns] for row in self.rows]
        return pd.DataFrame(
            data,
            index=pd.Index(self.rows, name="intermediate"),
            columns=pd.Index(self.columns, name="average"),
        )


_COLUMNS = [
    *("study", "benchmark", "intermediate", "average", "value", "standard_error", "seeds"),
    *("deterministic", "overlap", "limits"),
]


def columns_of(of: Benchmark) -> tuple[str, ...]:
    """The averages of a benchmark: its tasks, its groups, and the two overall means."""
    groups = (f"mean {group}" for group in of.groups)
    return (*of.languages, *groups, OWN if of.unscored else ALL_TASKS, CATEGORIES)


def members(of: Benchmark, column: str) -> tuple[str, ...]:
    """The tasks of a benchmark that an average is made of."""
    if column in of.languages:
        return (column,)
    if column in (ALL_TASKS, OWN):
        return (*of.languages, *of.unscored)
    groups = CATEGORY_GROUPS if column == CATEGORIES else (column.removeprefix("mean "),)
    return tuple(task for group in groups for task in of.groups[group])


def aggregate(view: View, name: str = "xtreme") -> Aggregate:
    """The averages of a study's rows; see `Aggregate`.

    Raises:
        StoreError: there is no such benchmark, or the study has none of its targets.
    """
    of = benchmark(name)
    wanted = languages_of(of)
    mine = [target for target in view.plan.columns if NAMES.get(target, target) in wanted]
    if not mine:
        raise StoreError(
            f"The study {view.plan.study.name!r} has no target of {name}, so there is nothing to "
            f"average. Its targets are {', '.join(view.plan.columns)}."
        )
    parts = [part for part in view.parts if part.target in mine and part.split in SPLITS]
    scores = view.scores(parts, "all")
    rows, seeds = tuple(view.plan.rows), tuple(view.plan.study.seeds)
    found: dict[tuple[str, str], dict[int, float]] = {}
    lacking: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in rows:
        for seed in seeds:
            chosen = scores[(scores["intermediate"] == row) & (scores["seed"] == seed)]
            one = averages(_tuples(chosen), of)
            lacking.setdefault(row, {}).update(one.lacking)
            for column, value in one.values.items():
                found.setdefault((row, column), {})[seed] = value
    behind = _by_place(parts, wanted)
    cells = {
        (row, column): _cell([p for t in members(of, column) for p in behind[row, t]], by_seed)
        for (row, column), by_seed in found.items()
    }
    limits = view.plan.limits()
    return Aggregate(view.plan.study.name, of, rows, columns_of(of), seeds, cells, lacking, limits)


def _by_place(
    parts: Iterable[Part], wanted: Mapping[str, Collection[str]]
) -> dict[tuple[str, str], list[Part]]:
    """Row and task of a benchmark -> the scores in the languages that it averages."""
    found: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        task = NAMES.get(part.target, part.target)
        if part.language in wanted[task]:
            found.setdefault((part.intermediate, task), []).append(part)
    return found


def _tuples(scores: pd.DataFrame) -> Iterable[tuple[str, str, str, float]]:
    names = ["target", "language", "metric", "value"]
    return scores[names].itertuples(index=False, name=None)


def _cell(parts: list[Part], by_seed: Mapping[int, float]) -> AggregateCell:
    fixed = one_computation(parts)
    mean, error = mean_and_error(by_seed, fixed=fixed)
    assert mean is not None, "an average is of a seed at least"
    return AggregateCell(mean, error, tuple(by_seed), overlaps_of(parts), fixed)
