"""The options of `plan` that ask what a study costs, and how they are answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.errors import StudyError

if TYPE_CHECKING:
    from sweeper.estimates import Estimate
    from sweeper.graph import Plan
    from sweeper.progress import Progress
    from sweeper.store.files import StoreFiles

GpuOption = Annotated[
    str | None,
    typer.Option(
        "--gpu",
        metavar="NAME",
        help="The device to estimate for, of the price table. Default: what the store measured.",
    ),
]
CountsOption = Annotated[
    str | None,
    typer.Option("--gpus", metavar="N,N", help="Compare so many at once: 8,16,64. Default: 8."),
]
PricesOption = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="Your own price table, for the shipped one."),
]
MostHoursOption = Annotated[
    float | None,
    typer.Option("--max-gpu-hours", metavar="H", help="Refuse a plan that needs more: exit 1."),
]
MostMoneyOption = Annotated[
    float | None,
    typer.Option("--max-cost", metavar="MONEY", help="Refuse a plan that costs more: exit 1."),
]


def estimated(
    planned: Plan,
    progress: Progress | None,
    files: StoreFiles | None,
    *,
    gpu: str | None,
    gpus: str | None,
    prices: Path | None,
    ends: list[str] | None,
) -> Estimate | None:
    """What the rest of a plan takes, by what its store has measured if there is one."""
    from sweeper.cores import cores_here
    from sweeper.estimates import estimate
    from sweeper.prices import Prices

    table, samples = Prices.load(prices), {}
    if files is not None:
        from sweeper.throughput import measured

        samples = measured(files, planned, table, progress.commits if progress else None)
    slots = _counts(gpus)
    return estimate(
        planned,
        progress,
        samples,
        table,
        gpu=gpu,
        slots=slots,
        cores=cores_here(),
        ends=ends,
    )


def _counts(said: str | None) -> list[int]:
    """The numbers of `--gpus`."""
    try:
        return [int(part) for part in said.split(",")] if said is not None else []
    except ValueError:
        raise StudyError(f"`--gpus` takes numbers, such as 8,16,64; it has {said!r}.") from None
