"""Commands that a cluster's job server runs or knows of: what it is called, and asking it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sweeper.errors import EngineError, StoreError, suggest

if TYPE_CHECKING:
    from sweeper.engine.jobserver import JobServer
    from sweeper.study import Study

ServerOption = Annotated[
    str | None,
    typer.Option("--address", help="A cluster's job server (http://...): ask there."),
]


def server_at(address: str | None) -> JobServer:
    """The job server that an option names; without one, that of the environment or this host."""
    from sweeper.engine.jobserver import DEFAULT, JobServer

    return JobServer(address or os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT)


def check_everywhere(store: str) -> None:
    """Refuse a store that means another place on a cluster than here."""
    if "://" not in store and not store.startswith("/"):
        raise StoreError(
            "A store of a cluster must be where every host reaches it, and "
            f"{store!r} is relative to a folder of this machine. Give the absolute path of a "
            "shared folder, or an address in a bucket, by `--store`."
        )


def there(
    address: str, command: str, study: str | None, store: str | None, *more: str
) -> NoReturn:
    """Have the head do a command that looks at a store, for one that is not reached from here."""
    if store is None:
        raise StoreError(f"`sweeper {command} --address` needs the store: give --store.")
    check_everywhere(store)
    name = study
    if study is not None and study.endswith((".yaml", ".yml")):
        from sweeper.study import Study

        name = Study.load(study).name
    named = [name] if name else []
    elsewhere(address, [command, *named, "--store", store, *more], store)


def elsewhere(
    address: str, arguments: list[str], store: str | None, study: Study | None = None
) -> NoReturn:
    """Have the head run a command, show what it prints, and exit as it did."""
    raise typer.Exit(server_at(address).there(arguments, store or "", study, _print))


def driver_log(address: str | None, study: str, store: str | None, follow: bool) -> None:
    """Print what the newest submitted sweep of a study has printed, and maybe what it will."""
    from sweeper.engine.submitting import submitted
    from sweeper.study import Study

    name = Study.load(study).name if study.endswith((".yaml", ".yml")) else study
    server = server_at(address)
    jobs = submitted(server, name, store)
    if not jobs:
        known = {job.about["study"] for job in submitted(server)}
        raise EngineError(
            f"No sweep of {name!r} was submitted to {server.address} since it was started."
            + suggest(name, known)
        )
    typer.echo(f"{jobs[0].id}: {jobs[0].state}", err=True)
    if follow:
        end_with(server, jobs[0].id)
    typer.echo(server.log(jobs[0].id), nl=False)


def end_with(server: JobServer, job: str) -> NoReturn:
    """Show what a job prints until it has ended, and exit as it did."""
    try:
        ended = server.follow(job, _print)
    except KeyboardInterrupt:
        typer.echo(f"\n{job} goes on without this machine.", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{job}: {ended.state}", err=True)
    ends = {"SUCCEEDED": 0, "STOPPED": 128 + signal.SIGTERM}
    raise typer.Exit(ends.get(ended.state, ended.exit_code or 1))


def _print(text: str) -> None:
    typer.echo(text, nl=False)
