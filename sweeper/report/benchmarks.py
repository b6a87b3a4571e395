"""The averages of a benchmark, for a terminal: a line per average, a column per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from sweeper.analysis.aggregates import Aggregate, AggregateCell, notes
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
    return f"{cell.value:.1f}{error}{some}"
