"""The ``sweeper`` command: thin commands over the Python API.

Each command imports what it needs when it runs, so that ``--help`` and ``plan`` stay quick.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sweeper.errors import StoreError, SweeperError, suggest

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.analysis.matrix import TransferMatrix
    from sweeper.analysis.view import View
    from sweeper.engine.sweep import Summary
    from sweeper.study import Study

app = typer.Typer(
    name="sweeper",
    help="Which intermediate training helps which target, in which language: sweep and see.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Value(StrEnum):
    """What a matrix shows."""

    score = "score"
    gain = "gain"


class Axis(StrEnum):
    """What a column of a matrix is."""

    task = "task"
    language = "language"


class Benchmark(StrEnum):
    """A benchmark whose averages can be shown."""

    xtreme = "xtreme"
    xtreme_r = "xtreme-r"


class Format(StrEnum):
    """A format of an export."""

    csv = "csv"
    parquet = "parquet"
    markdown = "markdown"
    latex = "latex"
    xtreme = "xtreme"


class What(StrEnum):
    """What is exported."""

    matrix = "matrix"
    scores = "scores"
    examples = "examples"
    trials = "trials"
    predictions = "predictions"


StudyArgument = Annotated[
    str, typer.Argument(help="A study file, or a shipped one's name: demo, local_files.")
]
StoreArgument = Annotated[
    Path | None, typer.Argument(help="The store's folder; default: the only one in ./runs.")
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="The store's folder; default: runs/STUDY.")
]
NoLimitsOption = Annotated[
    bool, typer.Option("--no-limits", help="Use every example: the study's limits do not count.")
]
TasksOption = Annotated[
    Path | None, typer.Option("--tasks", help="A folder of your own task cards (*.yaml).")
]
KeepGoingOption = Annotated[
    bool, typer.Option("--keep-going", help="Leave broken rows out, and count them.")
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", help="The data files' folder. Default: SWEEPER_DATA, else the hub."),
]
StudyOption = Annotated[
    str | None, typer.Option("--study", help="A study of the store; default: the only one.")
]


def main() -> NoReturn:
    """Run the command line; exits with 0, 1 (an error), 2 (wrong usage), 130 or 143 (stopped)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ± is no reason to fail
    try:
        app()
    except SweeperError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; nothing more may be written, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


def _load(study: str, no_limits: bool, tasks: Path | None = None) -> Study:
    from sweeper.study import Study

    loaded = Study.load(study)
    if tasks is not None:
        loaded = loaded.with_tasks(tasks)
    return loaded.unlimited() if no_limits else loaded


def _root(data: str | None) -> Path | None:
    """The folder of the data files; None: the hub."""
    said = data or os.environ.get("SWEEPER_DATA") or "hub"
    return None if said == "hub" else Path(said).expanduser()


def _view(store: Path | None, study: str | None) -> View:
    from sweeper.analysis.store import Store, only_store

    return Store(only_store(store)).view(study)


@app.command()
def plan(
    study: StudyArgument,
    store: StoreOption = None,
    no_limits: NoLimitsOption = False,
    tasks: TasksOption = None,
) -> None:
    """Show a study's jobs, what is done and left, and if its disk will do."""
    from sweeper.disk import check_disk
    from sweeper.planning import plan as make_plan
    from sweeper.progress import Progress
    from sweeper.report.overview import print_plan
    from sweeper.report.terminal import console
    from sweeper.resolving import resolved_offline
    from sweeper.store.files import StoreFiles

    planned = make_plan(_load(study, no_limits, tasks))
    folder = store or Path("runs") / planned.study.name
    progress = None
    if (folder / "store.json").is_file():
        files = StoreFiles(folder)
        resolved = resolved_offline(planned, files)
        progress = Progress(planned, resolved, files) if resolved else None
    print_plan(console(), planned, progress, folder)
    check_disk(planned, folder, progress)


@app.command()
def run(
    study: StudyArgument,
    store: StoreOption = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster's address, or auto; default: this machine.")
    ] = None,
    no_limits: NoLimitsOption = False,
    tasks: TasksOption = None,
    keep_going: KeepGoingOption = False,
) -> None:
    """Do what a study asks for and its store lacks; show the results."""
    from sweeper.analysis.store import Store
    from sweeper.engine.sweep import run as sweep
    from sweeper.report import live
    from sweeper.report.overview import print_results
    from sweeper.report.terminal import console, duration

    loaded = _load(study, no_limits, tasks)
    if keep_going:
        loaded = loaded.model_copy(update={"keep_going": True})
    folder = store or Path("runs") / loaded.name
    summary = sweep(loaded, folder, address=address, watch=live.watch)
    view = Store(folder).view(loaded.name)
    if summary.stopped:
        _stopped(summary, view)
    spent = f"{summary.trained} jobs in {duration(summary.seconds)}"
    made = spent if summary.trained else "nothing, all was done before"
    typer.echo(f"Done now: {made}.\n", err=True)
    print_results(console(), view)
    if not summary.complete:
        _failed(summary.failed, summary.blocked, folder)
        raise typer.Exit(1)


