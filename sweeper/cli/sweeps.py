"""Planning, running and watching a sweep."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sweeper.cli.cluster import ServerOption, driver_log, there
from sweeper.cli.costs import (
    CountsOption,
    GpuOption,
    MostHoursOption,
    MostMoneyOption,
    PricesOption,
    estimated,
)
from sweeper.cli.limits import (
    ColumnsOption,
    GpusOption,
    HoursOption,
    JobsOption,
    OnlyOption,
    RowsOption,
    UntilOption,
    budget_of,
    scope_of,
    told,
)
from sweeper.cli.words import (
    JsonOption,
    KeepGoingOption,
    NoLimitsOption,
    StoreOption,
    StudyArgument,
    StudyOption,
    TasksOption,
    WithoutOption,
    app,
    load,
    print_json,
    store_of,
    view_of,
)
from sweeper.errors import StoreError, nearest

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
    only: OnlyOption = None,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    gpu: GpuOption = None,
    gpus: CountsOption = None,
    prices: PricesOption = None,
    max_gpu_hours: MostHoursOption = None,
    max_cost: MostMoneyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a study's jobs, what is done and left, what that costs, and if its disk will do."""
    from sweeper.disk import check_disk
    from sweeper.planning import plan as make_plan
    from sweeper.progress import Progress
    from sweeper.report.costs import check_budget, print_estimate
    from sweeper.report.data import plan_data
    from sweeper.report.datalist import print_data
    from sweeper.report.overview import print_plan
    from sweeper.report.terminal import console, say
    from sweeper.resolving import kept_going, resolved_offline
    from sweeper.store.commits import Commits
    from sweeper.store.files import StoreFiles, has_store

    planned = make_plan(load(study, no_limits, tasks, without, keep_going))
    scope = scope_of(only, rows, columns)
    ends = scope.ends(planned)
    address = store or f"runs/{planned.study.name}"
    progress, other = None, False
    files = StoreFiles(address) if has_store(address) else None
    if files is not None:
        resolved = resolved_offline(planned, files)
        there = Commits(files, tolerant=True)
        progress = (
            Progress(planned, resolved, files, commits=there, ends=ends) if resolved else None
        )
        other = kept_going(files, planned.study.name) and not planned.study.keep_going
    cost = estimated(planned, progress, files, gpu=gpu, gpus=gpus, prices=prices, ends=ends)
    if as_json:
        print_json(plan_data(planned, progress, address, cost, ends))
    else:
        out = console()
        print_plan(out, planned, progress, address, ends)
        if scope:
            say(out, told(scope, planned))
        if other:
            last = "Its last run left broken rows out, and that is other work than this"
            say(out, f"{last}: see `sweeper plan --keep-going`.", "yellow")
        print_data(out, planned)
        print_estimate(out, cost)
    check_disk(planned, address, progress, ends)
    check_budget(cost, max_gpu_hours, max_cost)


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
    only: OnlyOption = None,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    max_gpu_hours: HoursOption = None,
    until: UntilOption = None,
    max_gpus: GpusOption = None,
    jobs_per_gpu: JobsOption = None,
) -> None:
    """Do what a study asks for and its store lacks; show the results."""
    from sweeper.analysis.store import Store
    from sweeper.engine.sweep import run as sweep
    from sweeper.report import live
    from sweeper.report.overview import print_results
    from sweeper.report.terminal import console

    budget = budget_of(max_gpu_hours, until, max_gpus, jobs_per_gpu)
    scope = scope_of(only, rows, columns)
    loaded = load(study, no_limits, tasks, without, keep_going)
    if without:
        typer.echo(f"{loaded.name}: {loaded.description}", err=True)
    place = store or f"runs/{loaded.name}"
    summary = sweep(loaded, place, address=address, watch=live.watch, scope=scope, budget=budget)
    view = Store(place).view(loaded.name)
    if summary.stopped:
        _stopped(summary, view)
    typer.echo(f"Done now: {_made(summary)}.\n", err=True)
    if summary.outside:
        typer.echo(
            f"{summary.outside} cells of the matrix are not in {scope}; without it they are done "
            "too.\n",
            err=True,
        )
    print_results(console(), view)
    if not summary.complete:
        _failed(summary.failed, summary.blocked, place)
        raise typer.Exit(1)


