"""Looking after a store."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sweeper.cli.words import App, JsonOption, StoreOption, app, print_json

SourceArgument = Annotated[
    str, typer.Argument(metavar="FROM", help="A store: a folder, s3:// or gs:// address.")
]

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
    from sweeper.report.bytebar import bytebar
    from sweeper.report.terminal import console
    from sweeper.store import verify as checks
    from sweeper.store.files import StoreFiles

    files = StoreFiles(store_address(store))
    with bytebar(console(sys.stderr), "read") as listener:
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


@store_app.command()
def copy(
    source: SourceArgument,
    target: Annotated[
        str,
        typer.Argument(metavar="TO", help="Where to: empty, or an earlier copy of the store."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Copy a store to a folder or bucket; again: copy what the copy lacks.

    The copy is whole at every moment, and a sweep may write to the store meanwhile. Exits with 1
    if something of the store is damaged, which is not copied.
    """
    from sweeper.report.bytebar import bytebar
    from sweeper.report.copied import copied_data, print_copied
    from sweeper.report.terminal import console
    from sweeper.store import copying
    from sweeper.store.files import StoreFiles

    with bytebar(console(sys.stderr), "copied") as listener:
        copied = copying.copy(StoreFiles(source), target, listener)
    if as_json:
        print_json(copied_data(copied))
    else:
        print_copied(console(), copied)
    if copied.faults:
        raise typer.Exit(1)


@store_app.command()
def merge(
    source: SourceArgument,
    into: Annotated[
        str, typer.Argument(metavar="INTO", help="The store that has both afterwards.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Take all of a store into another one, where what is there stays and counts.

    Attempts at the same work that came to another outcome are told, with what made them. Exits
    with 1 if something of the first store is damaged, which is not taken.
    """
    from sweeper.merging.merge import merge as merged_stores
    from sweeper.report.bytebar import bytebar
    from sweeper.report.merged import merged_data, print_merged
    from sweeper.report.terminal import console
    from sweeper.store.files import StoreFiles

    with bytebar(console(sys.stderr), "taken") as listener:
        merged = merged_stores(StoreFiles(source), StoreFiles(into), listener)
    if as_json:
        print_json(merged_data(merged))
    else:
        print_merged(console(), merged)
    if merged.faults:
        raise typer.Exit(1)
