"""Looking after a store."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sweeper.cli.words import App, JsonOption, StoreOption, app, print_json

store_app = App(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(store_app, name="store", help="Look after a store.")


@store_app.callback()
def store() -> None:
    """Look after a store."""


@store_app.command()
def verify(
    store: StoreOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make damaged commits count as not there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every marker, file, hash, row and reference of a store.

    Exits with 1 if something is damaged and not repaired. A repair deletes nothing: the next run
    does again what was lost.
    """
    from sweeper.analysis.store import store_address
    from sweeper.report import verify as report
    from sweeper.report.terminal import console
    from sweeper.store import verify as checks
    from sweeper.store.files import StoreFiles

    files = StoreFiles(store_address(store))
    with report.progress(console(sys.stderr)) as listener:
        verified = checks.verify(files, listener)
    again = report.consequences(files, verified)
    repaired = checks.repair(files, verified) if repair else 0
    if as_json:
        print_json(report.data_of(verified, again, repaired))
    else:
        report.print_verified(console(), files.address, verified, again, repaired)
    if any(not (repaired and fault.withdraws) for fault in verified.faults):
        raise typer.Exit(1)


@store_app.command()
def compact(
    store: StoreOption = None,
) -> None:
    """Write all rows and markers into a few large files, and work out the usual answers.

    Queries then read these, and what came later beside them. Nothing is deleted or changed.
    """
    from sweeper.analysis.kept import keep
    from sweeper.analysis.store import store_address
    from sweeper.store.compacting import compact as compacted
    from sweeper.store.files import StoreFiles

    address = store_address(store)
    manifest = compacted(StoreFiles(address))
    studies = keep(StoreFiles(address))
    rows = ", ".join(f"{count:,} rows of {table}" for table, count in manifest["rows"].items())
    typer.echo(f"{manifest['markers']:,} markers, {rows}; answers of {', '.join(studies)}")
