"""The tasks that have a card, and their data."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.words import (
    DataOption,
    JsonOption,
    KeepGoingOption,
    TasksOption,
    app,
    data_folder,
    print_json,
)

tasks_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(tasks_app, name="tasks", help="List the tasks that have a card; check their data.")


@tasks_app.callback()
def tasks(
    context: typer.Context,
    tasks: TasksOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tasks that have a card: role, kind, languages, sizes, licence, and their data."""
    if context.invoked_subcommand is not None:
        context.obj = (tasks, data)
        return
    from sweeper.knowncards import cards_with
    from sweeper.report.tasklist import data_of_cards, print_tasks
    from sweeper.report.terminal import console

    cards, folder = cards_with(tasks), data_folder(data)
    if as_json:
        print_json(data_of_cards(cards, folder))
    else:
        print_tasks(console(), cards, folder)


@tasks_app.command()
def check(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: all that are there.")
    ] = None,
    tasks: TasksOption = None,
    data: DataOption = None,
    keep_going: KeepGoingOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read every row of the tasks whose data is there, and hold it against their cards.

    A task on the hub is read only where it is named. Exits with 1 if anything does not fit, was
    left out, or is not there though its task is named.
    """
    from sweeper.knowncards import cards_with
    from sweeper.report.data import check_data
    from sweeper.report.taskcheck import check_tasks, print_check
    from sweeper.report.terminal import console

    above, folder = context.obj
    cards = cards_with(tasks or above)
    out = console()
    checks = check_tasks(cards, names or [], data_folder(data or folder), keep_going=keep_going)
    if as_json:
        told = check_data(checks)
        print_json(told)
        good = told["good"]
    else:
        good = print_check(out, cards, checks)
    if not good:
        raise typer.Exit(1)