def _stopped(summary: Summary, view: View) -> NoReturn:
    left = len(view.progress.left)
    typer.echo(
        f"{summary.stopped}: {summary.done} jobs are done, {left} are left, and nothing that was "
        "committed is lost. The same command goes on from here.",
        err=True,
    )
    signals = {f"stopped by {s.name}": 128 + s for s in (signal.SIGINT, signal.SIGTERM)}
    raise typer.Exit(signals.get(summary.stopped, 1))


def _failed(failed: dict[str, str], blocked: dict[str, str], folder: Path) -> None:
    for key, reason in failed.items():
        stopped = sorted(other for other, above in blocked.items() if above == key)
        typer.echo(f"error: {key} failed: {reason}", err=True)
        if stopped:
            typer.echo(f"  blocked by it: {', '.join(stopped)}", err=True)
        typer.echo(f"  its log: sweeper logs '{key}' --store {folder}", err=True)


@app.command()
def status(
    store: StoreArgument = None,
    study: StudyOption = None,
    where: Annotated[
        bool, typer.Option("--where", help="Show where the wall time went, and how busy it was.")
    ] = False,
) -> None:
    """Show how far the studies of a store are, and what failed."""
    from sweeper.analysis.store import Store, only_store
    from sweeper.report.overview import print_status, print_where
    from sweeper.report.terminal import console

    opened = Store(only_store(store))
    out = console()
    if where:
        from sweeper.analysis.where import where as account

        rows: list[Any] = opened.trials(study=study).to_dict("records")
        print_where(out, account(rows))
        return
    for name in [study] if study else opened.studies():
        print_status(out, opened.view(name))


@app.command()
def best(
    store: StoreArgument = None,
    target: Annotated[str | None, typer.Option(help="Default: every target.")] = None,
    intermediate: Annotated[str | None, typer.Option(help="Default: the best row.")] = None,
    language: Annotated[str | None, typer.Option(help="Show this language's score only.")] = None,
    study: StudyOption = None,
) -> None:
    """Show the checkpoint to use for a target, and why that one."""
    from sweeper.analysis.best import best as best_of
    from sweeper.report.terminal import console, print_best, say

    view = _view(store, study)
    out = console()
    asked = view.chosen(target=target, intermediate=intermediate, language=language)
    for name in dict.fromkeys(part.target for part in asked):
        try:
            print_best(out, best_of(view, name, intermediate, language))
        except StoreError as error:
            if target:
                raise
            say(out, f"{name}: {error}\n")


@app.command()
def matrix(
    store: StoreArgument = None,
    value: Annotated[Value, typer.Option(help="Scores, or gains over none.")] = Value.score,
    by: Annotated[Axis, typer.Option(help="A column per target, or per language.")] = Axis.task,
    aggregate: Annotated[
        Benchmark | None, typer.Option(help="Show the averages of a benchmark in its place.")
    ] = None,
    study: StudyOption = None,
) -> None:
    """Show the transfer matrix: intermediates by targets."""
    from sweeper.analysis.averaging import transfer
    from sweeper.report.terminal import console, print_matrix

    if aggregate is not None:
        from sweeper.analysis.aggregates import aggregate as averaged
        from sweeper.report.benchmarks import print_aggregate

        print_aggregate(console(), averaged(_view(store, study), aggregate))
        return
    print_matrix(console(), transfer(_view(store, study), value, by))


@app.command()
def export(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHAT] [STORE]",
            help="matrix, scores, examples, trials or predictions; then the store's folder.",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="csv, parquet: a row per cell. Default: csv; predictions: xtreme."),
    ] = None,
    what: Annotated[What | None, typer.Option(help="The same as WHAT.")] = None,
    value: Annotated[Value, typer.Option(help="For a matrix.")] = Value.score,
    by: Annotated[Axis, typer.Option(help="For a matrix.")] = Axis.task,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A file, for predictions a folder. Default: standard output."
        ),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="For predictions; default: every target.")
    ] = None,
    intermediate: Annotated[
        str | None, typer.Option(help="For predictions; default: the best row of each target.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For predictions: a seed of the row.")] = None,
    study: StudyOption = None,
) -> None:
    """Write the matrix or a table to a file, or predictions in XTREME's layout to a folder."""
    chosen, store = _what_and_store(words or [], what)
    _check_format(chosen, format)
    view = _view(store, study)
    if chosen is What.predictions:
        from sweeper.report.submission import export_predictions

        if output is None:
            raise StoreError("Predictions are a folder of files. Give `--output FOLDER`.")
        made = export_predictions(
            view, output, targets=target, intermediate=intermediate, seed=seed
        )
        for name, reason in made.left_out.items():
            typer.echo(f"left out {name}: {reason}", err=True)
        typer.echo(f"{output}: {made.files} files of {', '.join(made.targets)}", err=True)
        return
    if target or intermediate or seed is not None:
        raise StoreError(
            "`--target`, `--intermediate` and `--seed` choose whose predictions are exported. "
            "Say `sweeper export predictions`, or leave them out."
        )
    _write_table(view, chosen, format or Format.csv, value, by, output)