def _made(summary: Summary) -> str:
    """What a run came to: ``20 jobs in 3 min``, ``nothing, 5 failed, 14 blocked``."""
    from sweeper.report.terminal import duration

    if summary.complete and not summary.trained:
        return "nothing, all was done before"
    jobs = "1 job" if summary.trained == 1 else f"{summary.trained} jobs"
    made = f"{jobs} in {duration(summary.seconds)}" if summary.trained else "nothing"
    lacking = {"failed": len(summary.failed), "blocked": len(summary.blocked)}
    return made + "".join(f", {count} {state}" for state, count in lacking.items() if count)


def _stopped(summary: Summary, view: View) -> NoReturn:
    from sweeper.engine.budget import USED_UP
    from sweeper.report.stopping import ASKED

    done, left = summary.done, len(view.progress.left)
    typer.echo(
        f"{summary.stopped}: {done} {'job is' if done == 1 else 'jobs are'} done, {left} "
        f"{'is' if left == 1 else 'are'} left, and nothing that was committed is lost. "
        "The same command goes on from here.",
        err=True,
    )
    # As asked for: what starts jobs that failed again (KubeRay, Slurm) must leave this one alone.
    if summary.stopped.startswith((USED_UP, ASKED)):
        raise typer.Exit(0)
    signals = {f"stopped by {s.name}": 128 + s for s in (signal.SIGINT, signal.SIGTERM)}
    raise typer.Exit(signals.get(summary.stopped, 1))


def _failed(failed: dict[str, str], blocked: dict[str, str], store: str) -> None:
    for key, reason in failed.items():
        stopped = sorted(other for other, above in blocked.items() if above == key)
        typer.echo(f"error: {key} failed: {reason}", err=True)
        if stopped:
            typer.echo(f"  blocked by it: {', '.join(stopped)}", err=True)
        typer.echo(f"  its log: sweeper logs '{key}' --store {store}", err=True)


StudiesArgument = Annotated[
    str | None,
    typer.Argument(metavar="STUDY", help="A study of the store, or its file; default: all."),
]


@app.command()
def stop(
    study: StudiesArgument = None,
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
    named: StudiesArgument = None,
    store: StoreOption = None,
    study: StudyOption = None,
    where: Annotated[
        bool, typer.Option("--where", help="Show where the wall time went, and how busy it was.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show a sweep that runs, anywhere, until it ends.")
    ] = False,
    address: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far the studies of a store are, and what failed."""
    if address is not None:
        asked = {"--where": where, "--watch": watch, "--json": as_json}
        more = [option for option, wanted in asked.items() if wanted]
        there(address, "status", named or study, store, *more)
    from sweeper.analysis.store import Store
    from sweeper.analysis.view import View
    from sweeper.report.data import status_data, where_data
    from sweeper.report.overview import print_status, print_where
    from sweeper.report.terminal import console
    from sweeper.store.commits import Commits

    folder, study = store_of(named or study, store)
    opened = Store(folder)
    out = console()
    if watch and as_json:
        raise StoreError("`--watch` shows a sweep as it runs; for programs ask `--json` again.")
    if watch:
        from sweeper.report.watching import Watched
        from sweeper.report.watching import watch as show

        show(Watched(opened.files, study), out)
        return
    if where:
        from sweeper.analysis.where import where as account

        rows: list[Any] = opened.trials(study=study).to_dict("records")
        found = account(rows)
        print_json(where_data(found)) if as_json else print_where(out, found)
        return
    commits = Commits(opened.files, tolerant=True)
    names = [study] if study else opened.studies()
    views = [View(opened.files, name, commits) for name in names]
    if as_json:
        print_json({"store": opened.files.address, "studies": list(map(status_data, views))})
        return
    for view in views:
        print_status(out, view)


JobArgument = Annotated[str, typer.Argument(help="A job's key, as `run` prints it.")]


@app.command()
def why(
    job: JobArgument,
    store: StoreOption = None,
    study: StudyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a job is done or not, and in which inputs it differs from the nearest done one."""
    from sweeper.report.terminal import console
    from sweeper.report.why import print_why, why_data

    view = view_of(store, study)
    key = _key(view, job)
    if as_json:
        print_json(why_data(view, key))
    else:
        print_why(console(), view, key)


def _key(view: View, job: str) -> str:
    key = job.strip("/")
    if key not in view.plan.jobs:
        raise StoreError(f"There is no job {job!r}.{nearest(job, view.plan.jobs)}")
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
