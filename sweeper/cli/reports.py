"""Writing the report: one HTML file with the answers of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.words import StoreOption, StudyOption, app, view_of


@app.command()
def report(
    store: StoreOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The HTML file. Default: reports/STUDY.html."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Write it anew while the sweep runs; it reloads itself.")
    ] = False,
    study: StudyOption = None,
) -> None:
    """Write the report: matrix, scores, curves, sweep and cost in one HTML file."""
    from sweeper.report.terminal import console, say
    from sweeper.report.webpage.page import follow, write

    view = view_of(store, study)
    path = output or Path("reports") / f"{view.plan.study.name}.html"
    out = console()
    if live:
        say(out, f"Writing {path} as the sweep goes on; Ctrl-C ends that.")
        follow(view, path)
    else:
        write(view, path)
    say(out, f"Report: {path.absolute()}")
