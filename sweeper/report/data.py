"""What the commands print, as data: for ``--json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.disk import checkpoints_needed, free_bytes
from sweeper.graph import Plan
from sweeper.progress import Progress
from sweeper.report.atwork import AtWork
from sweeper.report.costs import data_of
from sweeper.report.datalist import data_of_tasks
from sweeper.states import BLOCKED, FAILED, PRUNED
from sweeper.store.drivers import Drivers
from sweeper.store.files import has_store

if TYPE_CHECKING:
    from sweeper.analysis.aggregates import Aggregate
    from sweeper.analysis.best import Best
    from sweeper.analysis.matrix import TransferMatrix
    from sweeper.analysis.view import View
    from sweeper.analysis.where import Where
    from sweeper.estimates import Estimate
    from sweeper.report.submitted import FolderScores
    from sweeper.report.taskcheck import Checked


def jobs_by_kind(planned: Plan, progress: Progress | None) -> dict[str, Counter[str]]:
    """State -> kind -> how many jobs; pruned, failed and blocked ones only where there are."""

    def by_kind(keys: Iterable[str]) -> Counter[str]:
        return Counter(planned.jobs[key].kind for key in keys)

    found = {"all": by_kind(planned.jobs), "done": by_kind(progress.done if progress else ())}
    found["left"] = by_kind(progress.left if progress else planned.jobs)
    if progress and progress.pruned:
        found[PRUNED] = by_kind(progress.pruned)
    if progress and progress.failures:
        found |= {FAILED: by_kind(progress.failures), BLOCKED: by_kind(progress.blocked())}
    return found


def plan_data(
    planned: Plan,
    progress: Progress | None,
    store: str | Path,
    cost: Estimate | None,
    ends: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What `print_plan`, `print_data` and `print_estimate` show, as data."""
    study = planned.study
    return {
        "study": study.name,
        "description": study.description,
        "rows": planned.rows,
        "targets": planned.columns,
        "seeds": study.seeds,
        "jobs": jobs_by_kind(planned, progress),
        "store": str(store),
        "left_is_known": progress is not None or not has_store(store),
        "checkpoint_bytes": checkpoints_needed(planned, progress, ends),
        "free_bytes": free_bytes(store),
        "data": data_of_tasks(planned),
        "estimate": data_of(cost),
    }


def status_data(view: View) -> dict[str, Any]:
    """What `print_status` shows: jobs by kind and state, what failed and what that blocks."""
    progress = view.progress
    left = len(progress.left)
    return {
        "study": view.plan.study.name,
        "jobs": progress.counts(),
        "left": left,
        "complete": not left and not progress.failures,
        "failed": progress.failures,
        "blocked": progress.blocked(),
        "damaged_markers": progress.commits.damaged,
        "drivers": _drivers(view),
        "broken_rows_left_out": view.skipped(),
    }


def _drivers(view: View) -> list[dict[str, Any]]:
    """The study's drivers that live, or the last one; ``part`` is what it was asked for alone."""
    at_work = AtWork(Drivers(view.files), view.plan.study.name)
    kept = ("driver", "host", "pid", "started", "ended", "why", "part")
    return [
        {name: seen.heartbeat.get(name) for name in kept} | {"lives": seen in at_work.living}
        for seen in at_work.shown
    ]


def where_data(found: Where) -> dict[str, Any]:
    """What `print_where` shows, in seconds; ``gaps`` and ``cold_starts`` one by one."""
    return {**asdict(found), "total": found.total}


def best_data(found: Best) -> dict[str, Any]:
    """A target's checkpoint with all that is known of it."""
    return {name: value for name, value in vars(found).items() if name not in ("fetch", "path")}


def matrix_data(matrix: TransferMatrix) -> dict[str, Any]:
    """A matrix: a record per cell, and the notes under it."""
    from sweeper.report.cells import notes, title

    return {
        "study": matrix.study,
        "title": title(matrix),
        "value": matrix.value,
        "by": matrix.by,
        "rows": matrix.rows,
        "seeds": matrix.seeds,
        "complete": matrix.complete,
        "limits": matrix.limits,
        "trained_on": matrix.trained_on,
        "notes": notes(matrix),
        "cells": matrix.to_frame().to_dict("records"),
    }


def aggregate_data(found: Aggregate) -> dict[str, Any]:
    """A benchmark's averages: a record each, and the notes under them."""
    from sweeper.report.benchmarks import notes

    return {
        "study": found.study,
        "benchmark": found.benchmark.name,
        "notes": notes(found),
        "averages": found.to_frame().to_dict("records"),
    }


def check_data(checks: Iterable[Iterable[Checked]]) -> dict[str, Any]:
    """What was read of each language of each split, and whether all of it is good."""
    units = [unit for task in checks for unit in task]
    return {
        "good": all(unit.good for unit in units),
        "units": [{**asdict(unit), "good": unit.good} for unit in units],
    }


def scores_data(scored: FolderScores) -> dict[str, Any]:
    """The scores of a folder, and the files that have none."""
    left_out = [asdict(one) for one in scored.left_out]
    return {"folder": scored.folder, "scores": scored.rows(), "left_out": left_out}
