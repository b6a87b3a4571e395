"""The options that bound a run: which part of a study it does, and what it may spend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.errors import StudyError

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
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs-per-gpu",
        metavar="N",
        help="At most so many small jobs share a GPU; 1: none does. Default: as many as fit by "
        "measured memory.",
    ),
]


def scope_of(
    only: Sequence[str] | None, rows: Sequence[str] | None, columns: Sequence[str] | None
) -> Scope:
    """The part of a study that the options name; `StudyError` for an option that names nothing."""
    from sweeper.scope import Scope

    return Scope(
        _said("--only", only, tuple(pattern for pattern in only or () if pattern.strip())),
        _said("--rows", rows, _names(rows)),
        _said("--columns", columns, _names(columns)),
    )


def budget_of(
    gpu_hours: float | None, until: str | None, gpus: int | None, jobs_per_gpu: int | None
) -> Budget:
    """What a run may spend; `EngineError` for what cannot be meant."""
    from sweeper.engine.budget import Budget, moment

    return Budget(gpu_hours, None if until is None else moment(until), gpus, jobs_per_gpu)


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


def _said(option: str, said: Sequence[str] | None, found: tuple[str, ...]) -> tuple[str, ...]:
    """What an option names: of one that is given, empty (as an unset variable is), not "all"."""
    if said and not found:
        raise StudyError(
            f"{option} is empty. Name what is wanted, or leave it out for everything."
        )
    return found


def _names(said: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for part in said or () for name in part.split(",") if name.strip())
