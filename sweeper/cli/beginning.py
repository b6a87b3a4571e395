"""Beginning a study."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.words import TasksOption, app
from sweeper.errors import StudyError, suggest

if TYPE_CHECKING:
    from sweeper.report.newstudy import Answers


@app.command()
def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The study to write.")],
    name: Annotated[str | None, typer.Option(help="Default: the file's name.")] = None,
    base: Annotated[str | None, typer.Option(help="A hub id, or a model's folder.")] = None,
    row: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="An intermediate task; repeatable.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="A target task; repeatable.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many. Default: 3.")] = None,
    rates: Annotated[
        str | None, typer.Option(help="Learning rates to try. Default: 1e-5,2e-5,3e-5.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Training examples per language. Default: all.")
    ] = None,
    tasks: TasksOption = None,
) -> None:
    """Write a commented study, from these options or from a few answers.

    On a terminal it asks for what is not said, if no target is.
    """
    from sweeper.knowncards import cards_with
    from sweeper.report.newstudy import BASE, Answers, rows_of, targets_of, write_study

    cards = cards_with(tasks)
    given = Answers(
        name=name or path.stem,
        base=base or BASE,
        rows=tuple(row or ()),
        targets=tuple(target or ()),
        seeds=3 if seeds is None else seeds,
        rates=_rates(rates) if rates is not None else Answers.rates,
        limit=limit,
        tasks=tasks,
    )
    if not target and sys.stdin.isatty():
        given = _asked(given, rows_of(cards), targets_of(cards))
    planned = write_study(path, given, cards)
    counts = {"row": planned.rows, "target": planned.columns, "job": planned.jobs}
    said = [f"{len(them)} {one}{'' if len(them) == 1 else 's'}" for one, them in counts.items()]
    typer.echo(
        f"{path}: {said[0]} with the control, {said[1]}, {said[2]}. `sweeper plan {path}` shows "
        "what that costs."
    )


def _asked(given: Answers, rows: list[str], targets: list[str]) -> Answers:
    """Ask for the rest."""
    from dataclasses import replace

    typer.echo(f"Tasks to train on first: {', '.join(rows)}")
    default = " ".join(given.rows) or "mnli"
    chosen = typer.prompt("Rows", default=default, value_proc=partial(_known, rows))
    typer.echo(f"Tasks to score: {', '.join(targets)}")
    columns = typer.prompt("Targets", default="xnli", value_proc=partial(_known, targets))
    base = typer.prompt("Base model", default=given.base)
    seeds = typer.prompt("Seeds", default=given.seeds, type=int)
    return replace(given, rows=chosen, targets=columns, base=base, seeds=seeds)


def _known(known: list[str], said: str) -> tuple[str, ...]:
    """The tasks of an answer; a wrong one is asked for again."""
    for name in _names(said):
        if name not in known:
            raise typer.BadParameter(f"There is no task {name!r} here.{suggest(name, known)}")
    return _names(said)


def _names(said: str) -> tuple[str, ...]:
    return tuple(said.replace(",", " ").split())


def _rates(said: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _names(said))
    except ValueError:
        raise StudyError(f"`--rates` takes numbers, such as 1e-5,3e-5; it has {said!r}.") from None
