"""Looking, before a sweep is started, at all that could stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.cluster import check_everywhere, elsewhere
from sweeper.cli.words import JsonOption, StoreOption, TasksOption, app, load, print_json

if TYPE_CHECKING:
    from sweeper.study import Study


@app.command()
def doctor(
    study: Annotated[
        str | None, typer.Argument(help="A study, to look at its data, models and disk, too.")
    ] = None,
    store: StoreOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster's address, auto, or its job server (http://...)."),
    ] = None,
    tasks: TasksOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would stop a run, here and on every host of a cluster, and what to do."""
    from sweeper.engine.doctor import examine
    from sweeper.health.findings import wrong
    from sweeper.report.health import print_findings
    from sweeper.report.terminal import console

    loaded = load(study, False, tasks, None, False) if study else None
    if address and address.startswith(("http://", "https://")):
        _from_the_head(address, loaded, store, as_json)
    findings = examine(loaded, store, address)
    if as_json:
        print_json(findings)
    else:
        print_findings(console(), findings)
    if wrong(findings):
        raise typer.Exit(1)


def _from_the_head(address: str, study: Study | None, store: str | None, as_json: bool) -> None:
    from sweeper.engine.parcel import STUDY

    if store is not None:
        check_everywhere(store)
    named = [STUDY] if study else []
    where = ["--store", store] if store else []
    options = ["--json"] if as_json else []
    elsewhere(address, ["doctor", *named, *where, "--address", "auto", *options], store, study)