def _what_and_store(words: list[str], what: What | None) -> tuple[What, Path | None]:
    """The words of `export`: first what, unless it is a folder's name, then the store."""
    left = list(words)
    if left and what is None and left[0] in What.__members__ and not Path(left[0]).is_dir():
        what = What(left.pop(0))
    if len(left) > 1:
        raise StoreError(
            f"`export` takes one of {', '.join(What)} and a store's folder, not "
            f"{' '.join(words)!r}."
        )
    return what or What.matrix, Path(left[0]) if left else None


def _check_format(what: What, format: Format | None) -> None:
    predictions = what is What.predictions
    if format is not None and predictions != (format is Format.xtreme):
        raise StoreError(
            "The format xtreme is that of predictions, and they have no other: `sweeper export "
            f"predictions --format xtreme`. You asked for {what} as {format}."
        )


def _write_table(
    view: View, what: What, format: Format, value: Value, by: Axis, output: Path | None
) -> None:
    from sweeper.analysis.averaging import transfer
    from sweeper.report.export import export as exported

    tables: dict[What, Callable[[], TransferMatrix | pd.DataFrame]] = {
        What.matrix: lambda: transfer(view, value, by),
        What.scores: lambda: view.scores(metric="all"),
        What.examples: view.examples,
        What.trials: view.trials,
    }
    content = exported(tables[what](), format)
    if output is None:
        if format is Format.parquet and sys.stdout.isatty():
            raise StoreError("Parquet is not for terminals. Give `--output FILE`.")
        sys.stdout.buffer.write(content)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{output} could not be written: {error.strerror}.") from None
    typer.echo(f"{output}: {len(content)} bytes", err=True)


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help="Has a folder per task: xnli/test-de.tsv.")],
    data: DataOption = None,
    tasks: TasksOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write every score there, as CSV.")
    ] = None,
) -> None:
    """Score predictions in XTREME's layout, whoever made them, against the tasks' data."""
    from sweeper.planning import cards_with
    from sweeper.report.scores import csv_of, print_scores
    from sweeper.report.submitted import score_folder
    from sweeper.report.terminal import console

    scored = score_folder(folder, cards_with(tasks), _root(data))
    print_scores(console(), scored)
    if output:
        try:
            output.write_bytes(csv_of(scored))
        except OSError as error:
            raise StoreError(f"{output} could not be written: {error.strerror}.") from None


tasks_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(tasks_app, name="tasks", help="List the tasks that have a card; check their data.")


@tasks_app.callback()
def tasks(context: typer.Context, tasks: TasksOption = None, data: DataOption = None) -> None:
    """List the tasks that have a card: role, kind, languages, sizes, licence, and their data."""
    if context.invoked_subcommand is not None:
        context.obj = (tasks, data)
        return
    from sweeper.planning import cards_with
    from sweeper.report.tasklist import print_tasks
    from sweeper.report.terminal import console

    print_tasks(console(), cards_with(tasks), _root(data))


@tasks_app.command()
def check(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: all that are there.")
    ] = None,
    tasks: TasksOption = None,
    data: DataOption = None,
    keep_going: KeepGoingOption = False,
) -> None:
    """Read every row of the tasks whose data is there, and hold it against their cards.

    A task on the hub is read only where it is named. Exits with 1 if anything does not fit.
    """
    from sweeper.planning import cards_with
    from sweeper.report.taskcheck import check_tasks, print_check
    from sweeper.report.terminal import console

    above, folder = context.obj
    cards = cards_with(tasks or above)
    out = console()
    checks = check_tasks(cards, names or [], _root(data or folder), keep_going=keep_going)
    if not print_check(out, checks):
        raise typer.Exit(1)


@app.command()
def logs(
    job: Annotated[str, typer.Argument(help="A job's key, as `run` prints it.")],
    store: StoreOption = None,
    study: StudyOption = None,
) -> None:
    """Print the log of a job's newest attempt."""
    view = _view(store, study)
    key = job.strip("/")
    if key not in view.plan.jobs:
        raise StoreError(f"There is no job {job!r}.{suggest(job, view.plan.jobs, most=8)}")
    name = view.newest_log(key)
    if name is None:
        state = view.progress.state(key)
        raise StoreError(f"{key} has no log: it is {state} and no attempt at it wrote one.")
    typer.echo(f"{view.files.path(name)}", err=True)
    typer.echo(view.files.path(name).read_text(encoding="utf-8", errors="replace"), nl=False)
