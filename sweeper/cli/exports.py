"""Taking something out of a store: tables, figures, predictions, searches, a checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeper.cli.words import (
    AggregateOption,
    Axis,
    Benchmark,
    Format,
    StoreOption,
    StudyOption,
    Value,
    What,
    answers_of,
    app,
    check_aggregate,
    named_by_option,
    view_of,
)
from sweeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from sweeper.analysis.kept import Answers
    from sweeper.analysis.matrix import TransferMatrix
    from sweeper.analysis.view import View

TEXTS = (Format.csv, Format.parquet, Format.json, Format.markdown, Format.latex, Format.xlsx)
FIGURES = (Format.png, Format.svg, Format.pdf)
FORMATS: dict[What, tuple[Format, ...]] = {
    What.matrix: TEXTS + FIGURES,
    What.scores: TEXTS,
    What.examples: TEXTS,
    What.trials: TEXTS,
    What.predictions: (Format.xtreme,),
    What.searches: (Format.sqlite, Format.journal),
    What.checkpoint: (),
}
"""What can be written as what; the first is the default."""

SUFFIXES = {
    **{f".{format}": format for format in (*TEXTS, *FIGURES)},
    ".md": Format.markdown,
    ".tex": Format.latex,
    ".db": Format.sqlite,
    ".log": Format.journal,
}
BINARY = (Format.parquet, Format.xlsx, *FIGURES)


@app.command()
def export(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT",
            help="matrix, scores, examples, trials, predictions or searches; or checkpoint TARGET "
            "FOLDER.",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="Default: what the name of the output ends in, else csv."),
    ] = None,
    what: Annotated[What | None, typer.Option(help="The same as WHAT.")] = None,
    store: StoreOption = None,
    value: Annotated[Value, typer.Option(help="For a matrix.")] = Value.score,
    by: Annotated[Axis, typer.Option(help="For a matrix.")] = Axis.task,
    aggregate: AggregateOption = None,
    width: Annotated[
        float | None, typer.Option(help="For a figure: at most so many inches wide.")
    ] = None,
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
        str | None,
        typer.Option(help="For predictions and a checkpoint; default: the target's best row."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For predictions: a seed of the row.")] = None,
    push_to_hub: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="For a checkpoint: upload it there as well."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository of the hub public.")
    ] = False,
    study: StudyOption = None,
) -> None:
    """Write a matrix, a table, predictions, searches, or a target's best checkpoint."""
    chosen, rest = _what(words or [], what)
    _check_belongs(
        chosen,
        {
            "--target": (target, (What.predictions,)),
            "--intermediate": (intermediate, (What.predictions, What.checkpoint)),
            "--seed": (seed, (What.predictions,)),
            "--push-to-hub": (push_to_hub, (What.checkpoint,)),
            "--public": (public or None, (What.checkpoint,)),
            "--width": (width, (What.matrix,)),
        },
    )
    check_aggregate(aggregate, value, by, chosen)
    if chosen is What.checkpoint:
        _checkpoint(rest, output, store, study, intermediate, push_to_hub, public)
        return
    if rest:
        raise StoreError(
            f"`export` takes one of {', '.join(What)}, not {' '.join(words or [])!r}. "
            + named_by_option(rest[-1])
        )
    answers = answers_of(store, study)
    format = _format(chosen, format, output)
    if chosen is What.predictions:
        _predictions(answers.view, output, target, intermediate, seed)
    elif chosen is What.searches:
        _searches(answers.view, output, format)
    else:
        _write(_content(answers, chosen, format, value, by, aggregate, width), format, output)


def _what(words: list[str], what: What | None) -> tuple[What, list[str]]:
    """What to export, and the words after it."""
    left = list(words)
    if left and what is None and left[0] in What.__members__:
        what = What(left.pop(0))
    return what or What.matrix, left


def _check_belongs(what: What, given: Mapping[str, tuple[Any, tuple[What, ...]]]) -> None:
    for option, (value, places) in given.items():
        if value is not None and what not in places:
            of = " or ".join(f"`sweeper export {place}`" for place in places)
            raise StoreError(f"`{option}` goes with {of}, not with {what}. Leave it out.")


