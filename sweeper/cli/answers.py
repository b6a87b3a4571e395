"""Asking a store: checkpoints and matrices; scoring predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.words import (
    AggregateOption,
    Axis,
    DataOption,
    JsonOption,
    StoreArgument,
    StudyOption,
    TasksOption,
    Value,
    app,
    check_aggregate,
    data_folder,
    print_json,
    view_of,
)
from sweeper.errors import StoreError


@app.command()
def best(
    store: StoreArgument = None,
    target: Annotated[str | None, typer.Option(help="Default: every target.")] = None,
    intermediate: Annotated[str | None, typer.Option(help="Default: the best row.")] = None,
    language: Annotated[str | None, typer.Option(help="Show this language's score only.")] = None,
    study: StudyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the checkpoint to use for a target, and why that one."""
    from sweeper.analysis.best import best as best_of
    from sweeper.report.data import best_data
    from sweeper.report.terminal import console, print_best, say

    view = view_of(store, study)
    out, told = console(), []
    asked = view.chosen(target=target, intermediate=intermediate, language=language)
    for name in dict.fromkeys(part.target for part in asked):
        try:
            found = best_of(view, name, intermediate, language)
        except StoreError as error:
            if target:
                raise
            if not as_json:
                say(out, f"{name}: {error}\n")
            continue
        told.append(best_data(found))
        if not as_json:
            print_best(out, found)
    if as_json:
        print_json(told)


@app.command()
def matrix(
    store: StoreArgument = None,
    value: Annotated[Value, typer.Option(help="Scores, or gains over none.")] = Value.score,
    by: Annotated[Axis, typer.Option(help="What a column is.")] = Axis.task,
    aggregate: AggregateOption = None,
    study: StudyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the transfer matrix: intermediates by targets."""
    from sweeper.analysis.averaging import transfer
    from sweeper.report.data import aggregate_data, matrix_data
    from sweeper.report.overview import print_skipped
    from sweeper.report.terminal import console, print_matrix

    check_aggregate(aggregate, value, by)
    out, view = console(), view_of(store, study)
    if aggregate is not None:
        from sweeper.analysis.aggregates import aggregate as averaged
        from sweeper.report.benchmarks import print_aggregate

        means = averaged(view, aggregate)
        print_json(aggregate_data(means)) if as_json else print_aggregate(out, means)
    else:
        made = transfer(view, value, by)
        print_json(matrix_data(made)) if as_json else print_matrix(out, made)
    if not as_json:
        print_skipped(out, view)


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help="Has a folder per task: xnli/test-de.tsv.")],
    data: DataOption = None,
    tasks: TasksOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write every score there, as CSV.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score predictions in XTREME's layout, whoever made them, against the tasks' data.

    Exits with 1 if a file could not be scored; it is named, and the others are scored.
    """
    from sweeper.planning import cards_with
    from sweeper.report.data import scores_data
    from sweeper.report.scores import csv_of, print_scores
    from sweeper.report.submitted import score_folder
    from sweeper.report.terminal import console

    scored = score_folder(folder, cards_with(tasks), data_folder(data))
    print_json(scores_data(scored)) if as_json else print_scores(console(), scored)
    if output:
        try:
            output.write_bytes(csv_of(scored))
        except OSError as error:
            raise StoreError(f"{output} could not be written: {error.strerror}.") from None
    if scored.left_out:
        raise typer.Exit(1)
