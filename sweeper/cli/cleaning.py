"""Making room in a store."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.words import JsonOption, StoreOption, app, print_json


@app.command()
def gc(
    store: StoreOption = None,
    unneeded: Annotated[
        bool,
        typer.Option("--unneeded", help="Also what was made and no study of the store needs now."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Default: only show it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what of a store nothing needs, and its size; with --yes remove it.

    Scores and tables always stay, and whatever a sweep that runs may use.
    """
    from sweeper.analysis.store import store_address
    from sweeper.collecting import collect, remove
    from sweeper.report.collected import data_of, print_collected
    from sweeper.report.terminal import console
    from sweeper.store.files import StoreFiles

    files = StoreFiles(store_address(store))
    found = collect(files, unneeded=unneeded)
    removed = remove(files, found) if yes else None
    if as_json:
        print_json(data_of(found, removed))
    else:
        print_collected(console(), files.address, found, removed)
