"""What selecting an epoch is worth: selected, last and averaged checkpoints side by side."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sweeper.analysis.averaging import Scores
from sweeper.analysis.best import Winner, winners_of
from sweeper.analysis.cell import Column
from sweeper.analysis.columns import columns
from sweeper.analysis.view import View
from sweeper.study import CHECKPOINTS

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.analysis.crossed import Estimate

_NAMES = (
    *("target", "intermediate", "seed", "metric", "higher_is_better", "dev_selected", "epoch"),
    *("dev_last", "last_epoch", "dev_averaged", "test", "test_last", "test_averaged"),
)


def checkpoints(view: View) -> pd.DataFrame:
    """What selecting an epoch was worth: a row per target, row and seed that has a winner.

    The selected epoch beside the last one of the same trial and the average of all, in the unit
    of ``metric``: ``dev_...`` on the selection split, ``test`` (of the selected one),
    ``test_last`` and ``test_averaged`` in the mean over the matrix's languages. Scores of the
    last and the averaged one are only there (else NaN) where the study asks for them
    (`sweeper.study.Study.checkpoints`). These two use no data of any target language, nor any dev
    data but for the trial's settings: what they reach is zero-shot.
    """
    import pandas as pd

    scores = Scores(view)
    others = {str(name): Scores(view, name) for name in view.plan.study.checkpoints}
    curves = _curves(view)
    made = []
    for column in columns(view, "task", {}):
        if view.plan.targets[column.target].selection is None:
            continue
        for row in view.plan.rows:
            tested = scores.by_seed(row, column)
            beside = {name: found.by_seed(row, column) for name, found in others.items()}
            selection = view.plan.selection_of(column.target)
            for won in winners_of(view, row, column.target, selection):
                told = dict(_of_winner(view, won, selection, curves))
                told["test"] = tested.get(won.cell.seed, math.nan)
                for name in CHECKPOINTS:
                    told[f"test_{name}"] = beside.get(name, {}).get(won.cell.seed, math.nan)
                made.append({**_place(column, row, won), **told})
    return pd.DataFrame(made, columns=list(_NAMES))


def _place(column: Column, row: str, won: Winner) -> dict[str, Any]:
    return {
        "target": column.target,
        "intermediate": row,
        "seed": won.cell.seed,
        "metric": won.best["metric"],
        "higher_is_better": column.higher_is_better,
    }


def _curves(view: View) -> dict[tuple[str, str], list[dict[str, Any]]]:
    trials = view.trials()
    return {
        (row["address"], row["attempt"]): json.loads(row["curve"])
        for row in trials[trials["kind"] == "tune"].to_dict("records")
    }


def _of_winner(
    view: View, won: Winner, selection: str, curves: dict[tuple[str, str], list[dict[str, Any]]]
) -> Iterator[tuple[str, Any]]:
    """What a winner's checkpoints were worth on dev, and of which epochs they are."""
    commit = view.progress.addressing.commit(won.job.key)
    assert commit is not None, won.job.key
    told = [one for one in curves.get((commit.address, commit.attempt), [])
            if selection in one["selections"]]  # fmt: skip
    kept = commit.outcome.get("kept", {}).get("averaged", {}).get("selections", {})
    yield "dev_selected", won.best["value"]
    yield "epoch", won.best["epoch"]
    yield "dev_last", told[-1]["selections"][selection]["value"] if told else math.nan
    yield "last_epoch", told[-1]["epoch"] if told else None
    averaged = kept.get(selection, {}).get("value")
    yield "dev_averaged", math.nan if averaged is None else averaged


def gains(found: pd.DataFrame) -> pd.DataFrame:
    """What last and averaged checkpoints gain over the selected ones: a row per target and which.

    ``gain`` is the mean over rows and seeds of the difference of test scores, in points, positive
    where the other is better; ``low`` and ``high`` its 95 % interval with rows and seeds both
    drawn at random (`sweeper.analysis.crossed`), NaN of a single run. Seeds that some row lacks
    are left out.

    Args:
        found: As `checkpoints` gives it.
    """
    import pandas as pd

    made = []
    for target, name in itertools.product(dict.fromkeys(found["target"]), CHECKPOINTS):
        mine = found[found["target"] == target].dropna(subset=["test", f"test_{name}"])
        sign = mine["higher_is_better"].map({True: 1, False: -1})
        told = mine.assign(gain=sign * (mine[f"test_{name}"] - mine["test"]))
        whole = told.pivot(index="seed", columns="intermediate", values="gain").dropna()
        if not len(whole):
            continue
        low, high = _interval(whole)
        made.append(
            {
                "target": target, "checkpoint": name, "gain": float(whole.to_numpy().mean()),
                "low": low, "high": high, "rows": whole.shape[1], "seeds": whole.shape[0],
            }
        )  # fmt: skip
    names = ["target", "checkpoint", "gain", "low", "high", "rows", "seeds"]
    return pd.DataFrame(made, columns=names)


def _interval(table: pd.DataFrame) -> tuple[float, float]:
    """Of the mean of a table of seeds by rows."""
    found = _estimate(table)
    if found is None:
        return math.nan, math.nan
    reach = found.half_width()
    return found.mean - reach, found.mean + reach


def _estimate(table: pd.DataFrame) -> Estimate | None:
    from sweeper.analysis.crossed import crossed, of_seeds

    values = table.to_numpy(dtype=float)
    if min(values.shape) > 1:
        return crossed([values])  # rows take the place of examples
    flat = values.ravel()
    return of_seeds(flat) if len(flat) > 1 else None
