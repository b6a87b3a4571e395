"""Handing a sweep to a cluster, so that the machine it was started from may go away."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.cluster import ServerOption, check_everywhere, end_with, server_at
from sweeper.cli.words import (
    KeepGoingOption,
    NoLimitsOption,
    StudyArgument,
    TasksOption,
    WithoutOption,
    app,
    load,
)


@app.command()
def submit(
    study: StudyArgument,
    store: Annotated[
        str, typer.Option("--store", help="The store, as every host of the cluster reaches it.")
    ],
    address: ServerOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show what the sweep prints until it has ended.")
    ] = False,
    no_limits: NoLimitsOption = False,
    tasks: TasksOption = None,
    without: WithoutOption = None,
    keep_going: KeepGoingOption = False,
) -> None:
    """Have a cluster run a study: the sweep goes on when this machine goes away."""
    from sweeper.engine.submitting import submit as hand_over
    from sweeper.planning import plan

    loaded = load(study, no_limits, tasks, without, keep_going)
    check_everywhere(store)
    plan(loaded)  # what is wrong with a study is said here
    server = server_at(address)
    job = hand_over(server, loaded, store, typer.echo)
    if follow:
        end_with(server, job)
