"""The averages of a benchmark, for a terminal: a line per average, a column per row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from sweeper.analysis.aggregates import CATEGORIES, OWN, Aggregate, AggregateCell, languages_of
from sweeper.report.cells import fixed_notes, limit_notes, overlap_notes
from sweeper.report.terminal import say, table


def print_aggregate(out: Console, found: Aggregate) -> None:
    """Averages by rows of the matrix, in as many tables as fit, and what they are averages of."""
    count = len(found.seeds)
    error = " ± standard error" if count > 1 else ""
    of = f"Averages of {found.benchmark.name}: mean over all languages"
    say(out, f"{of} and {count} seed{'s' if count > 1 else ''}{error}", "bold")
    out.print()
    first = max(map(len, ["average", *found.columns]))
    texts = {
        (row, column): _text(found.cells.get((row, column)), count)
        for row in found.rows
        for column in found.columns
    }
    widest = max(len(text) for text in [*texts.values(), *found.rows])
    most = max(1, (out.width - first) // (3 + widest))
    for start in range(0, len(found.rows), most):
        _print(out, found, found.rows[start : start + most], texts)
    for note in notes(found):
        say(out, f"- {note}", "dim")


def notes(found: Aggregate) -> list[str]:
    """What a reader must know: which languages are averaged, what is missing, limited, shared."""
    of = found.benchmark
    said = [
        f"As {of.name}'s evaluate.py averages: over ALL languages of a task's test set, English "
        "too; QA is (EM + F1) / 2. `sweeper matrix` averages zero-shot languages: other numbers.",
        f"A mean is shown only where all its members are there; {CATEGORIES} is the mean of "
        "classification, tagging, qa and retrieval.",
    ]
    if of.unscored:
        said.append(
            f"{of.name}'s script cannot score {', '.join(of.unscored)}, so it never gives a mean "
            f"over all tasks; {OWN!r} has sweeper's own mAP@20 of it."
        )
    said += [f"{note} These are not {of.name}'s numbers." for note in limit_notes(found.limits)]
    said += fixed_notes(place for place, cell in found.cells.items() if cell.deterministic)
    said += overlap_notes(_shared(found))
    return [*said, *_lacking(found)]


def _shared(found: Aggregate) -> Iterator[tuple[str, str, Iterable[str]]]:
    """Row, average and what its scores share; of means what is not that of a task before them."""
    told: dict[str, set[str]] = {row: set() for row in found.rows}
    for column in found.columns:  # the tasks first
        for row in found.rows:
            cell = found.cells.get((row, column))
            if cell:
                alone = column in found.benchmark.languages
                yield row, column, cell.overlap if alone else sorted(set(cell.overlap) - told[row])
                told[row].update(cell.overlap)


def _lacking(found: Aggregate) -> Iterator[str]:
    wanted = languages_of(found.benchmark)
    for row, tasks in found.lacking.items():
        if tasks:
            what = ", ".join(
                task if set(codes) == set(wanted[task]) else f"{task} ({' '.join(codes)})"
                for task, codes in tasks.items()
            )
            yield f"{row} lacks scores of {what}."


def _print(
    out: Console,
    found: Aggregate,
    rows: Sequence[str],
    texts: Mapping[tuple[str, str], str],
) -> None:
    made = table("average", *rows, right=range(1, len(rows) + 1))
    for column in found.columns:
        made.add_row(Text(column), *(Text(texts[row, column]) for row in rows))
    out.print(made)
    out.print()


def _text(cell: AggregateCell | None, seeds: int) -> str:
    if cell is None:
        return "-"
    error = "" if cell.standard_error is None else f" ± {cell.standard_error:.1f}"
    some = f" ({len(cell.seeds)}/{seeds})" if len(cell.seeds) < seeds else ""
    return f"{cell.value:.1f}{error}{some}{' †' if cell.overlap else ''}"
