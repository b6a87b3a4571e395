"""Asking a store in SQL."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.words import JsonOption, StoreOption, StudyOption, app, print_json

if TYPE_CHECKING:
    import pandas as pd


class Insight(StrEnum):
    """A table beside the matrix."""

    rank = "rank"
    cost = "cost"
    rates = "rates"
    dev = "dev"
    checkpoints = "checkpoints"
    published = "published"


@app.command()
def show(
    what: Annotated[
        Insight,
        typer.Argument(
            help="rank: rows over all targets. cost: hours per point gained. rates: learning "
            "rates. dev: does dev tell test. checkpoints: selected, last and averaged. published: "
            "others' scores."
        ),
    ],
    store: StoreOption = None,
    study: StudyOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, with all columns.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what else a store says of its rows."""
    from sweeper.analysis.store import Store, store_address
    from sweeper.report import insights

    opened = Store(store_address(store, study))
    tables = {
        Insight.rank: lambda: opened.over_tasks(study).to_frame(),
        Insight.cost: lambda: opened.costs(study),
        Insight.rates: lambda: opened.rates(study),
        Insight.dev: lambda: opened.dev_and_test(study),
        Insight.checkpoints: lambda: opened.checkpoints(study),
        Insight.published: lambda: opened.published(study),
    }
    found = tables[what]()
    if as_csv:
        _print_csv(found)
    elif as_json:
        print_json(found.to_dict("records"))
    else:
        insights.print_insight(what.value, found)


def _print_csv(found: pd.DataFrame) -> None:
    typer.echo(found.to_csv(index=False, lineterminator="\n"), nl=False)


@app.command()
def sql(
    query: Annotated[
        str,
        typer.Argument(
            help="DuckDB's SQL over scores, examples, trials, gain, best and languages."
        ),
    ],
    store: StoreOption = None,
    study: StudyOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, whole.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer a query in SQL, over all studies of a store or one."""
    from sweeper.analysis.store import Store, store_address
    from sweeper.report.terminal import console, print_rows

    found = Store(store_address(store, study)).sql(query, study)
    if as_csv:
        _print_csv(found)
    elif as_json:
        print_json(found.to_dict("records"))
    else:
        print_rows(console(), found)
