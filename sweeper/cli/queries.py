"""Asking a store in SQL."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.words import StoreArgument, StudyOption, app


@app.command()
def sql(
    query: Annotated[
        str,
        typer.Argument(
            help="DuckDB's SQL over scores, examples, trials, gain, best and languages."
        ),
    ],
    store: StoreArgument = None,
    study: StudyOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, whole.")] = False,
) -> None:
    """Answer a query in SQL, over all studies of a store or one."""
    from sweeper.analysis.store import Store, only_store
    from sweeper.report.terminal import console, print_rows

    found = Store(only_store(store)).sql(query, study)
    if as_csv:
        typer.echo(found.to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        print_rows(console(), found)
