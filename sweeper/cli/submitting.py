"""Handing a sweep to a cluster, so that the machine it was started from may go away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.cluster import ServerOption, check_everywhere, end_with, server_at
from sweeper.cli.limits import (
    ColumnsOption,
    GpusOption,
    HoursOption,
    JobsOption,
    OnlyOption,
    RowsOption,
    UntilOption,
    budget_of,
    scope_of,
)
from sweeper.cli.words import (
    KeepGoingOption,
    NoLimitsOption,
    StoreOption,
    StudyArgument,
    TasksOption,
    WithoutOption,
    app,
    load,
)

if TYPE_CHECKING:
    from sweeper.engine.budget import Budget
    from sweeper.scope import Scope


@app.command()
def submit(
    study: StudyArgument,
    store: StoreOption = None,
    address: ServerOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show what the sweep prints until it has ended.")
    ] = False,
    no_limits: NoLimitsOption = False,
    tasks: TasksOption = None,
    without: WithoutOption = None,
    keep_going: KeepGoingOption = False,
    only: OnlyOption = None,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    max_gpu_hours: HoursOption = None,
    until: UntilOption = None,
    max_gpus: GpusOption = None,
    jobs_per_gpu: JobsOption = None,
) -> None:
    """Have a cluster run a study: the sweep goes on when this machine goes away."""
    from sweeper.engine.submitting import submit as hand_over
    from sweeper.planning import plan

    loaded = load(study, no_limits, tasks, without, keep_going)
    place = store or f"runs/{loaded.name}"
    check_everywhere(place)
    # What is wrong with a study, a part of it or a budget is said here, before anything travels.
    budget = budget_of(max_gpu_hours, until, max_gpus, jobs_per_gpu)
    scope = scope_of(only, rows, columns)
    scope.ends(plan(loaded))
    server = server_at(address)
    job = hand_over(server, loaded, place, _scope(scope), _budget(budget), typer.echo)
    if follow:
        end_with(server, job)


def _scope(scope: Scope) -> list[str]:
    said = {"--only": scope.only, "--rows": scope.rows, "--columns": scope.columns}
    return [f"{option}={value}" for option, values in said.items() for value in values]


def _budget(budget: Budget) -> list[str]:
    # As a moment that is the same by every host's clock and time zone.
    until = None if budget.until is None else datetime.fromtimestamp(budget.until, UTC).isoformat()
    said = {
        "--max-gpu-hours": budget.gpu_hours,
        "--until": until,
        "--max-gpus": budget.gpus,
        "--jobs-per-gpu": budget.jobs_per_gpu,
    }
    return [f"{option}={value}" for option, value in said.items() if value is not None]
