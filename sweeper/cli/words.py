"""What the commands share: the application, its options, and what they stand for."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from sweeper.errors import DataError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweeper.analysis.kept import Answers
    from sweeper.analysis.view import View
    from sweeper.study import Study
F = TypeVar("F", bound="Callable[..., Any]")


class Command(TyperCommand):
    """A command that says of a word too many how a store is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line. Wrong usage where a word is left over."""
        ctx.allow_extra_args = True  # refused here, with a sentence that helps
        left = super().parse_args(ctx, args)
        if left and not ctx.resilient_parsing:
            of_store = any(parameter.name == "store" for parameter in self.params)
            mend = f" {named_by_option(left[0])}" if of_store else ""
            ctx.fail(f"Words too many: {' '.join(left)}.{mend}")
        return left


class App(typer.Typer):
    """Commands as `Command` has them."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:
        """Take a function as a command."""
        return super().command(name, **{"cls": Command, **settings})


app = App(
    name="sweeper",
    help="Which intermediate training helps which target, in which language: sweep and see.",
    no_args_is_help=True,
    add_completion=True,
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
    family = "family"
    script = "script"
    category = "category"


class Benchmark(StrEnum):
    """A benchmark whose averages can be shown."""

    xtreme = "xtreme"
    xtreme_r = "xtreme-r"


class Format(StrEnum):
    """A format of an export."""

    csv = "csv"
    parquet = "parquet"
    json = "json"
    markdown = "markdown"
    latex = "latex"
    xlsx = "xlsx"
    png = "png"
    svg = "svg"
    pdf = "pdf"
    xtreme = "xtreme"
    sqlite = "sqlite"
    journal = "journal"


class What(StrEnum):
    """What is exported."""

    matrix = "matrix"
    scores = "scores"
    examples = "examples"
    trials = "trials"
    predictions = "predictions"
    searches = "searches"
    checkpoint = "checkpoint"


StudyArgument = Annotated[
    str,
    typer.Argument(help="A study file, or a shipped one's: demo, local_all, local_files, xtreme."),
]


def _named(store: str | None) -> str | None:
    """A store that is named; an empty name, as an unset variable is, means no default."""
    if store is not None and not store.strip():
        raise StoreError("--store is empty. Name a folder or a bucket, or leave it out.")
    return store


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        callback=_named,
        help="The store: a folder, s3:// or gs://. Default: runs/STUDY, or the only one in runs.",
    ),
]
NoLimitsOption = Annotated[
    bool, typer.Option("--no-limits", help="Use every example: the study's limits do not count.")
]
TasksOption = Annotated[
    Path | None, typer.Option("--tasks", help="A folder of your own task cards (*.yaml).")
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="TASK",
        help="Leave a task out: its row, its column, its part in mixtures. May be repeated.",
    ),
]
KeepGoingOption = Annotated[
    bool, typer.Option("--keep-going", help="Leave broken rows out, and count them.")
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", help="The data files' folder. Default: SWEEPER_DATA, else the hub."),
]
AggregateOption = Annotated[
    Benchmark | None, typer.Option(help="The averages of a benchmark in the matrix's place.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print it as one JSON document, for programs.")
]
StudyOption = Annotated[
    str | None, typer.Option("--study", help="A study of the store; default: the only one.")
]


def print_json(data: Any) -> None:
    """Print what a command found as JSON, in place of its tables."""
    from sweeper.report.asjson import as_json

    typer.echo(as_json(data))


def load(
    study: str,
    no_limits: bool,
    tasks: Path | None,
    without: Sequence[str] | None,
    keep_going: bool,
) -> Study:
    """The study that a person names, with what the options say besides."""
    from sweeper.study import Study

    loaded = Study.load(study)
    if tasks is not None:
        loaded = loaded.with_tasks(tasks)
    if without:
        from sweeper.reducing import without as reduced

        loaded = reduced(loaded, without)
    if keep_going:
        loaded = loaded.model_copy(update={"keep_going": True})
    return loaded.unlimited() if no_limits else loaded


def data_folder(data: str | None) -> Path | None:
    """The folder of the data files; None: the hub. `DataError` if there is no such folder."""
    said = data or os.environ.get("SWEEPER_DATA") or "hub"
    if said == "hub":
        return None
    folder = Path(said).expanduser()
    if not folder.is_dir():
        named = "--data" if data else "SWEEPER_DATA"
        raise DataError(
            f"{named} must be `hub` or the folder of the data files; there is no folder "
            f"{folder.absolute()}. Mend {named}."
        )
    return folder


def view_of(store: str | None, study: str | None) -> View:
    """A study of a store, as both are named or left out."""
    from sweeper.analysis.store import Store, store_address

    return Store(store_address(store, study)).view(study)


def answers_of(store: str | None, study: str | None) -> Answers:
    """The usual answers of a study, as store and study are named or left out."""
    from sweeper.analysis.store import Store, store_address

    return Store(store_address(store, study)).answers(study)


def store_of(study: str | None, store: str | None) -> tuple[str, str | None]:
    """The store and the name of a study, named as for `run`: by its name or its file."""
    from sweeper.analysis.store import store_address

    name = study
    if study is not None and study.endswith((".yaml", ".yml")):
        from sweeper.study import Study

        name = Study.load(study).name
    elif study is not None and "/" in study:
        raise StoreError(f"{study!r} is no name of a study. {named_by_option(study)}")
    return store_address(store, name), name


def named_by_option(store: str) -> str:
    """What to do instead of giving a store as a word of its own."""
    return f"A store is named by an option: `--store {store}`."


def check_aggregate(
    aggregate: Benchmark | None, value: Value, by: Axis, what: What = What.matrix
) -> None:
    """`StoreError` where a benchmark's averages are asked for together with something else."""
    asked = (value, by, what)
    if aggregate is not None and asked != (Value.score, Axis.task, What.matrix):
        raise StoreError(
            f"The averages of {aggregate} are of scores, over all languages, in the place of the "
            f"matrix; you asked for {value} by {by} of {what}. Leave `--aggregate` or the others "
            "out."
        )
