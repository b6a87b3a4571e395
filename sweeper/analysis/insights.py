"""What else a sweep has measured: rates, cost, whether dev scores tell test scores."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

from sweeper.analysis.aggregates import benchmark, languages_of
from sweeper.analysis.averaging import Scores, transfer
from sweeper.analysis.best import winners_of
from sweeper.analysis.columns import columns
from sweeper.analysis.view import View
from sweeper.study import CONTROL

if TYPE_CHECKING:
    import pandas as pd


def rates(view: View) -> pd.DataFrame:
    """How each learning rate did: a row per training task, row, selection split and rate.

    ``dev`` is the mean over seeds and other settings of a trial's best epoch, ``low`` and ``high``
    its range, in the unit of ``metric``; ``diverged`` counts trials that have none.
    """
    import pandas as pd

    trials = view.trials()
    trials = trials[(trials["kind"] == "tune") & trials["status"].isin(["done", "diverged"])]
    groups: dict[tuple[Any, ...], list[float]] = {}
    lost: dict[tuple[Any, ...], int] = {}
    for row in trials.to_dict("records"):
        rate = json.loads(row["parameters"])["learning_rate"]
        place = (row["target"], row["intermediate"])
        if row["status"] == "diverged":
            lost[(*place, rate)] = lost.get((*place, rate), 0) + 1
        for name, found in json.loads(row["selections"]).items():
            key = (*place, name, found["metric"], rate)
            groups.setdefault(key, []).append(float(found["value"]))
    made = [
        {
            "training_task": task, "intermediate": row, "selection": name, "metric": metric,
            "learning_rate": rate, "dev": statistics.fmean(values), "low": min(values),
            "high": max(values), "trials": len(values), "diverged": lost.get((task, row, rate), 0),
        }
        for (task, row, name, metric, rate), values in sorted(groups.items())
    ]  # fmt: skip
    names = ["training_task", "intermediate", "selection", "metric", "learning_rate", "dev", "low"]
    return pd.DataFrame(made, columns=[*names, "high", "trials", "diverged"])


def costs(view: View) -> pd.DataFrame:
    """What each row cost, and what a point of it cost: a row per intermediate.

    Hours are of a worker's device, from the start to the end of every attempt made for the row,
    those that failed too; work that several rows share counts for the one that did it first.
    ``gain`` is the mean over targets in percent of the matrix, of the cells that are there;
    ``hours_per_point`` is only there where something was gained.
    """
    import pandas as pd

    trials = view.trials()
    hours = (trials["committed"] - trials["started"]) / 3600
    matrix = transfer(view, "gain", draws=0)
    told = [column for column in matrix.columns if column.unit == "percent"]
    made = []
    for row in view.plan.rows:
        own = trials["intermediate"] == row
        spent = {kind: float(hours[own & (trials["kind"] == kind)].sum())
                 for kind in ("train", "tune", "score")}  # fmt: skip
        cells = [matrix.cell(row, column) for column in told] if row != CONTROL else []
        gains = [cell.value for cell in cells if cell.value is not None]
        gain = statistics.fmean(gains) if gains else math.nan
        total = sum(spent.values())
        devices = sorted(set(trials.loc[own, "device"].dropna()))
        made.append(
            {
                "intermediate": row,
                **{f"{kind}_hours": value for kind, value in spent.items()},
                "hours": total,
                "device": ", ".join(devices),
                "gain": gain,
                "targets": len(gains),
                "hours_per_point": total / gain if gain > 0 else math.nan,
            }
        )
    return pd.DataFrame(made)


def dev_and_test(view: View) -> pd.DataFrame:
    """Whether dev scores tell test scores: a row per target and language of its first split.

    Correlations over the winners of all rows and seeds, between their score on the selection
    split and their test score; of fewer than 4 runs there are none. A low one is no failure of
    selection where all winners are alike, but says that dev in one language does not rank rows
    for another (P. Keung et al., 2020, arXiv 2004.15001).
    """
    import pandas as pd

    scores = Scores(view)
    made = []
    for column in columns(view, "language", {}):
        if view.plan.targets[column.target].selection is None:
            continue
        name = view.plan.selection_of(column.target)
        pairs: list[tuple[float, float]] = []
        for row in view.plan.rows:
            tested = scores.by_seed(row, column)
            chosen = winners_of(view, row, column.target, name)
            found = [(float(won.best["value"]), tested.get(won.cell.seed)) for won in chosen]
            pairs += [(dev, test) for dev, test in found if test is not None]
        pearson, spearman = _correlations(pairs)
        made.append(
            {
                "target": column.target, "language": column.group, "selection": name,
                "runs": len(pairs), "pearson": pearson, "spearman": spearman,
                "zero_shot": column.zero_shot,
            }
        )  # fmt: skip
    names = ["target", "language", "selection", "runs", "pearson", "spearman", "zero_shot"]
    return pd.DataFrame(made, columns=names)


def _correlations(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    from scipy import stats

    both = list(zip(*pairs, strict=True))
    if len(pairs) < 4 or any(len(set(one)) < 2 for one in both):
        return math.nan, math.nan
    return (
        float(stats.pearsonr(*both).statistic),
        float(stats.spearmanr(*both).statistic),
    )


def published(view: View) -> pd.DataFrame:
    """Published scores beside the control's: a row per number that was found in print.

    ``measured`` is the control's mean over seeds in the same split, language and metric; of a mean
    over languages only where the store has all of the benchmark's. ``protocol`` says what is to be
    known before the two are compared.
    """
    import pandas as pd

    found = view.scores(view.chosen(intermediate=CONTROL), "all")
    groups = found.groupby(["target", "language", "metric", "split"])["value"].mean()
    means: dict[Any, float] = groups.to_dict()
    protocol, whole = _protocol(view), languages_of(benchmark("xtreme"))
    made = []
    for row in _published():
        if row["task"] not in view.plan.columns:
            continue
        codes = (row["language"],) if row["language"] else whole[row["task"]]
        values = [means.get((row["task"], code, row["metric"], row["split"])) for code in codes]
        there = [value for value in values if value is not None]
        mean = statistics.fmean(there) if len(there) == len(values) else math.nan
        value = float(row["value"])
        told = {"value": value, "measured": mean, "difference": mean - value}
        language = row["language"] or "mean"
        made.append({**row, **told, "language": language, "protocol": protocol})
    names = ["model", "task", "language", "metric", "value", "measured", "difference", "split"]
    return pd.DataFrame(made, columns=[*names, "source", "protocol"])


def _protocol(view: View) -> str:
    study = view.plan.study
    base = study.base.model or "a model trained from scratch"
    limits = "; ".join(f"{limit} of {place}" for place, limit in view.plan.limits().items())
    cut = f", only the first examples: {limits}" if limits else ""
    return (
        "published: fine-tuned on English, zero-shot, whole test sets; measured: "
        f"{base}, row none, mean over seeds {' '.join(map(str, study.seeds))}{cut}"
    )


def _published() -> Iterator[dict[str, str]]:
    """The facts of `published.csv`: quoted from other works, which each row names."""
    text = resources.files("sweeper.analysis").joinpath("published.csv").read_text("utf-8")
    yield from csv.DictReader(text.splitlines())
