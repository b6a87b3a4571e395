"""Asking a store: checkpoints, matrices, exports, and scoring predictions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.words import (
    AggregateOption,
    Axis,
    Benchmark,
    DataOption,
    Format,
    StoreArgument,
    StudyOption,
    TasksOption,
    Value,
    What,
    answers_of,
    app,
    data_folder,
    view_of,
)
from sweeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from sweeper.analysis.kept import Answers
    from sweeper.analysis.matrix import TransferMatrix
    from sweeper.analysis.view import View


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

    answers, out = answers_of(store, study), console()
    whole = intermediate is None and language is None
    for name in _asked(answers, target, intermediate, language):
        try:
            found = answers.best(name) if whole else None
            print_best(out, found or best_of(answers.view, name, intermediate, language))
        except StoreError as error:
            if target:
                raise
            say(out, f"{name}: {error}\n")


def _asked(
    answers: Answers, target: str | None, intermediate: str | None, language: str | None
) -> list[str]:
    """The targets that a person means, all of them by default."""
    if intermediate is None and language is None and target in (None, *answers.targets):
        return answers.targets if target is None else [target]
    view = answers.view
    asked = view.chosen(target=target, intermediate=intermediate, language=language)
    return list(dict.fromkeys(part.target for part in asked))


@app.command()
def matrix(
    store: StoreArgument = None,
    value: Annotated[Value, typer.Option(help="Scores, or gains over none.")] = Value.score,
    by: Annotated[Axis, typer.Option(help="What a column is.")] = Axis.task,
    aggregate: AggregateOption = None,
    study: StudyOption = None,
) -> None:
    """Show the transfer matrix: intermediates by targets."""
    from sweeper.report.overview import print_skipped
    from sweeper.report.terminal import console, print_matrix

    _check_aggregate(aggregate, value, by)
    out, answers = console(), answers_of(store, study)
    if aggregate is not None:
        from sweeper.analysis.aggregates import aggregate as averaged
        from sweeper.report.benchmarks import print_aggregate

        print_aggregate(out, averaged(answers.view, aggregate))
    else:
        print_matrix(out, answers.matrix(value, by))
    print_skipped(out, answers.skipped)


@app.command()
def export(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHAT] [STORE]",
            help="matrix, scores, examples, trials or predictions; then the store.",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="csv, parquet: a row per cell. Default: csv; predictions: xtreme."),
    ] = None,
    what: Annotated[What | None, typer.Option(help="The same as WHAT.")] = None,
    value: Annotated[Value, typer.Option(help="For a matrix.")] = Value.score,
    by: Annotated[Axis, typer.Option(help="For a matrix.")] = Axis.task,
    aggregate: AggregateOption = None,
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
    _check_aggregate(aggregate, value, by, chosen)
    view = view_of(store, study)
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
    _write(_table(view, chosen, value, by, aggregate), format or Format.csv, output)


def _what_and_store(words: list[str], what: What | None) -> tuple[What, str | None]:
    """The words of `export`: first what, unless it is a folder's name, then the store."""
    left = list(words)
    if left and what is None and left[0] in What.__members__ and not Path(left[0]).is_dir():
        what = What(left.pop(0))
    if len(left) > 1:
        raise StoreError(
            f"`export` takes one of {', '.join(What)} and a store, not {' '.join(words)!r}."
        )
    return what or What.matrix, left[0] if left else None


def _check_format(what: What, format: Format | None) -> None:
    predictions = what is What.predictions
    if format is not None and predictions != (format is Format.xtreme):
        raise StoreError(
            "The format xtreme is that of predictions, and they have no other: `sweeper export "
            f"predictions --format xtreme`. You asked for {what} as {format}."
        )


def _check_aggregate(
    aggregate: Benchmark | None, value: Value, by: Axis, what: What = What.matrix
) -> None:
    asked = (value, by, what)
    if aggregate is not None and asked != (Value.score, Axis.task, What.matrix):
        raise StoreError(
            f"The averages of {aggregate} are of scores, over all languages, in the place of the "
            f"matrix; you asked for {value} by {by} of {what}. Leave `--aggregate` or the others "
            "out."
        )


def _table(
    view: View, what: What, value: Value, by: Axis, benchmark: Benchmark | None
) -> TransferMatrix | pd.DataFrame:
    from sweeper.analysis.aggregates import aggregate
    from sweeper.analysis.averaging import transfer

    if benchmark is not None:
        return aggregate(view, benchmark).to_frame()
    tables: dict[What, Callable[[], TransferMatrix | pd.DataFrame]] = {
        What.matrix: lambda: transfer(view, value, by),
        What.scores: lambda: view.scores(metric="all"),
        What.examples: view.examples,
        What.trials: view.trials,
    }
    return tables[what]()


def _write(table: TransferMatrix | pd.DataFrame, format: Format, output: Path | None) -> None:
    from sweeper.report.export import export as exported

    content = exported(table, format)
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
    """Score predictions in XTREME's layout, whoever made them, against the tasks' data.

    Exits with 1 if a file could not be scored; it is named, and the others are scored.
    """
    from sweeper.planning import cards_with
    from sweeper.report.scores import csv_of, print_scores
    from sweeper.report.submitted import score_folder
    from sweeper.report.terminal import console

    scored = score_folder(folder, cards_with(tasks), data_folder(data))
    print_scores(console(), scored)
    if output:
        try:
            output.write_bytes(csv_of(scored))
        except OSError as error:
            raise StoreError(f"{output} could not be written: {error.strerror}.") from None
    if scored.left_out:
        raise typer.Exit(1)