def _format(what: What, format: Format | None, output: Path | None) -> Format:
    """The format that is said, else what the output's name ends in, else the first there is."""
    known = FORMATS[what]
    named = SUFFIXES.get(output.suffix.lower()) if output is not None else None
    if format is None and named in known:
        return named
    if format is None and named is not None and what is not What.predictions:
        raise StoreError(
            f"{what} is exported as {', '.join(known)}, and {output} is named as if it were "
            f"{named}. Name it otherwise, or choose one of these with `--format`."
        )
    if format is not None and format not in known:
        raise StoreError(
            f"{what} is exported as {', '.join(known)}; you asked for {format}. Choose one of "
            "these with `--format`."
        )
    return format or known[0]


# ---- tables and figures -----------------------------------------------------------------------


def _content(
    answers: Answers,
    what: What,
    format: Format,
    value: Value,
    by: Axis,
    benchmark: Benchmark | None,
    width: float | None,
) -> bytes:
    if format not in FIGURES:
        if width is not None:
            raise StoreError(
                f"`--width` is that of a figure ({', '.join(FIGURES)}), not {format}."
            )
        from sweeper.report.export import export as exported

        return exported(_table(answers, what, value, by, benchmark), format)
    if benchmark is not None:
        raise StoreError("Figures are of the matrix alone. Leave `--aggregate` or the format out.")
    from sweeper.report.figures import WIDTH, figure

    return figure(answers.matrix(value, by), format, width or WIDTH)


def _table(
    answers: Answers, what: What, value: Value, by: Axis, benchmark: Benchmark | None
) -> TransferMatrix | pd.DataFrame:
    from sweeper.analysis.aggregates import aggregate

    if benchmark is not None:
        return aggregate(answers.view, benchmark).to_frame()
    tables: dict[What, Callable[[], TransferMatrix | pd.DataFrame]] = {
        What.matrix: lambda: answers.matrix(value, by),
        What.scores: lambda: answers.view.scores(metric="all"),
        What.examples: lambda: answers.view.examples(),
        What.trials: lambda: answers.view.trials(),
    }
    return tables[what]()


def _write(content: bytes, format: Format, output: Path | None) -> None:
    if output is None:
        if format in BINARY and sys.stdout.isatty():
            raise StoreError(f"{format} is not for terminals. Give `--output FILE`.")
        sys.stdout.buffer.write(content)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{output} could not be written: {error.strerror}.") from None
    typer.echo(f"{output}: {len(content)} bytes", err=True)


# ---- folders and files of others --------------------------------------------------------------


def _predictions(
    view: View,
    output: Path | None,
    targets: list[str] | None,
    intermediate: str | None,
    seed: int | None,
) -> None:
    from sweeper.report.submission import export_predictions

    if output is None:
        raise StoreError("Predictions are a folder of files. Give `--output FOLDER`.")
    made = export_predictions(view, output, targets=targets, intermediate=intermediate, seed=seed)
    for name, reason in made.left_out.items():
        typer.echo(f"left out {name}: {reason}", err=True)
    typer.echo(f"{output}: {made.files} files of {', '.join(made.targets)}", err=True)


def _searches(view: View, output: Path | None, format: Format) -> None:
    from sweeper.report.searches import export_searches

    if output is None:
        raise StoreError("Searches are a file that Optuna reads. Give `--output FILE.db`.")
    count = export_searches(view, output, format)
    place = f"sqlite:///{output}" if format is Format.sqlite else str(output)
    typer.echo(f"{output}: {count} searches; look at them: optuna-dashboard {place}", err=True)


def _checkpoint(
    words: list[str],
    output: Path | None,
    store: str | None,
    study: str | None,
    intermediate: str | None,
    repository: str | None,
    public: bool,
) -> None:
    from sweeper.report.checkpoint import export_checkpoint, push_to_hub

    if output is not None:
        words = [*words[:1], str(output), *words[1:]]
    if len(words) != 2:
        mend = f" {named_by_option(words[-1])}" if len(words) > 2 else ""
        raise StoreError(
            "A checkpoint is exported by `sweeper export checkpoint TARGET FOLDER`; you gave "
            f"{' '.join(words) or 'neither'}.{mend}"
        )
    if public and repository is None:
        raise StoreError("`--public` is of a repository: give `--push-to-hub OWNER/NAME` with it.")
    folder = Path(words[1])
    view = view_of(store, study)
    found = export_checkpoint(view, words[0], folder, intermediate=intermediate)
    typer.echo(f"{folder}: {found.intermediate}, seed {found.seed}, for {found.target}", err=True)
    if repository is not None:
        typer.echo(push_to_hub(folder, repository, public=public), err=True)
