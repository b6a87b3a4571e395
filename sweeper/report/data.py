"""What the commands print, as data: for ``--json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.disk import checkpoints_needed, free_bytes
from sweeper.graph import Plan
from sweeper.progress import BLOCKED, FAILED, PRUNED, Progress
from sweeper.report.costs import data_of
from sweeper.report.datalist import data_of_tasks
from sweeper.store.files import has_store

if TYPE_CHECKING:
    from sweeper.estimates import Estimate


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
    planned: Plan, progress: Progress | None, store: str | Path, cost: Estimate | None
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
        "checkpoint_bytes": checkpoints_needed(planned, progress),
        "free_bytes": free_bytes(store),
        "data": data_of_tasks(planned),
        "estimate": data_of(cost),
    }
