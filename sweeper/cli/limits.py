"""The options that bound a run: which part of a study it does, and what it may spend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sweeper.engine.budget import Budget
    from sweeper.graph import Plan
    from sweeper.scope import Scope

OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="PATTERN",
        help="Only jobs whose keys match, such as 'tune/mnli>*', and what they need; repeatable.",
    ),
]
RowsOption = Annotated[
    list[str] | None,
    typer.Option("--rows", metavar="ROWS", help="Only these rows, with commas; or repeat it."),
]
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--columns", metavar="TARGETS", help="Only these columns, with commas; or repeat it."
    ),
]
HoursOption = Annotated[
    float | None,
    typer.Option(
        "--max-gpu-hours",
        metavar="H",
        help="Save and stop when this run's jobs took so many hours of GPUs, all together "
        "(of slots, on a machine without GPUs). Earlier runs do not count.",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME",
        help="Save and stop then: 90m, 1h30m, 2d, 18:30, or 2027-01-31T18:30 (local time).",
    ),
]
GpusOption = Annotated[
    int | None,
    typer.Option(
        "--max-gpus",
        metavar="N",
        help="Use at most so many GPUs at once (slots, on a machine without GPUs).",
    ),
]


def scope_of(
    only: Sequence[str] | None, rows: Sequence[str] | None, columns: Sequence[str] | None
) -> Scope:
    """The part of a study that the options name."""
    from sweeper.scope import Scope

    return Scope(tuple(only or ()), _names(rows), _names(columns))


def budget_of(gpu_hours: float | None, until: str | None, gpus: int | None) -> Budget:
    """What a run may spend; `EngineError` for what cannot be meant."""
    from sweeper.engine.budget import Budget, moment

    return Budget(gpu_hours, None if until is None else moment(until), gpus)


def told(scope: Scope, planned: Plan) -> str:
    """How much of a plan is in a part of it, in a sentence."""
    from sweeper.scope import needed, outside

    ends = scope.ends(planned) or []
    cells = len(planned.cells) - outside(planned, ends)
    jobs = len(needed(planned, ends))
    return (
        f"{scope}: {cells} of {len(planned.cells)} cells of the matrix; "
        f"{jobs} of {len(planned.jobs)} jobs, with all that they need."
    )


def _names(said: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for part in said or () for name in part.split(",") if name.strip())
