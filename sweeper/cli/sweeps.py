"""Planning, running and watching a sweep."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sweeper.cli.cluster import ServerOption, driver_log, there
from sweeper.cli.words import (
    KeepGoingOption,
    NoLimitsOption,
    StoreArgument,
    StoreOption,
    StudyArgument,
    StudyOption,
    TasksOption,
    WithoutOption,
    app,
    load,
    store_of,
    view_of,
)
from sweeper.errors import StoreError, suggest

if TYPE_CHECKING:
    from sweeper.analysis.view import View
    from sweeper.engine.sweep import Summary


@app.command()
def plan(
    study: StudyArgument,
    store: StoreOption = None,
    no_limits: NoLimitsOption = False,
    tasks: TasksOption = None,
    without: WithoutOption = None,
    keep_going: KeepGoingOption = False,
) -> None:
    """Show a study's jobs, what is done and left, and if its disk will do."""
    from sweeper.disk import check_disk
    from sweeper.planning import plan as make_plan
    from sweeper.progress import Progress
    from sweeper.report.datalist import print_data
    from sweeper.report.overview import print_plan
    from sweeper.report.terminal import console, say
    from sweeper.resolving import kept_going, resolved_offline
    from sweeper.store.files import StoreFiles, has_store

    planned = make_plan(load(study, no_limits, tasks, without, keep_going))
    address = store or f"runs/{planned.study.name}"
    progress, other = None, False
    if has_store(address):
        files = StoreFiles(address)
        resolved = resolved_offline(planned, files)
        progress = Progress(planned, resolved, files) if resolved else None
        other = kept_going(files, planned.study.name) and not planned.study.keep_going
    out = console()
    print_plan(out, planned, progress, address)
    if other:
        told = "Its last run left broken rows out, and that is other work than this"
        say(out, f"{told}: see `sweeper plan --keep-going`.", "yellow")
    print_data(out, planned)
    check_disk(planned, address, progress)


@app.command()
def run(
    study: StudyArgument,
    store: StoreOption = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster's address, or auto; default: this machine.")
    ] = None,
    no_limits: NoLimitsOption = False,
    tasks: TasksOption = None,
    without: WithoutOption = None,
    keep_going: KeepGoingOption = False,
) -> None:
    """Do what a study asks for and its store lacks; show the results."""
    from sweeper.analysis.store import Store
    from sweeper.engine.sweep import run as sweep
    from sweeper.report import live
    from sweeper.report.overview import print_results
    from sweeper.report.terminal import console

    loaded = load(study, no_limits, tasks, without, keep_going)
    if without:
        typer.echo(f"{loaded.name}: {loaded.description}", err=True)
    place = store or f"runs/{loaded.name}"
    summary = sweep(loaded, place, address=address, watch=live.watch)
    view = Store(place).view(loaded.name)
    if summary.stopped:
        _stopped(summary, view)
    typer.echo(f"Done now: {_made(summary)}.\n", err=True)
    print_results(console(), view)
    if not summary.complete:
        _failed(summary.failed, summary.blocked, place)
        raise typer.Exit(1)


def _made(summary: Summary) -> str:
    """What a run came to: ``20 jobs in 3 min``, ``nothing, 5 failed, 14 blocked``."""
    from sweeper.report.terminal import duration

    if summary.complete and not summary.trained:
        return "nothing, all was done before"
    made = (
        f"{summary.trained} jobs in {duration(summary.seconds)}" if summary.trained else "nothing"
    )
    lacking = {"failed": len(summary.failed), "blocked": len(summary.blocked)}
    return made + "".join(f", {count} {state}" for state, count in lacking.items() if count)


def _stopped(summary: Summary, view: View) -> NoReturn:
    left = len(view.progress.left)
    typer.echo(
        f"{summary.stopped}: {summary.done} jobs are done, {left} are left, and nothing that was "
        "committed is lost. The same command goes on from here.",
        err=True,
    )
    signals = {f"stopped by {s.name}": 128 + s for s in (signal.SIGINT, signal.SIGTERM)}
    raise typer.Exit(signals.get(summary.stopped, 1))


