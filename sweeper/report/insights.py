"""The tables beside the matrix, for a terminal: what fits a line, and a sentence on what it is."""

from __future__ import annotations

import pandas as pd
from rich.console import Console

from sweeper.analysis.checkpoints import gains
from sweeper.report.listing import counted
from sweeper.report.terminal import console, print_list, print_rows, say
from sweeper.report.values import rounded

_SAID = {
    "rank": "Gain over none in points, over all targets that every row has: interquartile mean "
    "(95 % over seeds), and the chance that a run is better than one of none. With few seeds the "
    "intervals are too narrow.",
    "cost": "Hours of a device for all attempts of a row; gain in points, mean over targets. Work "
    "that rows share counts for the one that did it first.",
    "rates": "Best epoch of each trial on the selection split: mean, lowest and highest.",
    "dev": "Correlation of dev and test scores over the winners of all rows and seeds.",
    "checkpoints": "Selected and last epoch of each winner, and the average of all its epochs, on "
    "dev.",
    "published": "Published scores beside those of none.",
}

_EMPTY = {
    "published": "No target of this study is a task of which published scores are known: they are "
    "of XTREME's tasks.",
}
"""What is said of a table that stays empty, however far the sweep is."""

_SHOWN = {
    "rank": {
        "intermediate": "row", "mean_gain": "mean", "iqm_gain": "IQM", "iqm_low": "low",
        "iqm_high": "high", "probability_of_improvement": "P(better)", "seeds": "seeds",
    },
    "cost": {
        "intermediate": "row", "train_hours": "train", "tune_hours": "tune",
        "score_hours": "score", "hours": "hours", "gain": "gain", "hours_per_point": "per point",
        "device": "device",
    },
    "rates": {
        "training_task": "task", "intermediate": "row", "learning_rate": "rate", "dev": "dev",
        "low": "low", "high": "high", "trials": "trials", "diverged": "diverged",
    },
    "dev": {
        "target": "target", "language": "language", "runs": "runs", "pearson": "Pearson",
        "spearman": "Spearman",
    },
    "checkpoints": {
        "target": "target", "intermediate": "row", "seed": "seed", "dev_selected": "selected",
        "epoch": "epoch", "dev_last": "last", "last_epoch": "of", "dev_averaged": "averaged",
    },
    "published": {
        "model": "model", "task": "task", "language": "language", "metric": "metric",
        "value": "published", "measured": "measured", "difference": "difference",
    },
}  # fmt: skip
"""Table -> the columns that a terminal has room for, and what they are called there."""

_TESTED = {
    "target": "target", "intermediate": "row", "seed": "seed", "test": "selected",
    "test_last": "last", "test_averaged": "averaged",
}  # fmt: skip

_BELOW = ("selection", "source", "protocol")
"""Columns that are said below the table."""


def print_insight(what: str, found: pd.DataFrame) -> None:
    """A table as it fits a terminal; where there are no rows, what it would have."""
    out = console()
    say(out, _SAID[what], "bold")
    out.print()
    if not len(found):
        say(out, _EMPTY.get(what, "Nothing of this is done yet: see `sweeper status`."))
        return
    print_rows(out, found[list(_SHOWN[what])].rename(columns=_SHOWN[what]))
    for name in _BELOW:
        if name in found:
            out.print()
            print_list(out, (f"{name}: {value}" for value in dict.fromkeys(found[name])))
    if what == "checkpoints":
        _print_tested(out, found)


def _print_tested(out: Console, found: pd.DataFrame) -> None:
    """The test scores of selected, last and averaged checkpoints, and what these differ by."""
    out.print()
    say(out, "The same on test: mean over the languages of the matrix.", "bold")
    out.print()
    print_rows(out, found[list(_TESTED)].rename(columns=_TESTED))
    out.print()
    differences, told = gains(found), []
    for one in differences.to_dict("records"):
        over = f"{counted(one['rows'], 'row')} and {counted(one['seeds'], 'seed')}"
        gain, low, high = (rounded(one[n], 2, signed=True) for n in ("gain", "low", "high"))
        spread = f" [{low}, {high}]" if one["low"] == one["low"] else ""
        made = f"{one['checkpoint']} gains {gain}{spread} over selected"
        told.append(f"{one['target']}: {made}, {over}")
    told.append(
        "In brackets: 95 %, rows and seeds at random. Neither uses data of a target language, so "
        "their scores are zero-shot; the trial itself was chosen by dev."
        if len(differences)
        else "Last and averaged checkpoints are kept and scored where the study says "
        "`checkpoints: [last, averaged]`."
    )
    print_list(out, told)
