"""Asking a store: checkpoints and matrices; scoring predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.words import (
    AggregateOption,
    Axis,
    DataOption,
    JsonOption,
    StoreOption,
    StudyOption,
    TasksOption,
    Value,
    answers_of,
    app,
    check_aggregate,
    data_folder,
    print_json,
)
from sweeper.errors import StoreError

if TYPE_CHECKING:
    from sweeper.analysis.kept import Answers


@app.command()
def best(
    store: StoreOption = None,
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

    answers, out, told = answers_of(store, study), console(), []
    whole = intermediate is None and language is None
    for name in _asked(answers, target, intermediate, language):
        try:
            found = answers.best(name) if whole else None
            found = found or best_of(answers.view, name, intermediate, language)
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
    store: StoreOption = None,
    value: Annotated[Value, typer.Option(help="Scores, or gains over none.")] = Value.score,
    by: Annotated[Axis, typer.Option(help="What a column is.")] = Axis.task,
    aggregate: AggregateOption = None,
    study: StudyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the transfer matrix: intermediates by targets."""
    from sweeper.report.data import aggregate_data, matrix_data
    from sweeper.report.overview import print_skipped
    from sweeper.report.terminal import console, print_matrix

    check_aggregate(aggregate, value, by)
    out, answers = console(), answers_of(store, study)
    if aggregate is not None:
        from sweeper.analysis.aggregates import aggregate as averaged
        from sweeper.report.benchmarks import print_aggregate

        means = averaged(answers.view, aggregate)
        print_json(aggregate_data(means)) if as_json else print_aggregate(out, means)
    else:
        made = answers.matrix(value, by)
        print_json(matrix_data(made)) if as_json else print_matrix(out, made)
    if not as_json:
        print_skipped(out, answers.skipped)


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
    from sweeper.knowncards import cards_with
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