def _failed(failed: dict[str, str], blocked: dict[str, str], store: str) -> None:
    for key, reason in failed.items():
        stopped = sorted(other for other, above in blocked.items() if above == key)
        typer.echo(f"error: {key} failed: {reason}", err=True)
        if stopped:
            typer.echo(f"  blocked by it: {', '.join(stopped)}", err=True)
        typer.echo(f"  its log: sweeper logs '{key}' --store {store}", err=True)


@app.command()
def stop(
    study: Annotated[
        str | None, typer.Argument(help="A study of the store, or its file; default: all.")
    ] = None,
    store: StoreOption = None,
    address: ServerOption = None,
) -> None:
    """Ask the sweeps that run on a store, anywhere, to save and stop; wait until they have."""
    if address is not None:
        there(address, "stop", study, store)
    from sweeper.report.stopping import stop as ask
    from sweeper.store.drivers import Drivers
    from sweeper.store.files import StoreFiles

    folder, name = store_of(study, store)
    ask(Drivers(StoreFiles(folder)), name, typer.echo)


@app.command()
def status(
    store: StoreArgument = None,
    given: Annotated[
        str | None, typer.Option("--store", help="The store's address; then name the study first.")
    ] = None,
    study: StudyOption = None,
    where: Annotated[
        bool, typer.Option("--where", help="Show where the wall time went, and how busy it was.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show a sweep that runs, anywhere, until it ends.")
    ] = False,
    address: ServerOption = None,
) -> None:
    """Show how far the studies of a store are, and what failed."""
    if address is not None:
        named, shown = (study or store, given) if given is not None else (study, store)
        more = [o for o, wanted in (("--where", where), ("--watch", watch)) if wanted]
        there(address, "status", named, shown, *more)
    from sweeper.analysis.store import Store, only_store
    from sweeper.report.overview import print_status, print_where
    from sweeper.report.terminal import console

    if given is not None and store is not None:  # as `run` and `stop` have it
        given, study = store_of(store, given)
    opened = Store(only_store(given or store))
    out = console()
    if watch:
        from sweeper.report.watching import Watched
        from sweeper.report.watching import watch as show

        show(Watched(opened.files, study), out)
        return
    if where:
        from sweeper.analysis.where import where as account

        rows: list[Any] = opened.trials(study=study).to_dict("records")
        print_where(out, account(rows))
        return
    for name in [study] if study else opened.studies():
        print_status(out, opened.view(name))


JobArgument = Annotated[str, typer.Argument(help="A job's key, as `run` prints it.")]


@app.command()
def why(job: JobArgument, store: StoreOption = None, study: StudyOption = None) -> None:
    """Say why a job is done or not, and in which inputs it differs from the nearest done one."""
    from sweeper.report.terminal import console
    from sweeper.report.why import print_why

    view = view_of(store, study)
    print_why(console(), view, _key(view, job))


def _key(view: View, job: str) -> str:
    key = job.strip("/")
    if key not in view.plan.jobs:
        raise StoreError(f"There is no job {job!r}.{suggest(job, view.plan.jobs, most=8)}")
    return key


@app.command()
def logs(
    job: Annotated[
        str, typer.Argument(help="A job's key, as `run` prints it; with --driver, a study.")
    ],
    store: StoreOption = None,
    study: StudyOption = None,
    driver: Annotated[
        bool, typer.Option("--driver", help="What a submitted study's sweep itself prints.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="With --driver: go on until the sweep has ended.")
    ] = False,
    address: ServerOption = None,
) -> None:
    """Print the log of a job's newest attempt, or of a submitted study's driver."""
    if driver:
        driver_log(address, job, store, follow)
        return
    view = view_of(store, study)
    key = _key(view, job)
    name = view.newest_log(key)
    if name is None:
        state = view.progress.state(key)
        raise StoreError(f"{key} has no log: it is {state} and no attempt at it wrote one.")
    typer.echo(view.files.where(name), err=True)
    text = (view.files.content(name) or b"").decode("utf-8", errors="replace")
    typer.echo(text, nl=False)
